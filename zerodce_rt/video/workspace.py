"""The segments of a video that are finished, in a folder beside its output, for a run to go on."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import av

from zerodce_rt.atomic import naming
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.storage.remote import Place, Remote, of_this_machine, opened_file
from zerodce_rt.storage.transfer import remove_folder, write_text
from zerodce_rt.video.plan import Plan, Segment
from zerodce_rt.video.task import VideoTask

log = logging.getLogger(__name__)

_MANIFEST = "manifest.json"
_LARGEST_MANIFEST_BYTES = 32 << 20
# Of each end of the source that its mark is made of.
_END_BYTES = 1 << 16


@dataclass(frozen=True)
class Workspace:
    """Where the segments of one video wait until they are joined.

    Attributes:
        output: of the video; in a storage, so are its segments.
        plan: of the video.
    """

    output: Place
    plan: Plan

    @property
    def folder(self) -> Place:
        """Hidden, beside the output."""
        return _folder_of(self.output)

    def path(self, segment: Segment) -> Place:
        """Of a segment's file, which is there once it is whole."""
        return self.folder / f"{segment.index:05}{self.output.suffix}"

    @property
    def paths(self) -> list[Place]:
        """Of all segments."""
        return [self.path(segment) for segment in self.plan.segments]

    @property
    def missing(self) -> list[Segment]:
        """The segments that are not finished."""
        there = {path.name for path in self.folder.rglob("*")}  # one question to a storage
        return [s for s in self.plan.segments if self.path(s).name not in there]

    @property
    def frames_done(self) -> int:
        """Of the segments that are finished."""
        return self.plan.frames - sum(segment.frames for segment in self.missing)

    def remove(self) -> None:
        """Delete the folder with all that is in it."""
        remove_segments(self.output)

    def leave(self) -> None:
        """Say what is kept of a run that was stopped; delete the folder if that is nothing."""
        count = len(self.plan.segments)
        try:
            done = count - len(self.missing)
        except ZeroDCEError as error:  # that of a storage, which may be why the run has stopped
            log.warning("%s", error)
            return
        if done:
            log.info("%s: %d of %d segments are finished, and kept for the next run in %s",
                     self.output, done, count, self.folder)  # fmt: skip
        else:
            self.remove()


def _folder_of(output: Place) -> Place:
    return output.with_name(f".{output.name}.segments")


def has_segments(output: Place) -> bool:
    """Whether segments of a video wait for the next run."""
    return _folder_of(output).is_dir()


def remove_segments(output: Place) -> None:
    """Delete what waits for the next run of a video, if there is anything."""
    folder = _folder_of(output)
    if not isinstance(folder, Remote):
        shutil.rmtree(folder, ignore_errors=True)
        return
    try:
        remove_folder(folder)
    except ZeroDCEError as error:  # what was made is none the worse for it
        log.warning("%s", error)


def open_workspace(
    task: VideoTask,
    plan: Plan,
    enhancer: Enhancer,
    output: Place,
    *,
    shared: bool = False,
) -> Workspace:
    """The folder of a video's segments, with those that an earlier run has finished.

    What another source or other settings have left there is deleted, and a line says so.

    Args:
        output: where the video goes in the end.
        shared: other runs work there now: nothing is deleted.

    Raises:
        ZeroDCEError: the folder cannot be made, or is another one's and must not be deleted.
    """
    space = Workspace(output, plan)
    manifest = space.folder / _MANIFEST
    wanted = _manifest(task, plan, enhancer)
    before = _read(manifest)
    if before is not None and before != wanted:
        changed = ", ".join(k for k in wanted if before.get(k) != wanted[k])
        if shared:
            raise ZeroDCEError(
                f"{space.folder}: holds segments that do not belong here ({changed} differ); if "
                "no other run needs them, delete the folder"
            )
        log.warning("%s: segments of an earlier run are of no use (%s changed); beginning anew",
                    output, changed)  # fmt: skip
        space.remove()
    elif before is not None and not shared and (done := len(plan.segments) - len(space.missing)):
        log.info("%s: going on where an earlier run was stopped, with %d of %d segments finished",
                 output, done, len(plan.segments))  # fmt: skip
    try:
        if isinstance(space.folder, Path):
            with naming(of_this_machine(output), space.folder):
                space.folder.mkdir(exist_ok=True)
        if before != wanted:
            write_text(manifest, json.dumps(wanted, indent=1))
    except BaseException:
        if not shared:
            space.leave()
        raise
    return space


def _manifest(task: VideoTask, plan: Plan, enhancer: Enhancer) -> dict[str, Any]:
    """All that decides what the segments are."""
    settings = asdict(task)
    del settings["source"], settings["output"]
    return {
        "source": _mark_of(task.source),
        "settings": repr(sorted(settings.items())),
        "enhancer": enhancer.identity,
        "versions": {"zerodce-rt": version("zerodce-rt"), "av": av.__version__},
        "segments": [asdict(segment) for segment in plan.segments],
    }


def _mark_of(source: Path) -> dict[str, Any]:
    """What tells a file from another one of its name."""
    stat = source.stat()
    digest = hashlib.sha256()
    with source.open("rb") as file:
        digest.update(file.read(_END_BYTES))
        file.seek(max(0, stat.st_size - _END_BYTES))
        digest.update(file.read(_END_BYTES))
    return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "ends": digest.hexdigest()}


def _read(manifest: Place) -> dict[str, Any] | None:
    """What a manifest says; None if there is none, and nothing if it is damaged."""
    try:
        with opened_file(manifest) as file:
            found = json.loads(file.read(_LARGEST_MANIFEST_BYTES))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
