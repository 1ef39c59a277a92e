"""One segment of a video, enhanced into a file of its own; and the segments, joined."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from zerodce_rt.atomic import finished_file
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.media.fields import deinterlaced
from zerodce_rt.media.reader import VideoReader, demuxed
from zerodce_rt.media.video_encoder import EncodedVideo
from zerodce_rt.media.writer import VideoWriter
from zerodce_rt.pipeline import run_in_order
from zerodce_rt.video.frame_stage import FrameStage, PendingFrame, Target
from zerodce_rt.video.plan import Plan, Segment
from zerodce_rt.video.task import VideoTask


def enhance_segment(
    task: VideoTask, plan: Plan, segment: Segment, enhancer: Enhancer, path: Path,
    progress: Callable[[int], None] | None = None,
) -> int:  # fmt: skip
    """Enhance one segment of a video.

    Args:
        path: where to write it; it is there once it is whole.
        progress: called from a worker thread after each frame, with the frames done.

    Returns:
        The number of frames.
    """
    with (
        task.reader(plan.span(segment), enhancer.device) as reader,
        finished_file(path) as unfinished,
    ):
        video = task.video_encoder(reader, enhancer.device)
        writer = VideoWriter(unfinished, task.output, reader, video, is_segment=True)

        def write(frame: av.VideoFrame) -> None:
            writer.write(frame)
            if progress is not None:
                progress(writer.frames)

        try:
            run_segment(task, plan, segment, reader, enhancer, video, write)
            writer.close()
        except BaseException:
            writer.abort()
            raise
    return writer.frames


def run_segment(
    task: VideoTask, plan: Plan, segment: Segment, reader: VideoReader, enhancer: Enhancer,
    target: Target, write: Callable[[av.VideoFrame], None],
) -> None:  # fmt: skip
    """Enhance the frames of one segment.

    Args:
        reader: of ``plan.span(segment)``.
        target: what the frames are made for.
        write: takes each of them, in a thread of its own.

    Raises:
        ZeroDCEError: if there is none.
    """
    stage = FrameStage(enhancer, target, task, plan.facts)
    frames = 0

    def work(frame: av.VideoFrame) -> PendingFrame | None:
        if frame.pts is not None and frame.pts < segment.start:
            if frame.pts >= segment.warm_up:
                stage.warm_up(frame, denoise=frame.pts >= segment.denoise)
            return None
        pending = stage(frame)
        assert not isinstance(pending, av.Packet)
        return pending

    def finish(pending: PendingFrame | None) -> None:
        nonlocal frames
        if pending is not None:
            write(pending())
            frames += 1

    run_in_order(_Frames(reader, segment, deinterlace=task.deinterlace), work, finish)
    if not frames:
        raise ZeroDCEError(
            f"{task.source}: no video frame could be decoded from "
            f"{float(segment.start * plan.time_base) - plan.begins:.2f} s on"
        )


class _Frames:
    """The frames of a segment, and those before it."""

    def __init__(self, reader: VideoReader, segment: Segment, *, deinterlace: bool) -> None:
        self._items = deinterlaced(reader) if deinterlace else reader
        self._end = segment.end

    def __iter__(self) -> Iterator[av.VideoFrame]:
        for item in self._items:
            if isinstance(item, av.VideoFrame) and not self._is_after(item.pts):
                yield item

    def _is_after(self, pts: int | None) -> bool:
        return self._end is not None and pts is not None and pts >= self._end


def join_segments(task: VideoTask, plan: Plan, paths: Sequence[Path]) -> int:
    """Write a video of its segments, with everything else from the source.

    Args:
        paths: of all segments of the plan, in their order.

    Returns:
        The number of frames.
    """
    with (
        VideoReader(task.source, task.span, max_pixels=task.max_pixels) as reader,
        finished_file(task.output) as unfinished,
        av.open(str(paths[0])) as first,
    ):
        template = first.streams.video[0]
        video = EncodedVideo(template, reader, plan.facts, task.output)
        writer = VideoWriter(unfinished, task.output, reader, video, audio=task.encoder.audio)
        try:
            packets = _merged(_video_packets(task, paths, template), reader.others())
            for packet, is_video in packets:
                if is_video:
                    writer.write_video(packet)
                else:
                    writer.write(packet)
            writer.close()
        except BaseException:
            writer.abort()
            raise
    return writer.frames


def _merged(
    video: Iterator[av.Packet], others: Iterator[av.Packet]
) -> Iterator[tuple[av.Packet, bool]]:
    """Packets of both in order of time, and whether each is of the video."""
    kinds = ((packet, True) for packet in video), ((packet, False) for packet in others)
    return heapq.merge(*kinds, key=lambda each: _seconds(each[0]))


def _seconds(packet: av.Packet) -> Fraction | float:
    ticks = packet.dts if packet.dts is not None else packet.pts
    # What has no time is written at once.
    return -1.0 if ticks is None or not packet.time_base else ticks * packet.time_base


def _video_packets(task: VideoTask, paths: Sequence[Path], template: Any) -> Iterator[av.Packet]:
    """The packets of all segments, with decoding times that go on from one to the next.

    In each segment the decoding time of a packet is the time at which a frame so many places
    before it in the order of display is shown. So it is over all segments, too.
    """
    shown: list[int] = []  # pts in order of display, of the segments so far
    delay = count = 0
    for number, path in enumerate(paths):
        with av.open(str(path)) as container:
            stream: Any = container.streams.video[0]
            if stream.codec_context.extradata != template.codec_context.extradata:
                raise ZeroDCEError(
                    f"{task.output}: its segments were encoded in different ways, perhaps by other "
                    "versions of a program; `overwrite=True` begins anew"
                )
            packets = [p for p in demuxed(container, [stream]) if p.size]
            times = sorted(p.pts for p in packets if p.pts is not None)
            ranks = {pts: rank for rank, pts in enumerate(times)}
            if number == 0:
                delay = max(n - ranks[p.pts] for n, p in enumerate(packets) if p.pts is not None)
                step = times[1] - times[0] if len(times) > 1 else 1
                shown = [times[0] - n * step for n in range(delay, 0, -1)]
            shown += times
            for packet in packets:
                packet.dts = shown[count]
                count += 1
                yield packet
