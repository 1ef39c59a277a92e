"""The cache of compiled networks, which take seconds to minutes to make and fit one machine.

Each engine is a file of its own with a JSON file beside it that says what it was made of and
for. An engine is used only if all of that is as it is asked for now; anything else is made anew.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout

from zerodce_rt.atomic import finished_file
from zerodce_rt.cache import cache_folder
from zerodce_rt.network.checkpoint import Checkpoint
from zerodce_rt.progress import working

log = logging.getLogger(__name__)

T = TypeVar("T")

_SUFFIX = ".engine"
# How often it is said that another process is still building.
_PATIENCE_SECONDS = 10.0


class EngineRejected(RuntimeError):
    """Why an engine cannot be made or used."""


@dataclass(frozen=True, kw_only=True)
class EngineKey:
    """All that an engine depends on.

    Attributes:
        backend: who runs it, e.g. ``"tensorrt-rtx"``.
        model: ``"plus"`` or ``"dcenet"``.
        weights: SHA-256 of names, shapes and values.
        height, width: of the network's input and output.
        types: of input and output, e.g. ``"float16 to float16"``.
        target: compute capability, e.g. ``"sm89"``.
        gpu, driver: empty if it runs on every card of that capability.
        versions: of all the programs that made it.
        system: operating system and processor.
    """

    backend: str
    model: str
    weights: str
    height: int
    width: int
    types: str
    target: str
    gpu: str
    driver: str
    versions: dict[str, str]
    system: str = f"{sys.platform} {platform.machine()}"

    @property
    def stem(self) -> str:
        """Name of its files, without suffix."""
        fields = json.dumps(asdict(self), sort_keys=True).encode()
        digest = hashlib.sha256(fields).hexdigest()[:16]
        size = f"{self.width}x{self.height}"
        return f"{self.backend}-{self.model}-{size}-{self.target}-{digest}"


@dataclass(frozen=True)
class CachedEngine:
    """An engine in the cache, as its JSON file tells.

    Attributes:
        key: as ``EngineKey``, or whatever another version wrote.
        built: when, in ISO 8601.
        seconds: that it took.
    """

    path: Path
    key: dict[str, Any]
    bytes: int
    built: str
    seconds: float


def weights_digest(checkpoint: Checkpoint) -> str:
    """What ``EngineKey.weights`` is for a checkpoint."""
    digest = hashlib.sha256()
    for name, values in sorted(checkpoint.weights.items()):
        digest.update(f"{name} {values.dtype} {values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


class EngineCache:
    """Engines in a folder of the user's own.

    Args:
        folder: default: ``engines`` in the user's cache folder. Where none can be made, engines
            are built anew each time.
    """

    def __init__(self, folder: Path | None = None) -> None:
        found = cache_folder("engines") if folder is None else str(folder)
        self.folder = Path(found) if found else None
        if self.folder is not None and _writable_by_others(self.folder):
            log.warning(
                "%s: not used as a cache, since others may write there; 'chmod 700' it", self.folder
            )
            self.folder = None

    def load(
        self, key: EngineKey, build: Callable[[], bytes], use: Callable[[bytes, bool], T],
        *, usually_seconds: float = 1.0,
    ) -> T:  # fmt: skip
        """What ``use`` makes of an engine from the cache, or of a new one.

        Two processes that want the same engine build it once. One in the cache that is damaged,
        or that ``use`` rejects, is dropped and built anew, once.

        Args:
            use: called with the engine and whether it is new; raises ``EngineRejected``.
            usually_seconds: what building and using it for the first time takes, to be told.

        Raises:
            EngineRejected: by a new engine as well.
        """
        what = f"compiling {key.model} at {key.width}x{key.height} for {key.gpu or key.target}"
        sign_of_life = partial(
            working, what, usually_seconds=usually_seconds, show=log.isEnabledFor(logging.INFO)
        )
        if self.folder is None:
            with sign_of_life():
                return use(build(), True)
        path = self.folder / (key.stem + _SUFFIX)
        with _locked(path):
            if path.exists():
                try:
                    return use(_read(path, key), False)
                except EngineRejected as reason:
                    log.warning("cached engine %s: %s; building it again", path.name, reason)
                    _drop(path)
            started = time.monotonic()
            with sign_of_life():
                engine = build()
                result = use(engine, True)
            _write(path, key, engine, time.monotonic() - started)
        return result

    def companion(self, key: EngineKey, suffix: str) -> Path | None:
        """A file beside an engine for what belongs to it; it goes when the engine goes."""
        return None if self.folder is None else self.folder / f"{key.stem}.{suffix}"

    def __iter__(self) -> Iterator[CachedEngine]:
        """All that are complete, by name."""
        for path in sorted(self.folder.glob(f"*{_SUFFIX}")) if self.folder else ():
            try:
                told = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
                yield CachedEngine(
                    path, dict(told["key"]), path.stat().st_size, str(told["built"]),
                    float(told["seconds"]),
                )  # fmt: skip
            except (OSError, ValueError, KeyError, TypeError) as error:
                log.debug("%s: %s", path, error)

    def clear(self) -> int:
        """Delete all engines and what belongs to them; the number of engines."""
        if self.folder is None:
            return 0
        engines = list(self.folder.glob(f"*{_SUFFIX}"))
        for path in engines:
            _drop(path)
        for path in self.folder.iterdir():
            path.unlink(missing_ok=True)
        return len(engines)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Alone with an engine; whoever must wait is told why."""
    lock = FileLock(path.with_suffix(".lock"), mode=0o600)
    while not lock.is_locked:
        try:
            lock.acquire(timeout=_PATIENCE_SECONDS)
        except Timeout:
            log.info("waiting for another process that builds %s ...", path.name)
    try:
        yield
    finally:
        lock.release()


def _read(path: Path, key: EngineKey) -> bytes:
    try:
        told = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        engine = path.read_bytes()
        complete = told["sha256"] == hashlib.sha256(engine).hexdigest()
        same = told["key"] == asdict(key)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EngineRejected(f"cannot be read ({error})") from error
    if not complete:
        raise EngineRejected("is damaged")
    if not same:
        raise EngineRejected("was made for something else")
    return engine


def _write(path: Path, key: EngineKey, engine: bytes, seconds: float) -> None:
    told = {
        "key": asdict(key), "sha256": hashlib.sha256(engine).hexdigest(),
        "built": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "seconds": round(seconds, 2),
    }  # fmt: skip
    try:
        with finished_file(path) as partial:
            partial.write_bytes(engine)
        with finished_file(path.with_suffix(".json")) as partial:
            partial.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    except OSError as error:  # such as a full disk: it works without
        log.warning("%s: cannot be kept (%s)", path.name, error)


def _drop(path: Path) -> None:
    """Delete an engine and its companions, but for the lock, which may be held."""
    for file in path.parent.glob(f"{path.stem}.*"):
        if file.suffix != ".lock":
            file.unlink(missing_ok=True)


def _writable_by_others(folder: Path) -> bool:
    """Whether somebody else could put an engine there, which is a program after all."""
    return os.name == "posix" and bool(folder.stat().st_mode & 0o022)
