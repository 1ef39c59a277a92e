"""A file, or standard output, that FFmpeg writes through Python."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any


class OutputFile(io.FileIO):
    """A new file for ``av.open``, which must be closed after the container.

    FFmpeg's own files stay open if a container's header is refused, and a full disk is an error
    of its encoder.

    Attributes:
        failure: the first error of writing. PyAV raises it once, and FFmpeg goes on failing.
    """

    def __init__(self, path: Path | int) -> None:
        super().__init__(path, "w")
        self.failure: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all of some bytes; FFmpeg does not ask how many were written."""
        rest = memoryview(data)
        try:
            while len(rest):
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.failure = self.failure or error
            raise
        return len(data)
