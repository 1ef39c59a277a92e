"""Files that appear under their name only when they are complete."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def finished_file(output: Path) -> Iterator[Path]:
    """A temporary name beside ``output`` that becomes it on success and vanishes otherwise.

    The name ends as ``output`` does, since writers choose a format by it.
    """
    partial = output.with_name(f".{output.stem}.{os.getpid()}.part{output.suffix}")
    try:
        yield partial
        os.replace(partial, output)
    finally:
        partial.unlink(missing_ok=True)
