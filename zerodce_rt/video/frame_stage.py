"""From decoded frames to frames for the writer: the middle of a video's pipeline."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import av

from zerodce_rt.enhancer import Enhancer
from zerodce_rt.frame import Frame, PixelFormat, same_samples
from zerodce_rt.media import compare as comparing
from zerodce_rt.media.encoders import KEEP_CAPTIONS
from zerodce_rt.media.facts import SourceFacts, facts_of
from zerodce_rt.media.frames import (
    CaptionSearch,
    Twins,
    blank_like,
    convert,
    downloaded,
    nearest_format,
    samples_of,
    wrap,
)
from zerodce_rt.media.hdr import (
    LightLevels,
    ToneMapper,
    check_base_layer,
    dynamic_metadata,
    transfer_of,
)
from zerodce_rt.media.on_gpu import FramesOnGPU, wrap_on_gpu
from zerodce_rt.media.pipes import PipeWriter
from zerodce_rt.media.sequences import SequenceWriter
from zerodce_rt.media.video_encoder import VideoEncoder
from zerodce_rt.video.task import VideoTask

log = logging.getLogger(__name__)

Target = VideoEncoder | PipeWriter | SequenceWriter
"""What frames are made for."""

PendingFrame = Callable[[], av.VideoFrame]
"""Waits for an enhanced frame."""


@dataclass(frozen=True)
class _Prepared:
    """A frame as it is enhanced.

    Attributes:
        plain: with the tags and the time of what comes of it.
        planes: of ``plain``.
        format: of its samples.
        wanted: the format that the writer wants.
        mapped: whether it was made SDR.
    """

    plain: av.VideoFrame
    planes: Frame
    format: PixelFormat
    wanted: PixelFormat
    mapped: bool


class FrameStage:
    """The middle of the pipeline: frames begin to be enhanced, packets pass.

    Frames are waited for in the next stage, so that a GPU may have several in flight.

    Args:
        facts: of the source; default: what the first frame says.
    """

    def __init__(
        self, enhancer: Enhancer, target: Target, task: VideoTask, facts: SourceFacts | None = None
    ) -> None:
        self._enhancer, self._target, self._source = enhancer, target, task.source
        self._compare = task.compare
        self._to_sdr = ToneMapper() if task.sdr else None
        self._facts = facts
        self._twins, self._has_captions = Twins(), CaptionSearch()
        self._begun = self._captions_said = False
        enhancer.reset()

    def __call__(self, item: av.VideoFrame | av.Packet) -> PendingFrame | av.Packet:
        if isinstance(item, av.Packet):
            return item
        self._begin(item)
        source = self._prepared(item)
        plain, before, format = source.plain, source.planes, source.format
        if self._same_size(item) and self._has_captions(item):
            self._warn_of_captions()
            enhanced = self._twins(downloaded(item), format.name)
            after = wrap(enhanced)
        elif not source.mapped and (on_gpu := self._frames_on_gpu(format)) is not None:
            enhanced, after = on_gpu.blank_like(plain)
        else:
            enhanced = blank_like(plain, format=format.name)
            after = wrap(enhanced)
        finish = self._enhancer.begin(before, after, seconds=item.time)

        # Without ``before``, whose memory a decoder on the GPU wants back soon.
        def finished() -> av.VideoFrame:
            finish()
            return enhanced

        result = finished if self._compare is None else partial(self._both, before, finished)
        return (lambda: convert(result(), source.wanted)) if source.mapped else result

    def warm_up(self, item: av.VideoFrame, *, denoise: bool) -> None:
        """See a frame from before those that are wanted; see ``Enhancer.warm_up``."""
        self._begin(item)
        self._enhancer.warm_up(self._prepared(item).planes, seconds=item.time, denoise=denoise)

    def _prepared(self, item: av.VideoFrame) -> _Prepared:
        assert self._facts is not None
        wanted = self._target.format_for(samples_of(item))
        mapped = self._to_sdr is not None and transfer_of(int(item.color_trc)) != "gamma"
        if self._to_sdr is not None and mapped:
            item = self._to_sdr(downloaded(item))
        # What was HDR keeps its bits until it is enhanced.
        format = nearest_format(item.format) if mapped else wanted
        planes = wrap_on_gpu(item) if self._same_size(item) and self._on_gpu_alone else None
        if planes is None or not same_samples(planes.format, format):
            item = convert(downloaded(item), format, size=self._facts.size)
            planes = wrap(item)
        if planes.colour.transfer == "pq":
            # Not every frame says it again.
            colour = replace(planes.colour, peak_nits=self._facts.peak_nits)
            planes = replace(planes, colour=colour)
        return _Prepared(item, planes, format, wanted, mapped)

    def _begin(self, first: av.VideoFrame) -> None:
        """Note what the first frame says of all, and say what cannot be kept."""
        if self._begun:
            return
        self._begun = True
        check_base_layer(first, str(self._source))
        self._facts = facts = self._facts or facts_of(first)
        if self._to_sdr is not None:
            facts = replace(facts, light=LightLevels())
        elif (kind := dynamic_metadata(first)) is not None:
            log.warning(
                "%s: its %s metadata describes each picture as it was, and is left out",
                self._source, kind,
            )  # fmt: skip
        self._target.facts = facts

    def _warn_of_captions(self) -> None:
        encoder = self._target.name
        if not self._captions_said and (self._compare or encoder not in KEEP_CAPTIONS):
            why = "a comparison" if self._compare else encoder
            log.warning(
                "%s: %s does not keep the closed captions inside the video", self._source, why
            )
        self._captions_said = True

    def _both(self, before: Frame, finished: PendingFrame) -> av.VideoFrame:
        """A comparison of a frame with itself enhanced."""
        assert self._compare is not None
        enhanced = finished()
        both = blank_like(enhanced, width=comparing.width_of(self._compare, enhanced.width))
        comparing.compose(before, wrap(enhanced), self._compare, wrap(both))
        return both

    def _same_size(self, item: av.VideoFrame) -> bool:
        return self._facts is not None and (item.width, item.height) == self._facts.size

    def _frames_on_gpu(self, format: PixelFormat) -> FramesOnGPU | None:
        """What makes enhanced frames on the GPU, if the encoder reads such as these there."""
        frames = self._target.frames_on_gpu
        if frames is None or not self._on_gpu_alone or not same_samples(frames.format, format):
            return None
        return frames

    @property
    def _on_gpu_alone(self) -> bool:
        """Whether nothing but the enhancer must see frames that are on the GPU."""
        return self._enhancer.device is not None and self._compare is None
