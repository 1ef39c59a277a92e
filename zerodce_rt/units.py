"""Pieces of work that any worker can do, here or in another process: plain data with ``run``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from zerodce_rt.enhancer import Enhancer
from zerodce_rt.files import enhance_picture
from zerodce_rt.media.paths import PIPE, is_sequence
from zerodce_rt.storage.ends import LocalEnds, copies_of
from zerodce_rt.storage.remote import Place, of_this_machine
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
    def output(self) -> Place | None: ...

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
    path: Place

    @property
    def title(self) -> str:
        return f"{self.task.source.name} {self.segment.index + 1}/{self.plan.count}"

    @property
    def output(self) -> Place:
        return self.path

    def run(self, enhancer: Enhancer, progress: Progress) -> int:
        path = of_this_machine(self.path)

        def report(frames: int) -> None:
            progress(frames, self.segment.frames)

        return enhance_segment(self.task, self.plan, self.segment, enhancer, path, report)


@dataclass(frozen=True)
class JoinUnit:
    """The last step of a video in segments."""

    task: VideoTask
    plan: Plan
    paths: tuple[Place, ...]

    @property
    def title(self) -> str:
        return f"{self.task.source.name} joined"

    @property
    def output(self) -> Path:
        return self.task.output

    def run(self, enhancer: Enhancer, progress: Progress) -> int:
        return join_segments(self.task, self.plan, [*map(of_this_machine, self.paths)])


FileUnit = PictureUnit | VideoUnit | SegmentUnit | JoinUnit
"""Units of files of this machine."""


@dataclass(frozen=True)
class StorageUnit:
    """A unit with ends in a storage, from and to which the machine that does it carries them.

    Attributes:
        unit: as if the files were on the machine that made it; but segments have their places.
        source: the picture or video.
        result: what becomes of it in the end.
    """

    unit: FileUnit
    source: Place
    result: Place

    @property
    def title(self) -> str:
        return self.unit.title

    @property
    def output(self) -> Place:
        return self.unit.path if isinstance(self.unit, SegmentUnit) else self.result

    def run(self, enhancer: Enhancer, progress: Progress) -> int | None:
        parts = self.unit.paths if isinstance(self.unit, JoinUnit) else ()
        ends = LocalEnds(self.source, self.output, show=False)
        try:
            with ends.naming_errors(), copies_of(parts) as copies:
                frames = self._here(ends, copies).run(enhancer, progress)
            ends.finish()
        finally:
            # Other segments of the video need its copy, too.
            ends.release(keep_source=isinstance(self.unit, SegmentUnit))
        return frames

    def _here(self, ends: LocalEnds, parts: Sequence[Path]) -> Unit:
        """The unit with paths of this machine."""
        unit = self.unit
        if isinstance(unit, PictureUnit):
            unit = replace(unit, source=ends.source, output=ends.output)
        elif isinstance(unit, SegmentUnit):
            unit = replace(unit, task=replace(unit.task, source=ends.source), path=ends.output)
        else:
            unit = replace(unit, task=replace(unit.task, source=ends.source, output=ends.output))
        if isinstance(unit, JoinUnit):
            unit = replace(unit, paths=tuple(parts))
        # What a worker that was lost has left on this machine is of no use.
        return once_more(unit) if ends.output_is_away else unit


def once_more(unit: Unit) -> Unit:
    """A unit whose worker was lost, to be done again: its output may be there after all."""
    if isinstance(unit, PictureUnit):
        return replace(unit, options=unit.options | {"overwrite": True})
    if isinstance(unit, StorageUnit):
        inner: Any = once_more(unit.unit)
        return replace(unit, unit=inner)
    return replace(unit, overwrite=True) if isinstance(unit, VideoUnit) else unit
