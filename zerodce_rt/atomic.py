"""Files that appear under their name only once they are complete."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import re
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache, lru_cache
from pathlib import Path

from zerodce_rt.errors import ZeroDCEError

_PARTIAL = re.compile(r"\..*\.zerodce-([0-9a-f]{6})-(\d+)-[0-9a-f]{6}\.part(\.\w+)?")
# Most file systems allow 255 bytes.
_LONGEST_STEM = 180
# A long-lived program looks again after so long what others have left behind.
_SEARCH_SECONDS = 600.0
# What the place is to blame for, whatever is written there.
_OF_THE_PLACE = frozenset(
    getattr(errno, name)
    for name in "EACCES EDQUOT EFBIG EIO ENOSPC EPERM EROFS".split()
    if hasattr(errno, name)  # Windows has not all
)


def is_of_the_place(error: Exception) -> bool:
    """Whether an error is that of a full disk or the like, and not of what was to be written."""
    return isinstance(error, OSError) and error.errno in _OF_THE_PLACE


@contextmanager
def naming(output: Path, temporary: Path | None = None) -> Iterator[None]:
    """Let errors of writing say which file they are of: those of a full disk do not.

    Args:
        temporary: what the file is called until it is complete.

    Raises:
        ZeroDCEError: for an error of either file, or of the place.
    """
    try:
        yield
    except OSError as error:
        of_others = error.filename is not None or not is_of_the_place(error)
        if not of_others or str(error.filename) in (str(output), str(temporary)):
            reason = error.strerror or error
            raise ZeroDCEError(f"{output}: cannot be written ({reason})") from error
        raise


@contextmanager
def finished_file(output: Path) -> Iterator[Path]:
    """Write a file under a temporary name beside ``output``, and rename it at the end of the block.

    After an exception, ``output`` is as it was before, and the temporary file is deleted. So are
    those in its folder that programs of this machine have left behind when they were killed.

    Yields:
        The temporary path, of an empty file. It has the suffix of ``output``, by which writers
        choose a format.

    Raises:
        ZeroDCEError: for an error of the block that is one of the temporary file, or of a full
            disk and the like.
    """
    # The name of ``output`` may be as long as the system allows.
    stem = os.fsencode(output.stem)[:_LONGEST_STEM].decode(errors="ignore")
    mark = f"zerodce-{_machine()}-{os.getpid()}-{secrets.token_hex(3)}"
    partial = output.with_name(f".{stem}.{mark}.part{output.suffix}")
    try:
        with naming(output, partial):
            _remove_orphans(output.parent.absolute(), time.monotonic() // _SEARCH_SECONDS)
            open(partial, "xb").close()
            yield partial
            os.replace(partial, output)
    finally:
        with suppress(OSError):
            partial.unlink()


@cache
def _machine() -> str:
    """Stands for where a process's number means something: a machine, or a container in it."""
    numbers = "/proc/self/ns/pid"
    where = os.readlink(numbers) if os.path.islink(numbers) else ""
    return hashlib.sha256(f"{platform.node()} {where}".encode()).hexdigest()[:6]


def search_again() -> None:
    """Have the next files look anew for what others have left: some were just killed."""
    _remove_orphans.cache_clear()


@lru_cache(maxsize=64)  # a folder of many files is searched once
def _remove_orphans(folder: Path, period: float) -> None:
    """Delete the temporary files in a folder whose programs are gone.

    Args:
        period: in which the folder is searched once.
    """
    with suppress(OSError):
        for entry in list(os.scandir(folder)):
            found = _PARTIAL.fullmatch(entry.name)
            if found and found[1] == _machine() and not _runs(int(found[2])):
                with suppress(OSError):
                    os.unlink(entry.path)


def _runs(process: int) -> bool:
    """Whether a process of this number runs here, this one included.

    On Windows it is not known, but no file can be deleted there that is open.
    """
    if sys.platform == "win32":
        return process == os.getpid()
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # somebody else's; no number of a process
        return True
    return not _is_zombie(process)


def _is_zombie(process: int) -> bool:
    """Whether a process has ended, and only its number is kept until its parent asks.

    In a container whose first process is no init, that may be for ever.
    """
    try:
        state = Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2]
    except OSError:  # no Linux
        return False
    return state.split()[0] in "ZX"
