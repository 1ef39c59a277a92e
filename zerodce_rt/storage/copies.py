"""Copies on this machine of what is in storages, and outputs on their way there.

Each has a folder in the user's cache, named after its URL and version. Whoever uses one marks it;
the last one to let go deletes it, unless a later run is to go on with it. What nobody has used for
a week is deleted by the next run that fetches anything, so that nothing fills the disk for ever.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from filelock import FileLock, Timeout

from zerodce_rt.cache import cache_folder
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.storage.remote import Remote
from zerodce_rt.storage.transfer import download

log = logging.getLogger(__name__)

_KEPT_SECONDS = 7 * 24 * 3600.0
_USED = ".used-"
_FETCHING = ".fetching"
# Most file systems allow 255 bytes.
_LONGEST_STEM = 60


class Held:
    """A folder of the cache that nobody deletes until it is let go.

    Args:
        key: names the folder; it is made if there is none.
    """

    def __init__(self, *key: str) -> None:
        self.folder = _all_copies() / _hash(*key)
        with _bookkeeping():
            _sweep()
            self.folder.mkdir(mode=0o700, exist_ok=True)
            # Ends with the process, however that ends.
            self._mark = FileLock(self.folder / f"{_USED}{secrets.token_hex(6)}")
            self._mark.acquire()

    def release(self, *, keep: bool = False) -> None:
        """Let go of the folder, which is deleted unless it is kept or others use it."""
        with _bookkeeping():
            self._mark.release()
            with suppress(OSError):
                os.unlink(self._mark.lock_file)
            if keep:
                os.utime(self.folder)
            elif not _is_used(self.folder):
                shutil.rmtree(self.folder, ignore_errors=True)


def fetched(remote: Remote, held: Held, *, show: bool = True) -> Path:
    """The copy of a file on this machine, which is fetched if there is none.

    Args:
        held: for this file as it is now; see ``key_of``.

    Raises:
        ZeroDCEError: it cannot be fetched.
    """
    path = held.folder / local_name(remote)
    with _fetching(remote, held.folder):
        if not path.is_file():
            download(remote, path, show=show)
    return path


def key_of(remote: Remote) -> tuple[str, str]:
    """What tells a file in a storage from others, and from itself before it was changed."""
    return remote.url, remote.version()


def local_name(remote: Remote) -> str:
    """The name of a file as every file system takes it."""
    stem = re.sub(r"[^\w .()+=@,-]", "_", remote.stem)
    return f"{stem[:_LONGEST_STEM]}{remote.suffix}"


def record_path(folder: Remote) -> Path:
    """Of the file in which this machine remembers what it has finished in a folder of a storage."""
    return _folder("storage-records") / f"{_hash(folder.url)}.jsonl"


def _all_copies() -> Path:
    return _folder("storage")


def _folder(name: str) -> Path:
    folder = cache_folder(name)
    if not folder:
        raise ZeroDCEError("files of a storage need a cache folder of your own for their copies")
    return Path(folder)


def _hash(*parts: str) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()[:24]


@contextmanager
def _bookkeeping() -> Iterator[None]:
    """One process at a time marks and deletes folders, which takes no time."""
    with FileLock(_all_copies() / ".lock"):
        yield


@contextmanager
def _fetching(remote: Remote, folder: Path) -> Iterator[None]:
    """One process at a time fetches a file; the others wait, and use what it has fetched."""
    lock = FileLock(folder / _FETCHING)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.info("%s: another run fetches it; waiting", remote)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _is_used(folder: Path) -> bool:
    """Whether a living process has marked a folder."""
    for mark in folder.glob(f"{_USED}*"):
        lock = FileLock(mark)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return True
        lock.release()
    return False


def _sweep() -> None:
    """Delete what nobody has used for long."""
    for folder in _all_copies().iterdir():
        with suppress(OSError):
            old = time.time() - folder.stat().st_mtime > _KEPT_SECONDS
            if old and folder.is_dir() and not _is_used(folder):
                shutil.rmtree(folder, ignore_errors=True)
