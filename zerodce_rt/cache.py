"""Where to keep what can be made again, such as compiled kernels."""

from __future__ import annotations

import logging
import os
from pathlib import Path

log = logging.getLogger(__name__)


def cache_folder(name: str) -> str:
    """Path of a private folder in the user's cache; ``""`` where none can be made."""
    from platformdirs import user_cache_path

    folder = Path(user_cache_path("zerodce-rt", appauthor=False), name)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        log.debug("no cache: %s", error)
        return ""
    return str(folder) if os.access(folder, os.W_OK) else ""
