"""Whole files from a storage and to it: nothing half-written ever has a final name."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from zerodce_rt.atomic import finished_file
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.progress import byte_progress
from zerodce_rt.storage.errors import naming_storage
from zerodce_rt.storage.remote import Place, Remote, opened

# Here, a file appears only when it is whole; elsewhere it is there from its first byte on.
_WHOLE_BY_ITSELF = frozenset("s3 s3a gs gcs abfs abfss az adl".split())


def download(remote: Remote, path: Path, *, show: bool = True) -> None:
    """Write a file of a storage to a path of this machine, with its time.

    Raises:
        ZeroDCEError: it is not there or cannot be read, there is no room for it, or it changed
            meanwhile.
    """
    stat = remote.stat()
    _check_room(remote, stat.st_size, path.parent)
    with finished_file(path) as unfinished:
        with (
            byte_progress(f"fetching {remote.name}", stat.st_size, show=show) as update,
            naming_storage(remote.url),
        ):
            fs, source = opened(remote.url)
            fs.get_file(source, str(unfinished), callback=_callback(update))
        if unfinished.stat().st_size != stat.st_size:
            raise ZeroDCEError(f"{remote}: was changed while it was fetched; try again")
        os.utime(unfinished, ns=(stat.st_mtime_ns, stat.st_mtime_ns))


def upload(path: Path, remote: Remote, *, show: bool = True) -> None:
    """Write a file of this machine to a storage; what is there is replaced when it is whole.

    Raises:
        ZeroDCEError: it cannot be written.
    """
    size = path.stat().st_size
    with (
        byte_progress(f"uploading {remote.name}", size, show=show) as update,
        naming_storage(remote.url, "written"),
    ):
        fs, target = opened(remote.url)
        if remote.protocol in _WHOLE_BY_ITSELF:
            fs.put_file(str(path), target, callback=_callback(update))
        else:
            _put_and_move(fs, path, remote, _callback(update))


def _put_and_move(fs: Any, path: Path, remote: Remote, callback: Any) -> None:
    mark = f".{remote.stem[:100]}.zerodce-{secrets.token_hex(6)}.part{remote.suffix}"
    _, partial = opened(remote.with_name(mark).url)
    _, target = opened(remote.url)
    try:
        fs.makedirs(fs._parent(target), exist_ok=True)
        fs.put_file(str(path), partial, callback=callback)
        if fs.info(partial)["size"] != path.stat().st_size:
            raise ZeroDCEError(f"{remote}: a part of it was lost on the way; try again")
        fs.mv(partial, target)
    except BaseException:
        with suppress(Exception):
            fs.rm_file(partial)
        raise


def write_text(place: Place, text: str) -> None:
    """Write a small file, here or in a storage; what is there is replaced when it is whole.

    Raises:
        ZeroDCEError: it cannot be written.
    """
    if isinstance(place, Remote):
        with TemporaryDirectory(prefix="zerodce-") as folder:
            local = Path(folder, "text")
            write_text(local, text)
            upload(local, place, show=False)
        return
    with finished_file(place) as unfinished:
        # What is not UTF-8 in a file's name is kept as well.
        unfinished.write_text(text, "utf-8", "surrogateescape", newline="")


def remove_folder(folder: Remote) -> None:
    """Delete a folder of a storage with all that is in it, if it is there.

    Raises:
        ZeroDCEError: it cannot be deleted.
    """
    with naming_storage(folder.url, "deleted"), suppress(FileNotFoundError):
        fs, path = opened(folder.url)
        fs.invalidate_cache()  # others write there, too
        fs.rm(path, recursive=True)


def _callback(update: Callable[[int], None]) -> Any:
    from fsspec.callbacks import Callback

    return Callback(hooks={"shown": lambda _, value, **__: update(value)})


def _check_room(remote: Remote, size: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise ZeroDCEError(
            f"{remote}: a copy takes {size / 1e9:.1f} GB, and there are {free / 1e9:.1f} GB free "
            f"in {folder}"
        )
