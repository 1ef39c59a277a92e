"""Files that appear under their name only once they are complete."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO

from zerodce_rt.errors import ZeroDCEError

_PARTIAL = re.compile(r"\..+\.(\d+)\.part(\.\w+)?")
# Most file systems allow 255 bytes.
_LONGEST_STEM = 200
# What the place is to blame for, whatever is written there.
_OF_THE_PLACE = frozenset(
    getattr(errno, name, None) for name in "EACCES EDQUOT EFBIG EIO ENOSPC EPERM EROFS".split()
)


def is_of_the_place(error: Exception) -> bool:
    """Whether an error is that of a full disk or the like, and not of what was to be written."""
    return isinstance(error, OSError) and error.errno in _OF_THE_PLACE - {None}


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
    those that programs have left behind that were killed.

    Yields:
        The temporary path, of an empty file. It has the suffix of ``output``, by which writers
        choose a format.

    Raises:
        ZeroDCEError: for an error of the block that is one of the temporary file, or of a full
            disk and the like.
    """
    # The name of ``output`` may be as long as the system allows.
    stem = os.fsencode(output.stem)[:_LONGEST_STEM].decode(errors="ignore")
    partial = output.with_name(f".{stem}.{os.getpid()}.part{output.suffix}")
    try:
        with naming(output, partial):
            _remove_orphans(output.parent.absolute())
            with _locked(partial):
                yield partial
            os.replace(partial, output)
    finally:
        with suppress(OSError):
            partial.unlink()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """A new, empty file, which is locked inside the block."""
    while True:
        path.unlink(missing_ok=True)  # of an earlier process with this number
        with open(path, "xb") as file:
            if _lock(file) is not False and path.exists():
                yield
                return
        # Before it was locked, it was taken for an orphan.


@cache  # a folder of many files is searched once
def _remove_orphans(folder: Path) -> None:
    """Delete the temporary files in a folder whose programs are gone."""
    with suppress(OSError):
        for entry in list(os.scandir(folder)):
            found = _PARTIAL.fullmatch(entry.name)
            if found and not _runs(int(found[1])):
                with suppress(OSError), open(entry.path, "rb") as file:
                    if _lock(file):
                        os.unlink(entry.path)


def _runs(process: int) -> bool:
    """Whether another process of this number runs here; on Windows, it is not known."""
    if sys.platform == "win32" or process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # somebody else's; no number of a process
        return True
    return True


def _lock(file: IO[bytes]) -> bool | None:
    """Lock an open file, until it is closed or the program ends.

    It also tells of programs on other machines, whose processes have numbers of their own. On
    Windows, nothing is locked: files that are open there cannot be deleted anyway.

    Returns:
        Whether it is locked now, and not by another; None if there are no locks in this place.
    """
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
