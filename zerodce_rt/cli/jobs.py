"""What ``enhance`` has to do: which files its inputs mean, and where the output of each goes."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from zerodce_rt.cli.finished import Records
from zerodce_rt.errors import UsageError, ZeroDCEError
from zerodce_rt.media import paths
from zerodce_rt.storage.remote import Place, place

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

    source: Place
    output: Place | None = None
    in_folder: bool = True
    problem: Exception | None = None

    @property
    def is_picture(self) -> bool:
        """A still one; an animated GIF may also become a video."""
        return paths.is_still(self.source, self.output)

    @property
    def suffixes(self) -> Collection[str]:
        """Those that the name of its output may end in."""
        return paths.PICTURE_SUFFIXES if self.is_picture else paths.VIDEO_SUFFIXES


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
    folder: Place | None = None
    passed_over: int = 0


def make_plan(inputs: Sequence[str], output: str | None, records: Records) -> Plan:
    """Find out what is to be done, without making or opening any file.

    Args:
        inputs: files and folders, also by the URL of a storage.
        output: a file or a folder, or the URL of one; None is beside each input.
        records: of what earlier runs have made.

    Raises:
        UsageError: if the output is of the wrong kind.
        ZeroDCEError: if there is one input and nothing to be done with it.
    """
    sources = [place(text) for text in inputs]
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
                beside = _place_of(source, target, several=several)
                made.jobs += _jobs_in(source, beside, records, made)
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


def _alone(source: Place, output: str | None) -> Job:
    if source == paths.PIPE:
        return Job(source, place(output or paths.PIPE), in_folder=False)
    if not source.exists() and not paths.is_sequence(source):
        raise ZeroDCEError(f"{source}: no such file or folder")
    default = paths.default_output(source)
    if output is None:
        return Job(source, default, in_folder=False)
    target = place(output)
    if is_folder(output):
        return Job(source, target / default.name)
    return Job(source, target, in_folder=False)


def is_folder(output: str) -> bool:
    """Whether an output is named as a folder, or is one."""
    return output.endswith(_SEPARATORS) or place(output).is_dir()


def _as_folder(output: str, *, several: bool) -> Place:
    """The output of several files, which is a folder."""
    folder = place(output)
    like_a_file = (paths.is_picture(folder) or paths.is_video(folder)) and not folder.is_dir()
    if folder.is_file() or (like_a_file and not output.endswith(_SEPARATORS)):
        what = "several inputs" if several else "a folder"
        raise UsageError(f"{folder}: is a file's name; the `output` of {what} is a folder")
    return folder


def folder_beside(folder: Place) -> Place:
    """Where the outputs of a folder go by default.

    >>> str(folder_beside(place("s3://bucket/nights/")))
    's3://bucket/nights_enhanced'

    Raises:
        UsageError: for the root, which has no name, and a bucket, which has no other beside it.
    """
    folder = _named(folder)
    return folder.with_name(f"{folder.name}{paths.MARK}")


def _named(folder: Place) -> Place:
    """A folder by a path that ends in its name, which those of "." and ".." do not."""
    if folder.name in ("", ".."):
        folder = folder.resolve()
    if not folder.name:
        raise UsageError(f"{folder}: has no name to make another of; choose an `output`")
    return folder


def _place_of(source: Place, target: Place | None, *, several: bool) -> Place:
    """The folder for the outputs of a folder."""
    if target is None:
        return folder_beside(source)
    inside = target / _named(source).name if several else target
    if inside.resolve() == source.resolve():
        raise UsageError(f"{inside}: is the input folder; choose another `output`")
    return inside


def _job_of_file(source: Place, target: Place | None) -> Job:
    if not source.exists():
        raise ZeroDCEError(f"{source}: no such file or folder")
    output = paths.default_output(source)
    return Job(source, output if target is None else target / output.name)


def _jobs_in(folder: Place, target: Place, records: Records, made: Plan) -> Iterator[Job]:
    """A job for each picture and video below a folder that is no earlier result."""
    found = paths.find_media(folder)
    inside = target.resolve()
    if folder.resolve() in inside.parents:
        found = [p for p in found if inside not in p.resolve().parents]
    originals = _names(found)
    count = 0
    for path in found:
        if _is_enhanced(path, originals) or records.of(path.parent).has_made(path):
            made.passed_over += 1
        else:
            count += 1
            yield Job(path, paths.output_in_folder(path, folder, target))
    if not count:
        raise ZeroDCEError(f"{folder}: no pictures or videos in it but earlier results")


_Name = tuple[Place, str, bool]


def _names(files: Iterable[Place]) -> set[_Name]:
    """What files are called, without their endings: folder, name, and whether it is a picture."""
    return {(file.parent, file.stem, paths.is_picture(file)) for file in files}


def _is_enhanced(file: Place, others: Collection[_Name]) -> bool:
    """Whether a file is called as the output of one of the others would be by default."""
    original = file.stem.removesuffix(paths.MARK)
    return original != file.stem and (file.parent, original, paths.is_picture(file)) in others


def _without_collisions(jobs: Sequence[Job]) -> Iterator[Job]:
    """Jobs none of which would replace an input, or the output of another; and none twice."""
    inputs = {job.source.resolve() for job in jobs if job.output is not None}
    outputs: dict[Place, Place] = {}
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
