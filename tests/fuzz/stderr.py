"""What Python and the libraries under it write to stderr."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr

_STDERR = 2


@contextmanager
def captured_stderr() -> Iterator[Callable[[], str]]:
    """Catch everything, also what FFmpeg and libvips write without Python.

    Yields:
        A function that returns the text, during the block or after it.
    """
    # Its descriptor is closed with it, so it does not count as left over.
    with tempfile.TemporaryFile("a+", encoding="utf-8", errors="backslashreplace") as file:
        text = ""

        def so_far() -> str:
            if file.closed:
                return text
            file.flush()
            file.seek(0)
            return file.read()

        saved = os.dup(_STDERR)
        os.dup2(file.fileno(), _STDERR)
        try:
            with redirect_stderr(file):
                yield so_far
        finally:
            os.dup2(saved, _STDERR)
            os.close(saved)
            text = so_far()
