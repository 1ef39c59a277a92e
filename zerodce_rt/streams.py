"""Standard output and error as a long run needs them: what cannot be shown does not end the work.

A terminal may be closed, a log may lie on a full disk, ``head`` may have read enough.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any


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
            getattr(self.stream, method)(*arguments)
        except ValueError:  # closed
            self.stream = None
        except OSError as error:
            if error.errno in (errno.EPIPE, errno.EBADF, errno.EIO):  # EIO: a terminal that is gone
                self.stream = None
            else:
                self.failure = error

    def isatty(self) -> bool:
        return self.stream is not None and bool(self.stream.isatty())

    def fileno(self) -> int:
        if self.stream is None:
            raise io.UnsupportedOperation("fileno")
        return int(self.stream.fileno())

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return getattr(self.stream, "encoding", None) or "utf-8"


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
