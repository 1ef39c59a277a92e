"""The folders of a studio: one that is private and deleted at the end, and one for results."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from zerodce_rt.errors import ZeroDCEError


@dataclass(frozen=True)
class Places:
    """Where files go.

    Attributes:
        uploads: what the page has sent.
        results: what was made; outlives the studio only if it was named.
    """

    uploads: Path
    results: Path


@contextmanager
def open_places(output: Path | None) -> Iterator[Places]:
    """Make the folders; delete the private one at the end of the block.

    Args:
        output: for results; default: in the private folder, too.

    Raises:
        ZeroDCEError: a folder cannot be made.
    """
    try:
        private = Path(tempfile.mkdtemp(prefix="zerodce-rt-studio-"))  # mode 0700
    except OSError as error:
        raise ZeroDCEError(
            f"{tempfile.gettempdir()}: no folder can be made in it ({error.strerror})"
        ) from error
    try:
        places = Places(private / "uploads", output or private / "results")
        for folder in (places.uploads, places.results):
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ZeroDCEError(
                    f"{folder}: cannot be made ({error.strerror}); choose another `output`"
                ) from error
        yield places
    finally:
        shutil.rmtree(private, ignore_errors=True)
