"""Which network was fastest for a size, kept from run to run."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path

from zerodce_rt.atomic import finished_file
from zerodce_rt.errors import ZeroDCEError

log = logging.getLogger(__name__)


class Winners:
    """Names by height and width, in a small JSON file.

    Args:
        folder: where the file is; None keeps nothing.
        circumstances: what the times depend on, such as the card and the versions of libraries.
    """

    def __init__(self, folder: Path | None, *circumstances: str) -> None:
        digest = hashlib.sha256(json.dumps(circumstances).encode()).hexdigest()[:16]
        self._file = None if folder is None else folder / f"{digest}.json"

    def get(self, height: int, width: int) -> str | None:
        """The name that was put there, if there is one."""
        found = self._read().get(f"{height}x{width}")
        return found if isinstance(found, str) else None

    def put(self, height: int, width: int, name: str) -> None:
        """Keep a name; a folder that cannot be written to is no harm."""
        if self._file is None:
            return
        content = self._read() | {f"{height}x{width}": name}
        try:
            with finished_file(self._file) as partial:
                partial.write_text(json.dumps(content, indent=1) + "\n")
        except (OSError, ZeroDCEError) as error:
            log.debug("%s: not written (%s)", self._file, error)

    def _read(self) -> dict[str, object]:
        if self._file is None:
            return {}
        try:
            content = json.loads(self._file.read_bytes())
        except (OSError, ValueError):  # not there, or cut short
            return {}
        return content if isinstance(content, dict) else {}
