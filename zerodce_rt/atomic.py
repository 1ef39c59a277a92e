"""Files that appear under their name only once they are complete."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def finished_file(output: Path) -> Iterator[Path]:
    """Write a file under a temporary name beside ``output``, and rename it at the end of the block.

    After an exception, ``output`` is as it was before, and the temporary file is deleted.

    Yields:
        The temporary path. It has the suffix of ``output``, by which writers choose a format.
    """
    partial = output.with_name(f".{output.stem}.{os.getpid()}.part{output.suffix}")
    try:
        yield partial
        os.replace(partial, output)
    finally:
        partial.unlink(missing_ok=True)
