"""The files that the page may work on: those that it sent, and those that it chose from a folder.

The page names files by an id of ours, or by a path below the one folder that it may see.
"""

from __future__ import annotations

import os
import secrets
import threading
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.media.paths import find_media, is_picture, is_video
from zerodce_rt.media.pictures import read_picture
from zerodce_rt.media.reader import VideoReader

_LONGEST_NAME = 120
_MOST_LISTED = 2000


@dataclass(frozen=True, kw_only=True)
class MediaFile:
    """A picture or video that was looked at and can be read.

    Attributes:
        id: what the page calls it.
        name: without a folder, for people.
        kind: ``"video"`` or ``"picture"``.
        width, height: in pixels, as stored.
        seconds: how long a video is; None if it does not say.
        fps: of a video; None if it does not say.
        sent: by the page: deleted when it is taken from the list.
    """

    id: str
    path: Path
    name: str
    kind: str
    width: int
    height: int
    seconds: float | None = None
    fps: float | None = None
    sent: bool = False


class Library:
    """Files by id; may be used by several threads.

    Args:
        uploads: folder for what the page sends.
        folder: whose files may be opened; None: none.
    """

    def __init__(self, uploads: Path, folder: Path | None = None) -> None:
        self._uploads = uploads
        self._folder = None if folder is None else folder.resolve()
        self._files: dict[str, MediaFile] = {}
        self._lock = threading.Lock()

    def files(self) -> list[MediaFile]:
        """In the order in which they came."""
        with self._lock:
            return list(self._files.values())

    def get(self, id: str) -> MediaFile:
        """A file.

        Raises:
            ZeroDCEError: if there is none of that id.
        """
        with self._lock:
            found = self._files.get(id)
        if found is None:
            raise ZeroDCEError("this file is not in the list any more")
        return found

    def new_upload(self, name: str) -> Path:
        """Where to write a file that the page sends; ``add_upload`` takes it when it is whole.

        Args:
            name: as the page has it; only its ending is used.

        Raises:
            ZeroDCEError: for what is no picture or video by its name.
        """
        suffix = Path(_plain(name)).suffix.lower()
        if not (is_picture(Path(f"a{suffix}")) or is_video(Path(f"a{suffix}"))):
            raise ZeroDCEError(f"{_plain(name)}: is not a picture or video by its name")
        return self._uploads / f"{secrets.token_hex(8)}{suffix}"

    def add_upload(self, path: Path, name: str) -> MediaFile:
        """Look at a file that the page has sent, and put it into the list.

        Raises:
            ZeroDCEError: if it cannot be read.
        """
        return self._add(path, _plain(name), sent=True)

    def add_from_folder(self, name: str) -> MediaFile:
        """The same with a path below the folder; one that is in the list stays as it is.

        Raises:
            ZeroDCEError: as ``add_upload``; and if it is not below the folder, also by a link, or
                hidden, or no file.
        """
        path = self._in_folder(name)
        for file in self.files():
            if file.path == path:
                return file
        return self._add(path, _plain(name), sent=False)

    def _add(self, path: Path, name: str, *, sent: bool) -> MediaFile:
        try:
            found = _look_at(path, name, sent)
        except ZeroDCEError as error:
            # The page shall not learn where things are on this machine.
            raise ZeroDCEError(str(error).replace(str(path), name)) from error
        with self._lock:
            self._files[found.id] = found
        return found

    def remove(self, id: str) -> None:
        """Take a file from the list; one that the page sent is deleted."""
        file = self.get(id)
        with self._lock:
            self._files.pop(id, None)
        if file.sent:
            file.path.unlink(missing_ok=True)

    @property
    def folder_name(self) -> str | None:
        """Of the folder, for people."""
        return None if self._folder is None else self._folder.name or str(self._folder)

    def listing(self) -> list[str]:
        """Paths of the pictures and videos in the folder, as ``add_from_folder`` takes them."""
        if self._folder is None:
            return []
        try:
            found = find_media(self._folder)
        except ZeroDCEError:  # there is none
            return []
        inside = (path for path in found if self._is_inside(path))
        return [p.relative_to(self._folder).as_posix() for p in inside][:_MOST_LISTED]

    def _in_folder(self, name: str) -> Path:
        parts = PurePosixPath(name).parts
        refused = ZeroDCEError("there is no such file in the folder")
        if self._folder is None or not parts or "\0" in name or os.path.isabs(name):
            raise refused
        if any(part.startswith(".") or "\\" in part or ":" in part for part in parts):
            raise refused
        path = self._folder.joinpath(*parts)
        if not path.is_file() or not self._is_inside(path):
            raise refused
        return path

    def _is_inside(self, path: Path) -> bool:
        assert self._folder is not None
        return path.resolve().is_relative_to(self._folder)


def _plain(name: str) -> str:
    """A file's name without folders and what cannot be printed, not too long."""
    last = name.replace("\\", "/").rpartition("/")[2]
    shown = "".join(c if c.isprintable() and c not in '<>:"|?*' else "_" for c in last)
    path = Path(shown.lstrip(".") or "file")
    return f"{path.stem[:_LONGEST_NAME]}{path.suffix[:16]}"


def _look_at(path: Path, name: str, sent: bool) -> MediaFile:
    id = secrets.token_hex(8)
    if is_picture(path):
        height, width = read_picture(path).rgb.shape[:2]
        return MediaFile(
            id=id, path=path, name=name, kind="picture", width=width, height=height, sent=sent
        )
    with VideoReader(path) as reader:
        context = reader.stream.codec_context
        return MediaFile(
            id=id, path=path, name=name, kind="video", width=context.width, height=context.height,
            seconds=reader.duration_seconds, fps=float(reader.rate) if reader.rate else None,
            sent=sent,
        )  # fmt: skip
