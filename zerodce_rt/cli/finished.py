"""What earlier runs have finished: remembered in a small hidden file beside their outputs.

Of outputs in a storage, it is in the user's cache.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import Enum, auto
from pathlib import Path

from zerodce_rt.atomic import finished_file
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.storage.remote import Place, Remote

log = logging.getLogger(__name__)

RECORD_NAME = ".zerodce-rt.jsonl"
"""Of the file in each folder that outputs are written to: an object in each line for each output
that was finished; of several with one name, the last counts."""

# A larger one is damaged, or meant to take all memory: this holds some 100,000 outputs.
_LARGEST_RECORD_BYTES = 32 << 20
# Lines that later ones have replaced may become as many as the others, and so many more.
_SPARE_LINES = 1000

# Neither through a link to some other file, nor waiting for a reader of a pipe.
_APPEND = (
    os.O_WRONLY | os.O_APPEND | os.O_CREAT
    | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
)  # fmt: skip

Settings = Mapping[str, str]
"""The options that change what a file becomes, as text."""


class State(Enum):
    """What an output's place holds before the file is enhanced."""

    FREE = auto()
    FINISHED = auto()
    """Our output of the same input with the same settings."""
    OUTDATED = auto()
    """Our output, as it was written; its input or the settings have changed."""
    THERE = auto()
    """A file that is not provably ours, or was changed since, and is newer than the input."""


@dataclass(frozen=True)
class Entry:
    """One output that was finished.

    Attributes:
        output: its name.
        input: path of its input from the folder of the output.
        input_size, input_mtime_ns: of the input before it was read.
        settings: it was made with.
        size, mtime_ns: of the output.
    """

    output: str
    input: str
    input_size: int
    input_mtime_ns: int
    settings: Settings
    size: int
    mtime_ns: int


class Record:
    """The outputs that were finished in one folder, by name.

    Lines are added at the end, so that several runs may do so at once, and a folder of thousands
    of pictures costs no more for each. Whatever is wrong with the file, work goes on: without what
    it says, no output is replaced.
    """

    def __init__(self, folder: Place) -> None:
        self.path = _record_path(folder)
        self._entries: dict[str, Entry] = {}
        self._lines = 0
        self._read_bytes = 0
        self._complained = False

    def entries(self) -> Mapping[str, Entry]:
        """What is known by now, by other runs in the same folder as well."""
        with suppress(OSError):
            # Opening a pipe would wait for ever.
            if self.path.is_file():
                self._read_on()
        return self._entries

    def has_made(self, file: Place) -> bool:
        """Whether a file of the folder is an earlier result; one that was copied still is."""
        entry = self.entries().get(file.name)
        return entry is not None and entry.size == file.stat().st_size

    def add(self, entry: Entry) -> None:
        """Note an output that has been finished."""
        try:
            self.entries()  # how long it is by now
            if self._lines > 2 * len(self._entries) + _SPARE_LINES:
                self._shorten()
            file = os.open(self.path, _APPEND, 0o666)
            try:
                if os.fstat(file).st_size > _LARGEST_RECORD_BYTES:
                    raise ZeroDCEError("it is too large to be read again")
                # A line that a power cut has left without its end stays one of its own.
                os.write(file, b"\n" + _line(entry))
            finally:
                os.close(file)
        except (ZeroDCEError, OSError) as error:
            if not self._complained:
                reason = getattr(error, "strerror", None) or error
                log.warning(
                    "%s: cannot be written (%s); another run will not know what is finished",
                    self.path, reason,
                )  # fmt: skip
            self._complained = True

    def _read_on(self) -> None:
        """Read what has been added since the last time."""
        size = self.path.stat().st_size
        if size < self._read_bytes:  # another one
            self._entries, self._lines, self._read_bytes = {}, 0, 0
        if size == self._read_bytes or size > _LARGEST_RECORD_BYTES:
            return
        with open(self.path, "rb") as file:
            file.seek(self._read_bytes)
            data = file.read(_LARGEST_RECORD_BYTES)
        whole = data[: data.rfind(b"\n") + 1]
        self._read_bytes += len(whole)
        for line in whole.splitlines():
            if entry := _entry(line):
                self._entries[entry.output] = entry
                self._lines += 1

    def _shorten(self) -> None:
        """Leave out the lines that later ones have replaced."""
        with finished_file(self.path) as unfinished:
            unfinished.write_bytes(b"".join(map(_line, self._entries.values())))
        self._lines, self._read_bytes = len(self._entries), self.path.stat().st_size


class Records:
    """The records of all folders that a run writes to."""

    def __init__(self) -> None:
        self._by_folder: dict[Place, Record] = {}

    def of(self, folder: Place) -> Record:
        if folder not in self._by_folder:
            self._by_folder[folder] = Record(folder)
        return self._by_folder[folder]

    def state(self, source: Place, output: Place, settings: Settings) -> State:
        """What is to be done about a file.

        Raises:
            ZeroDCEError: if there is an output that may not be replaced and is not one of the
                file as it is now.
        """
        if not output.is_file():  # what else it may be is refused when it is to be written
            return State.FREE
        before, after = source.stat(), output.stat()
        entry = self.of(output.parent).entries().get(output.name)
        if entry is None or (entry.size, entry.mtime_ns) != (after.st_size, after.st_mtime_ns):
            if after.st_mtime_ns >= before.st_mtime_ns:
                return State.THERE
            whose = "is not known to be ours" if entry is None else "was changed since"
            raise ZeroDCEError(
                f"{output}: exists already, is older than {source}, and {whose}; "
                "use `overwrite=True` to replace it"
            )
        same_file = (entry.input_size, entry.input_mtime_ns) == (
            before.st_size, before.st_mtime_ns,
        )  # fmt: skip
        if same_file and entry.settings == settings:
            return State.FINISHED
        if not same_file and entry.input != _path_from(output.parent, source):
            raise ZeroDCEError(
                f"{output}: exists already, made from another file ({entry.input}); "
                "use `overwrite=True` to replace it"
            )
        return State.OUTDATED

    def begin(self, source: Place, output: Place, settings: Settings) -> Callable[[], None]:
        """Note the input as it is now.

        Returns:
            What notes the output, once it is finished.
        """
        before = source.stat()

        def finished() -> None:
            after = output.stat()
            entry = Entry(
                output.name, _path_from(output.parent, source), before.st_size,
                before.st_mtime_ns, settings, after.st_size, after.st_mtime_ns,
            )  # fmt: skip
            self.of(output.parent).add(entry)

        return finished


def _record_path(folder: Place) -> Path:
    """The record of a folder; no storage lets lines be added to a file in it."""
    if isinstance(folder, Path):
        return folder / RECORD_NAME
    from zerodce_rt.storage.copies import record_path

    return record_path(folder)


def _path_from(folder: Place, file: Place) -> str:
    """A path that stays true if both are moved together; the other end of a URL stays where it is.

    >>> _path_from(Path("out"), Remote("s3://bucket/night.mp4"))
    's3://bucket/night.mp4'
    """
    if isinstance(file, Remote) or isinstance(folder, Remote):
        return str(file.resolve())
    try:
        return os.path.relpath(file.resolve(), folder.resolve())
    except ValueError:  # on another drive of Windows
        return str(file.resolve())


def _line(entry: Entry) -> bytes:
    # In ASCII: what is not UTF-8 in a file's name is kept as well.
    return json.dumps(asdict(entry)).encode("ascii") + b"\n"


def _entry(line: bytes) -> Entry | None:
    """The entry of a line; None if it cannot be one of ours."""
    try:
        entry = Entry(**json.loads(line))
    except (ValueError, TypeError, RecursionError):
        return None
    texts = entry.output, entry.input
    numbers = entry.input_size, entry.input_mtime_ns, entry.size, entry.mtime_ns
    right = all(isinstance(t, str) for t in texts) and all(isinstance(n, int) for n in numbers)
    return entry if right and isinstance(entry.settings, dict) else None
