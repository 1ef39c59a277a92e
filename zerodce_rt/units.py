"""Pieces of work that any worker can do, here or in another process: plain data with ``run``."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from zerodce_rt.enhancer import Enhancer
from zerodce_rt.files import enhance_picture
from zerodce_rt.media.paths import PIPE, is_sequence
from zerodce_rt.video.one_piece import Progress, enhance_in_one_piece
from zerodce_rt.video.plan import Plan, Segment
from zerodce_rt.video.segment import enhance_segment, join_segments
from zerodce_rt.video.task import VideoTask


class Unit(Protocol):
    """One piece of work.

    Attributes:
        title: what it is, for people.
        output: the file that it makes, if it is one.
    """

    @property
    def title(self) -> str: ...

    @property
    def output(self) -> Path | None: ...

    def run(self, enhancer: Enhancer, progress: Progress) -> int | None:
        """Do it.

        Returns:
            The number of frames of a video.
        """
        ...


@dataclass(frozen=True)
class PictureUnit:
    """A picture; ``options`` are those of ``enhance_picture``."""

    source: Path
    output: Path
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return self.source.name

    def run(self, enhancer: Enhancer, progress: Progress) -> None:
        enhance_picture(self.source, self.output, enhancer=enhancer, **self.options)


@dataclass(frozen=True)
class VideoUnit:
    """A video in one piece."""

    task: VideoTask
    overwrite: bool = False

    @property
    def title(self) -> str:
        return self.task.source.name

    @property
    def output(self) -> Path | None:
        output = self.task.output
        return None if output == PIPE or is_sequence(output) else output

    def run(self, enhancer: Enhancer, progress: Progress) -> int:
        return enhance_in_one_piece(
            self.task, enhancer, overwrite=self.overwrite, progress=progress
        )


@dataclass(frozen=True)
class SegmentUnit:
    """One segment of a video."""

    task: VideoTask
    plan: Plan
    segment: Segment
    path: Path

    @property
    def title(self) -> str:
        return f"{self.task.source.name} {self.segment.index + 1}/{self.plan.count}"

    @property
    def output(self) -> Path:
        return self.path

    def run(self, enhancer: Enhancer, progress: Progress) -> int:
        def report(frames: int) -> None:
            progress(frames, self.segment.frames)

        return enhance_segment(self.task, self.plan, self.segment, enhancer, self.path, report)


@dataclass(frozen=True)
class JoinUnit:
    """The last step of a video in segments."""

    task: VideoTask
    plan: Plan
    paths: tuple[Path, ...]

    @property
    def title(self) -> str:
        return f"{self.task.source.name} joined"

    @property
    def output(self) -> Path:
        return self.task.output

    def run(self, enhancer: Enhancer, progress: Progress) -> int:
        return join_segments(self.task, self.plan, self.paths)


def once_more(unit: Unit) -> Unit:
    """A unit whose worker was lost, to be done again: its output may be there after all."""
    if isinstance(unit, PictureUnit):
        return replace(unit, options=unit.options | {"overwrite": True})
    return replace(unit, overwrite=True) if isinstance(unit, VideoUnit) else unit
