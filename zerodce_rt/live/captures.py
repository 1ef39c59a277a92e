"""Snapshots and recordings that people make while they watch: their names, and the pictures."""

from __future__ import annotations

import re
import time
from collections.abc import Collection
from pathlib import Path

import cv2

from zerodce_rt.atomic import finished_file
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.live.shots import Shot

_CAPTURE = re.compile(
    r"zerodce-rt_\d{4}(-\d\d){2}_\d\d(-\d\d){2}(_\d+)?(_before|_after)?\.(png|mp4)", re.ASCII
)


def new_path(folder: Path, stem: str, ending: str, taken: Collection[Path] = frozenset()) -> Path:
    """A path in a folder that is free: with a number behind its stem, if need be.

    Args:
        taken: paths that are not free although there is no file yet.
    """
    path, number = folder / f"{stem}{ending}", 1
    while path in taken or path.exists():
        number += 1
        path = folder / f"{stem}_{number}{ending}"
    return path


def new_capture(folder: Path, ending: str) -> Path:
    """A free path for a snapshot or a recording, named by the time."""
    return new_path(folder, time.strftime("zerodce-rt_%Y-%m-%d_%H-%M-%S"), ending)


def capture_named(folder: Path, name: str) -> Path:
    """The path of a snapshot or a recording.

    Raises:
        ZeroDCEError: for the name of anything else.
    """
    if not _CAPTURE.fullmatch(name):
        raise ZeroDCEError("there is no snapshot or recording of this name")
    return folder / name


def save_snapshot(folder: Path, shot: Shot) -> tuple[Path, Path]:
    """Save an image before and after enhancement, as PNG.

    Raises:
        ZeroDCEError: it cannot be written.
    """
    before = new_capture(folder, "_before.png")
    after = before.with_name(before.name.replace("_before", "_after"))
    for path, image in ((before, shot.before), (after, shot.after)):
        with finished_file(path) as partial:
            partial.write_bytes(cv2.imencode(".png", image)[1].tobytes())
    return before, after
