"""A place in a storage, which is asked the same as a path of this machine."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from zerodce_rt.errors import UsageError
from zerodce_rt.media.paths import without_password
from zerodce_rt.storage.errors import naming_storage, shown

# Of two letters and more, since one is a drive of Windows.
_URL = re.compile(r"([a-z][a-z0-9+.-]+):/(/?)", re.IGNORECASE)
_STREAMS = frozenset("rtsp rtsps rtmp rtmps rtp udp tcp srt mms mmsh rist hls tls".split())
_WEB = frozenset({"http", "https"})
_HERE = frozenset({"file", "local"})
_GLOB = re.compile(r"[*?\[]")

# What storages call the time of the last change, and what changes with the content.
_TIMES = "LastModified last_modified updated mtime modified created creation_time".split()
_MARKS = "ETag etag generation md5Hash content_md5".split()


@dataclass(frozen=True)
class Stat:
    """What is asked of a file, as ``os.stat`` calls it."""

    st_size: int
    st_mtime_ns: int


@dataclass(frozen=True, order=True, repr=False)
class Remote:
    """A file or folder in a storage; has of the methods of ``Path`` what is needed.

    Attributes:
        url: without a slash at its end.
        found: what a list of its folder has said of it; otherwise the storage is asked each time.
    """

    url: str
    found: Mapping[str, Any] | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return shown(self.url)

    def __repr__(self) -> str:
        return f"Remote({str(self)!r})"

    @property
    def _start(self) -> str:
        return self.url[: self.url.index("://") + 3]

    @property
    def _path(self) -> PurePosixPath:
        """The bucket and what follows."""
        return PurePosixPath(self.url.removeprefix(self._start))

    @property
    def protocol(self) -> str:
        return self._start.removesuffix("://")

    @property
    def name(self) -> str:
        """Empty for a bucket: another one beside it is nothing that a file may become."""
        rest = self.url.removeprefix(self._start)
        return rest.rpartition("/")[2] if "/" in rest else ""

    @property
    def stem(self) -> str:
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.name).suffix

    @property
    def parent(self) -> Remote:
        return Remote(self.url[: -len(self.name) - 1]) if self.name else self

    @property
    def parents(self) -> list[Remote]:
        return [self.parent, *self.parent.parents] if self.name else []

    def with_name(self, name: str) -> Remote:
        return Remote(f"{self.parent.url}/{name}")

    def __truediv__(self, other: str | PurePath) -> Remote:
        more = PurePath(other).as_posix()
        return self if more == "." else Remote(f"{self.url}/{more}")

    def relative_to(self, folder: Remote) -> PurePosixPath:
        return self._path.relative_to(folder._path)

    def resolve(self) -> Remote:
        return self

    def exists(self) -> bool:
        return self.look() is not None

    def is_file(self) -> bool:
        found = self.look()
        return found is not None and found["type"] == "file"

    def is_dir(self) -> bool:
        found = self.look()
        return found is not None and found["type"] == "directory"

    def stat(self) -> Stat:
        found = self.look()
        with naming_storage(self.url):
            if found is None:
                raise FileNotFoundError
        return Stat(found["size"] or 0, _modified_ns(found))

    def version(self) -> str:
        """Changes when the content does, as far as the storage tells."""
        found, stat = self.look() or {}, self.stat()
        marks = [str(found.get(name)) for name in _MARKS]
        return sha256(repr((marks, stat.st_size, stat.st_mtime_ns)).encode()).hexdigest()

    def look(self) -> Mapping[str, Any] | None:
        """What the storage says of it; None if it is not there."""
        if self.found is not None:
            return self.found
        with naming_storage(self.url):
            fs, path = opened(self.url)
            fs.invalidate_cache(fs._parent(path))  # others write there, too
            try:
                found: Mapping[str, Any] = fs.info(path)
            except (FileNotFoundError, NotADirectoryError):
                return None
            return found

    def rglob(self, pattern: str) -> Iterator[Remote]:
        """Files below a folder whose name fits."""
        with naming_storage(self.url):
            fs, path = opened(self.url)
            fs.invalidate_cache(path)  # others write there, too
            files = fs.find(path, detail=True)
        for file, found in files.items():
            below = self._at(path, file)
            if fnmatch.fnmatchcase(below.name, pattern) and _can_be_a_path(below.name):
                yield Remote(below.url, found)

    def glob(self) -> list[Remote]:
        """What a URL with ``*`` in it means."""
        at = _GLOB.search(self.url)
        assert at is not None
        folder = Remote(self.url[: at.start()].rpartition("/")[0])
        with naming_storage(self.url):
            fs, path = opened(self.url)
            return [folder._at(opened(folder.url)[1], p) for p in sorted(fs.glob(path))]

    def _at(self, path: str, file: str) -> Remote:
        """A path that the storage has given for what is below this folder.

        Args:
            path: the folder's own.
        """
        return Remote(f"{self.url.rstrip('/')}/{file.removeprefix(path).lstrip('/')}")


Place = Path | Remote
"""Where a file is, or is to be."""


def of_this_machine(place: Place) -> Path:
    """A place that is known to be no storage."""
    assert isinstance(place, Path), place
    return place


def place(text: str | Path) -> Place:
    """The path or URL that a text is.

    Raises:
        UsageError: for a URL of a stream, of the web, or of what fsspec does not know.
        ZeroDCEError: fsspec is missing.
    """
    match = None if isinstance(text, Path) else _URL.match(text)
    if match is None:
        return Path(text)
    url, protocol = str(text), match[1].lower()
    if protocol in _STREAMS or not match[2]:
        raise UsageError(
            f"{without_password(url)}: is a stream, which has no end; 'zerodce-rt live' plays and "
            "records it"
        )
    if protocol in _WEB:
        raise UsageError(
            f"{without_password(url)}: is on the web, from where nothing is fetched; download it "
            "first, or play it with 'zerodce-rt live'"
        )
    if protocol not in _known() or "::" in url:
        raise UsageError(f"{shown(url)}: no kind of storage; known are s3://, gs:// and others")
    if protocol in _HERE:
        from fsspec.implementations.local import LocalFileSystem

        return Path(LocalFileSystem._strip_protocol(url))
    return Remote(f"{protocol}://{url[match.end() :].rstrip('/')}")


def expanded(text: str) -> list[str]:
    """A URL with ``*`` in it as those that it means; anything else as it is."""
    if not _URL.match(text) or not _GLOB.search(text):
        return [text]
    found = place(text)
    if found.exists():
        return [text]
    if isinstance(found, Path):
        return sorted(glob.glob(str(found))) or [text]
    return [remote.url for remote in found.glob()] or [text]


def opened(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it."""
    from fsspec.core import url_to_fs

    fs, path = url_to_fs(url)
    return fs, path


def opened_file(place: Place) -> Any:
    """A file, here or in a storage, open for reading bytes.

    Raises:
        FileNotFoundError: there is none.
    """
    if isinstance(place, Path):
        return place.open("rb")
    if not place.exists():
        raise FileNotFoundError(str(place))
    with naming_storage(place.url):
        fs, path = opened(place.url)
        return fs.open(path, "rb")


def _known() -> frozenset[str]:
    with naming_storage("storage://"):
        import fsspec

        return frozenset(fsspec.available_protocols())


def _can_be_a_path(name: str) -> bool:
    """Whether a name in a storage is one on this machine, and leads nowhere else."""
    return os.name != "nt" or not set(name) & set('\\:<>"|?*')


def _modified_ns(found: Mapping[str, Any]) -> int:
    """When a file was changed last; 0 if the storage does not tell."""
    for value in (found.get(name) for name in _TIMES):
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value.replace("Z", "+00:00"))
            except ValueError:
                continue
        if isinstance(value, datetime):
            zoned = value if value.tzinfo else value.replace(tzinfo=timezone.utc)
            value = zoned.timestamp()
        if isinstance(value, (int, float)):
            return round(value * 1e6) * 1000
    return 0
