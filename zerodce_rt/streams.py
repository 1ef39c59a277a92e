"""Standard output and error as a long run needs them: what cannot be shown does not end the work.

A terminal may be closed, a log may lie on a full disk, ``head`` may have read enough.
"""

from __future__ import annotations

import errno
import io
import os
import sys
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_STDERR = 2
_silencing = threading.Lock()


class Lasting(io.TextIOBase):
    """A text stream whose writing never raises.

    Attributes:
        failure: why something could not be written, such as a full disk. That the reader has gone
            is none.

    Args:
        stream: None is one that was closed from the start.
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.failure: OSError | None = None

    def write(self, text: str) -> int:
        self._try("write", text)
        return len(text)

    def flush(self) -> None:
        self._try("flush")

    def _try(self, method: str, *arguments: str) -> None:
        if self.stream is None:
            return
        try:
            getattr(self.stream, method, _nothing)(*arguments)
        except UnicodeEncodeError:  # an old code page
            text = arguments[0].encode(self.encoding, "backslashreplace").decode(self.encoding)
            self._try(method, text)
        except ValueError:  # closed
            self.stream = None
        except OSError as error:
            if error.errno in (errno.EPIPE, errno.EBADF, errno.EIO):  # EIO: a terminal that is gone
                self.stream = None
            else:
                self.failure = error

    def isatty(self) -> bool:
        try:
            return bool(getattr(self.stream, "isatty", _nothing)())
        except ValueError:  # closed
            return False

    def fileno(self) -> int:
        if not hasattr(self.stream, "fileno"):
            raise io.UnsupportedOperation("fileno")
        return int(self.stream.fileno())

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return getattr(self.stream, "encoding", None) or "utf-8"


def _nothing(*_: object) -> None:
    """What a stream does that some program has made up, and that lacks a method."""


def printable(text: str) -> str:
    r"""A text in which control characters, such as those of a file's name, are written out.

    >>> print(printable("night\x1b[31m.mp4: no such file"))
    night\x1b[31m.mp4: no such file
    """
    return "".join(
        c if c.isprintable() or _is_harmless(c) else c.encode("unicode_escape").decode()
        for c in text
    )


def _is_harmless(character: str) -> bool:
    """Whether a character that Python does not call printable is a kind of space, or a joiner."""
    return unicodedata.category(character) == "Zs" or character in "\u200c\u200d"


def make_lasting() -> None:
    """Replace ``sys.stdout`` and ``sys.stderr``, and open what was closed from the start.

    Otherwise the next file that is opened would become standard output, and get what libraries
    print.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    sys.stdout, sys.stderr = Lasting(sys.stdout), Lasting(sys.stderr)


@contextmanager
def silenced_stderr() -> Iterator[None]:
    """Let what a library writes to standard error by itself go nowhere; of the whole process."""
    with _silencing:
        try:
            saved = os.dup(_STDERR)
        except OSError:  # closed
            yield
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, _STDERR)
        os.close(nowhere)
        try:
            yield
        finally:
            os.dup2(saved, _STDERR)
            os.close(saved)
