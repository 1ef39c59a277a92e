"""Where to keep what can be made again, such as compiled kernels.

What is kept there is run as a program later: kernels, engines. So a folder is used only if nobody
but the user can have put something into it.
"""

from __future__ import annotations

import logging
import os
import stat
from functools import cache
from pathlib import Path

log = logging.getLogger(__name__)


def cache_folder(name: str) -> str:
    """Path of a private folder in the user's cache; ``""`` where none can be made."""
    try:
        from platformdirs import user_cache_path
    except ImportError:  # a clone in which only kernels are measured
        return ""

    return private_folder(Path(user_cache_path("zerodce-rt", appauthor=False), name))


@cache  # reports a folder once
def private_folder(folder: Path) -> str:
    """The path of a folder, made if it is missing, that nobody but the user may write to.

    Returns:
        ``""`` where there can be none; a warning says why.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = folder.resolve()  # a link may be changed later
        status = folder.stat()
        open_to_all = any(_is_open(parent) for parent in folder.parents)
    except OSError as error:
        return _unusable(folder, error.strerror or str(error), "make room for it")
    if os.name == "posix" and (
        status.st_mode & 0o022 or status.st_uid != os.geteuid() or open_to_all
    ):
        return _unusable(folder, "others may write there", "delete it, and it is made anew")
    if not os.access(folder, os.W_OK):
        return _unusable(folder, "it cannot be written to", "see whose it is")
    return str(folder)


def _is_open(folder: Path) -> bool:
    """Whether everybody may rename what is in a folder, and put something else in its place."""
    mode = folder.stat().st_mode
    return bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX


def _unusable(folder: Path, reason: str, advice: str) -> str:
    log.warning(
        "%s: not used as a cache (%s), so every run takes long to start; %s",
        folder, reason, advice,
    )  # fmt: skip
    return ""
