"""A video enhanced segment by segment, by one worker."""

from __future__ import annotations

from zerodce_rt.enhancer import Enhancer
from zerodce_rt.storage.remote import of_this_machine
from zerodce_rt.video.one_piece import Progress
from zerodce_rt.video.plan import Plan
from zerodce_rt.video.segment import enhance_segment, join_segments
from zerodce_rt.video.task import VideoTask
from zerodce_rt.video.workspace import open_workspace


def enhance_in_segments(
    task: VideoTask, plan: Plan, enhancer: Enhancer, *, progress: Progress | None = None
) -> int:
    """Enhance a video; if that is stopped, the next time goes on with what is missing.

    Returns:
        The number of frames.
    """
    space = open_workspace(task, plan, enhancer, task.output)
    done = space.frames_done
    try:
        for segment in space.missing:

            def report(frames: int, before: int = done) -> None:
                if progress is not None:
                    progress(before + frames, plan.frames)

            path = of_this_machine(space.path(segment))
            done += enhance_segment(task, plan, segment, enhancer, path, report)
        frames = join_segments(task, plan, [*map(of_this_machine, space.paths)])
    except BaseException:
        space.leave()
        raise
    space.remove()
    return frames
