"""A video enhanced from its beginning to its end, by one worker, into one output."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import av

from zerodce_rt.atomic import finished_file
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.media.fields import deinterlaced
from zerodce_rt.media.paths import PIPE
from zerodce_rt.media.pipes import PipeWriter
from zerodce_rt.media.reader import VideoReader
from zerodce_rt.media.sequences import SequenceWriter
from zerodce_rt.media.writer import VideoWriter
from zerodce_rt.pipeline import run_in_order
from zerodce_rt.video.frame_stage import FrameStage, PendingFrame, Target
from zerodce_rt.video.plan import Plan, make_plan
from zerodce_rt.video.segment import run_segment
from zerodce_rt.video.task import VideoTask

Write = Callable[["av.VideoFrame | av.Packet"], None]

Progress = Callable[[int, "int | None"], None]
"""Called with the frames done and the frames expected, if the file says how many."""


def enhance_in_one_piece(
    task: VideoTask, enhancer: Enhancer, *, overwrite: bool = False,
    progress: Progress | None = None,
) -> int:  # fmt: skip
    """Enhance a video.

    Args:
        overwrite: replace existing pictures, where the output is numbered ones.

    Returns:
        The number of frames.
    """
    plan = None if task.is_to_file else make_plan(task, enhancer.settings)
    with (
        task.reader(device=enhancer.device) as reader,
        finished_file(task.output) if task.is_to_file else nullcontext() as unfinished,
    ):
        writer: VideoWriter | PipeWriter | SequenceWriter
        target: Target
        if unfinished is not None:
            target = task.video_encoder(reader, enhancer.device)
            writer = VideoWriter(unfinished, task.output, reader, target, audio=task.encoder.audio)
        elif task.output == PIPE:
            target = writer = PipeWriter(reader, task.raw)
        else:
            target = writer = SequenceWriter(task.output, overwrite=overwrite)
        expected = reader.frame_count if plan is None else plan.frames

        def write(item: av.VideoFrame | av.Packet) -> None:
            writer.write(item)
            if progress is not None and isinstance(item, av.VideoFrame):
                progress(writer.frames, expected)

        try:
            if plan is None:
                _run(task, reader, enhancer, target, write)
            else:
                _run_segments(task, plan, enhancer, target, write)
            writer.close()
        except BaseException:
            writer.abort()
            raise
    return writer.frames


def _run(
    task: VideoTask, reader: VideoReader, enhancer: Enhancer, target: Target, write: Write
) -> None:
    def finish(item: PendingFrame | av.Packet) -> None:
        write(item if isinstance(item, av.Packet) else item())

    items = deinterlaced(reader) if task.deinterlace else reader
    run_in_order(items, FrameStage(enhancer, target, task), finish)


def _run_segments(
    task: VideoTask, plan: Plan, enhancer: Enhancer, target: Target, write: Write
) -> None:
    """Make the frames that a file of segments would have."""
    for segment in plan.segments:
        with task.reader(plan.span(segment), enhancer.device) as reader:
            run_segment(task, plan, segment, reader, enhancer, target, write)
