"""Enhancing files: one video, one picture, or a folder of either."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zerodce_rt.atomic import finished_file
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.frame import Frame, from_array, same_samples
from zerodce_rt.media import compare as comparing
from zerodce_rt.media import pictures
from zerodce_rt.media.paths import PICTURE_SUFFIXES, VIDEO_SUFFIXES, check_output
from zerodce_rt.names import COMPARE_MODES
from zerodce_rt.pipeline import run_in_order

if TYPE_CHECKING:
    import av

    from zerodce_rt.media.reader import Span
    from zerodce_rt.media.writer import EncoderSettings, VideoWriter

# Time constant of the curve maps' smoothing in video, in seconds.
VIDEO_SMOOTHING_SECONDS = 0.25
# Light changes slowly, and smoothing bridges the steps: a third of the estimates at 30 frames/s.
VIDEO_ESTIMATE_SECONDS = 0.1

PendingFrame = Callable[[], "av.VideoFrame"]
"""Waits for an enhanced frame."""

Progress = Callable[[int, "int | None"], None]
"""Called with the frames done and the frames expected."""


@dataclass(frozen=True)
class VideoResult:
    """What became of a video: its output and the number of frames in it."""

    output: Path
    frames: int


def enhance_video(
    source: Path | str,
    output: Path | str,
    *,
    enhancer: Enhancer | None = None,
    strength: float | None = None,
    encoder: EncoderSettings | None = None,
    span: Span | None = None,
    compare: str | None = None,
    hwaccel: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> VideoResult:
    """Enhance a video file; all its other streams, tags and times are kept.

    Args:
        enhancer: default: one with our weights and smoothing for video.
        strength: 0 (unchanged) to 1 (default) of the default enhancer.
        encoder: codec, quality and preset of the new video.
        span: the part to keep, in seconds.
        compare: ``"split"`` or ``"side"`` puts before and after in one picture.
        hwaccel: decode with NVDEC and encode with NVENC, where the GPU can; what it cannot is
            said in the log, and done on the CPU.
        overwrite: replace an existing output.
        progress: called from a worker thread after each frame.

    Raises:
        ZeroDCEError: anything about the files that a person can mend. No output is left then.
        ValueError: a setting outside its range, or a strength beside an enhancer of its own.
    """
    import av

    from zerodce_rt.media.hwaccel import nvdec
    from zerodce_rt.media.reader import VideoReader
    from zerodce_rt.media.writer import EncoderSettings, VideoWriter

    source, output = Path(source), Path(output)
    check_output(source, output, VIDEO_SUFFIXES, overwrite=overwrite)
    enhancer = _enhancer(enhancer, strength)
    decoding = nvdec(source, shared=enhancer.on_gpu) if hwaccel else None
    encoder = encoder or EncoderSettings()
    if hwaccel:
        encoder = replace(encoder, gpu=True)
    with VideoReader(source, span, decoding) as reader:
        width = reader.stream.codec_context.width
        if compare is not None:
            width = comparing.width_of(compare, width)
        with finished_file(output) as partial:
            writer = VideoWriter(partial, output, reader, encoder, width=width)
            stage = _FrameStage(enhancer, writer, compare)
            expected = reader.frame_count

            def write(item: PendingFrame | av.Packet) -> None:
                if isinstance(item, av.Packet):
                    writer.write(item)
                    return
                writer.write(item())
                if progress is not None:
                    progress(writer.frames, expected)

            try:
                run_in_order(reader, stage, write)
                writer.close()
            except BaseException:
                writer.abort()
                raise
    return VideoResult(output, writer.frames)


def _enhancer(given: Enhancer | None, strength: float | None) -> Enhancer:
    """The enhancer that was given, or the default one of a strength."""
    if given is not None and strength is not None:
        raise ValueError("give the strength to the enhancer, or no enhancer")
    if given is not None:
        return given
    # A picture has no time, and is not smoothed.
    return video_enhancer(strength=1.0 if strength is None else strength)


def video_enhancer(**options: Any) -> Enhancer:
    """An enhancer whose maps follow a video smoothly; ``options`` are those of ``Enhancer``."""
    return Enhancer(
        smoothing_seconds=VIDEO_SMOOTHING_SECONDS,
        estimate_seconds=VIDEO_ESTIMATE_SECONDS,
        **options,
    )


class _FrameStage:
    """The middle of the pipeline: frames begin to become bright, packets pass.

    Frames are waited for in the next stage, so that a GPU may work on several.
    """

    def __init__(self, enhancer: Enhancer, writer: VideoWriter, compare: str | None) -> None:
        if compare is not None and compare not in COMPARE_MODES:
            valid = ", ".join(COMPARE_MODES)
            raise ValueError(f"compare must be one of {valid}, not {compare!r}")
        self._enhancer, self._writer, self._compare = enhancer, writer, compare
        self._size: tuple[int, int] | None = None
        enhancer.reset()

    def __call__(self, item: av.VideoFrame | av.Packet) -> PendingFrame | av.Packet:
        import av

        from zerodce_rt.media.frames import (
            blank_like,
            convert,
            display_matrix,
            downloaded,
            samples_of,
            wrap,
            wrap_on_gpu,
        )

        if isinstance(item, av.Packet):
            return item
        if self._size is None:
            self._size = item.width, item.height
            self._writer.display_matrix = display_matrix(item)
        format = self._writer.format_for(samples_of(item))
        before = wrap_on_gpu(item) if self._can_stay(item) else None
        if before is None or not same_samples(before.format, format):
            item = convert(downloaded(item), format, size=self._size)
            before = wrap(item)
        enhanced = blank_like(item, format=format.name)
        finish = self._enhancer.begin(before, wrap(enhanced), seconds=item.time)

        # Without ``before``, whose memory a decoder on the GPU wants back soon.
        def finished() -> av.VideoFrame:
            finish()
            return enhanced

        return finished if self._compare is None else partial(self._both, before, finished)

    def _both(self, before: Frame, finished: PendingFrame) -> av.VideoFrame:
        """A comparison of a frame with itself enhanced."""
        from zerodce_rt.media.frames import blank_like, wrap

        assert self._compare is not None
        enhanced = finished()
        both = blank_like(enhanced, width=comparing.width_of(self._compare, enhanced.width))
        comparing.compose(before, wrap(enhanced), self._compare, wrap(both))
        return both

    def _can_stay(self, item: av.VideoFrame) -> bool:
        """Whether nothing but the enhancer must see a frame that is on the GPU."""
        same_size = (item.width, item.height) == self._size
        return self._enhancer.on_gpu and self._compare is None and same_size


def enhance_picture(
    source: Path | str,
    output: Path | str,
    *,
    enhancer: Enhancer | None = None,
    strength: float | None = None,
    compare: str | None = None,
    overwrite: bool = False,
) -> None:
    """Enhance a JPEG, PNG, WebP or TIFF; depth, alpha, EXIF and ICC profile are kept.

    Args:
        enhancer, strength, compare, overwrite: as for ``enhance_video``.

    Raises:
        ZeroDCEError: anything about the files that a person can mend. No output is left then.
        ValueError: a setting outside its range, or a strength beside an enhancer of its own.
    """
    source, output = Path(source), Path(output)
    check_output(source, output, PICTURE_SUFFIXES, overwrite=overwrite)
    picture = pictures.read_picture(source)
    bright = _enhancer(enhancer, strength)(picture.rgb)
    alpha = picture.alpha
    if compare is not None:
        before, after = from_array(picture.rgb), from_array(bright)
        height, width = bright.shape[:2]
        both = np.empty((height, comparing.width_of(compare, width), 3), bright.dtype)
        comparing.compose(before, after, compare, from_array(both))
        bright = both
        if alpha is not None and compare == "side":
            half = both.shape[1] // 2
            alpha = np.concatenate([alpha[:, :half], alpha[:, :half]], axis=1)
    changed = pictures.Picture(bright, alpha, picture.grey, picture.header)
    pictures.write_picture(output, changed)
