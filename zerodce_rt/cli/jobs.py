"""What ``enhance`` has to do: which files its inputs mean, and where the output of each goes."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zerodce_rt.cli.finished import Records
from zerodce_rt.errors import UsageError, ZeroDCEError
from zerodce_rt.media import paths

# Of two letters and more, since one is a drive of Windows.
_URL = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)
_SEPARATORS = tuple(filter(None, (os.sep, os.altsep)))


@dataclass(frozen=True)
class Job:
    """One file to enhance.

    Attributes:
        source: as the user would name it.
        output: where it goes; None if there is a ``problem``.
        in_folder: the output goes to a folder, which is made if there is none, and which
            remembers what is finished.
        problem: why it cannot be done.
    """

    source: Path
    output: Path | None = None
    in_folder: bool = True
    problem: Exception | None = None

    @property
    def is_picture(self) -> bool:
        """A still one; an animated GIF may also become a video."""
        to_video = self.output is not None and paths.is_video(self.output)
        return paths.is_picture(self.source) and not to_video


@dataclass
class Plan:
    """All that a run has to do.

    Attributes:
        jobs: in their order.
        alone: the input is one file, whose failure is that of the run.
        folder: the one that all outputs go to, if there is one.
        passed_over: how many earlier results are among the inputs.
    """

    jobs: list[Job] = field(default_factory=list)
    alone: bool = False
    folder: Path | None = None
    passed_over: int = 0


def make_plan(inputs: Sequence[str], output: str | None, records: Records) -> Plan:
    """Find out what is to be done, without making or opening any file.

    Args:
        inputs: files and folders.
        output: a file or a folder; None is beside each input.
        records: of what earlier runs have made.

    Raises:
        UsageError: if the output is of the wrong kind.
        ZeroDCEError: if there is one input and nothing to be done with it.
    """
    for text in inputs:
        if _URL.match(text):
            name = paths.without_password(text)
            raise UsageError(
                f"{name}: is a stream, which has no end; 'zerodce-rt live' plays and records it"
            )
    sources = [Path(text) for text in inputs]
    if len(sources) == 1 and not sources[0].is_dir():
        return Plan([_alone(sources[0], output)], alone=True)
    several = len(sources) > 1
    target = None if output is None else _as_folder(output, several=several)
    if target is None and not several:
        target = folder_beside(sources[0])
    made = Plan(folder=target)
    originals = _names(s for s in sources if s.is_file())
    for source in sources:
        try:
            if source.is_dir():
                place = _place_of(source, target, several=several)
                made.jobs += _jobs_in(source, place, records, made)
            elif _is_enhanced(source, originals):
                made.passed_over += 1
            else:
                made.jobs.append(_job_of_file(source, target))
        except UsageError:
            raise
        except (ZeroDCEError, OSError) as problem:
            if not several:
                raise
            made.jobs.append(Job(source, problem=problem))
    made.jobs = list(_without_collisions(made.jobs))
    return made


def _alone(source: Path, output: str | None) -> Job:
    if source == paths.PIPE:
        return Job(source, Path(output or paths.PIPE), in_folder=False)
    if not source.exists() and not paths.is_sequence(source):
        raise ZeroDCEError(f"{source}: no such file or folder")
    default = paths.default_output(source)
    if output is None:
        return Job(source, default, in_folder=False)
    target = Path(output)
    if is_folder(output):
        return Job(source, target / default.name)
    return Job(source, target, in_folder=False)


def is_folder(output: str) -> bool:
    """Whether an output is named as a folder, or is one."""
    return output.endswith(_SEPARATORS) or Path(output).is_dir()


def _as_folder(output: str, *, several: bool) -> Path:
    """The output of several files, which is a folder."""
    folder = Path(output)
    like_a_file = (paths.is_picture(folder) or paths.is_video(folder)) and not folder.is_dir()
    if folder.is_file() or (like_a_file and not output.endswith(_SEPARATORS)):
        what = "several inputs" if several else "a folder"
        raise UsageError(f"{folder}: is a file's name; the `output` of {what} is a folder")
    return folder


def folder_beside(folder: Path) -> Path:
    """Where the outputs of a folder go by default.

    >>> folder_beside(Path("nights")).as_posix()
    'nights_enhanced'

    Raises:
        UsageError: for the root, which has no name.
    """
    folder = _named(folder)
    return folder.with_name(f"{folder.name}{paths.MARK}")


def _named(folder: Path) -> Path:
    """A folder by a path that ends in its name, which those of "." and ".." do not."""
    if folder.name in ("", ".."):
        folder = folder.resolve()
    if not folder.name:
        raise UsageError(f"{folder}: has no name to make another of; choose an `output`")
    return folder


def _place_of(source: Path, target: Path | None, *, several: bool) -> Path:
    """The folder for the outputs of a folder."""
    if target is None:
        return folder_beside(source)
    place = target / _named(source).name if several else target
    if place.resolve() == source.resolve():
        raise UsageError(f"{place}: is the input folder; choose another `output`")
    return place


def _job_of_file(source: Path, target: Path | None) -> Job:
    if not source.exists():
        raise ZeroDCEError(f"{source}: no such file or folder")
    output = paths.default_output(source)
    return Job(source, output if target is None else target / output.name)


def _jobs_in(folder: Path, place: Path, records: Records, made: Plan) -> Iterator[Job]:
    """A job for each picture and video below a folder that is no earlier result."""
    found = paths.find_media(folder)
    inside = place.resolve()
    if folder.resolve() in inside.parents:
        found = [p for p in found if inside not in p.resolve().parents]
    originals = _names(found)
    count = 0
    for path in found:
        if _is_enhanced(path, originals) or records.of(path.parent).has_made(path):
            made.passed_over += 1
        else:
            count += 1
            yield Job(path, paths.output_in_folder(path, folder, place))
    if not count:
        raise ZeroDCEError(f"{folder}: no pictures or videos in it but earlier results")


_Name = tuple[Path, str, bool]


def _names(files: Iterable[Path]) -> set[_Name]:
    """What files are called, without their endings: folder, name, and whether it is a picture."""
    return {(file.parent, file.stem, paths.is_picture(file)) for file in files}


def _is_enhanced(file: Path, others: Collection[_Name]) -> bool:
    """Whether a file is called as the output of one of the others would be by default."""
    original = file.stem.removesuffix(paths.MARK)
    return original != file.stem and (file.parent, original, paths.is_picture(file)) in others


def _without_collisions(jobs: Sequence[Job]) -> Iterator[Job]:
    """Jobs none of which would replace an input, or the output of another; and none twice."""
    inputs = {job.source.resolve() for job in jobs if job.output is not None}
    outputs: dict[Path, Path] = {}
    for job in jobs:
        if job.output is None:
            yield job
            continue
        source, output = job.source.resolve(), job.output.resolve()
        if output not in outputs:
            outputs[output] = source
        elif outputs[output] == source:
            continue
        else:
            yield _refused(job, f"that of another file, {job.output}; rename it")
            continue
        if output in inputs:
            yield _refused(job, f"an input, {job.output}; choose another `output`")
        else:
            yield job


def _refused(job: Job, what: str) -> Job:
    problem = ZeroDCEError(f"{job.source}: its output would replace {what}")
    return Job(job.source, problem=problem)
