"""The cache of engines: compiled networks, which take seconds to minutes to build.

Each engine is a file of its own, beside a JSON file that says what it was built from and for. An
engine is used only if all of that is as it is asked for now; otherwise it is built again.
"""

from __future__ import annotations

import hashlib
import json
import logging
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
from zerodce_rt.cache import cache_folder, private_folder
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.network.checkpoint import Checkpoint
from zerodce_rt.progress import working

log = logging.getLogger(__name__)

T = TypeVar("T")

_SUFFIX = ".engine"
# Between two log lines while another process builds the engine.
_PATIENCE_SECONDS = 10.0


class EngineRejected(RuntimeError):
    """Why an engine cannot be built or used."""


@dataclass(frozen=True, kw_only=True)
class EngineKey:
    """All that an engine depends on.

    Attributes:
        backend: that runs it, e.g. ``"tensorrt-rtx"``.
        model: ``"plus"`` or ``"dcenet"``.
        weights: SHA-256, see ``weights_digest``.
        height, width: of the network's input and output, in pixels.
        target: compute capability, e.g. ``"sm89"``.
        versions: of the packages that built it, by name.
        gpu, driver: name and version; empty if it runs on every card of the target.
        types: of input and output.
        system: operating system and architecture.
    """

    backend: str
    model: str
    weights: str
    height: int
    width: int
    target: str
    versions: dict[str, str]
    gpu: str = ""
    driver: str = ""
    types: str = "float16 to float16"
    system: str = f"{sys.platform} {platform.machine()}"

    @property
    def stem(self) -> str:
        """Name of the engine's files, without suffix."""
        fields = json.dumps(asdict(self), sort_keys=True).encode()
        digest = hashlib.sha256(fields).hexdigest()[:16]
        size = f"{self.width}x{self.height}"
        return f"{self.backend}-{self.model}-{size}-{self.target}-{digest}"


@dataclass(frozen=True)
class CachedEngine:
    """An engine in the cache, as its JSON file describes it.

    Attributes:
        key: the fields of ``EngineKey``, or what another version of this program wrote.
        bytes: size of the engine.
        built: date and time, in ISO 8601.
        seconds: it took to build.
        sha256: of the engine, in hexadecimal.
    """

    path: Path
    key: dict[str, Any]
    bytes: int
    built: str
    seconds: float
    sha256: str


def weights_digest(checkpoint: Checkpoint) -> str:
    """SHA-256 of a checkpoint's names, dtypes, shapes and values, in hexadecimal."""
    digest = hashlib.sha256()
    for name, values in sorted(checkpoint.weights.items()):
        digest.update(f"{name} {values.dtype} {values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


class EngineCache:
    """Engines in a folder that nobody but the user may write to.

    Attributes:
        folder: None if there is no such folder; engines are then built each time.

    Args:
        folder: default: ``engines`` in the user's cache folder.
    """

    def __init__(self, folder: Path | None = None) -> None:
        found = cache_folder("engines") if folder is None else private_folder(folder)
        self.folder = Path(found) if found else None

    def load(
        self, key: EngineKey, build: Callable[[], bytes], use: Callable[[bytes, bool], T],
        *, usually_seconds: float = 1.0,
    ) -> T:  # fmt: skip
        """Take an engine from the cache, or build it and keep it there.

        Two processes that want the same engine build it once. A cached one that is damaged, or
        that ``use`` rejects, is deleted and built again, once.

        Args:
            build: returns the engine; may raise ``EngineRejected``.
            use: called with the engine and whether it is new; may raise ``EngineRejected``.
            usually_seconds: how long a first ``build`` and ``use`` take, for the progress shown.

        Returns:
            What ``use`` returns.

        Raises:
            EngineRejected: if a new engine is rejected.
        """
        what = f"compiling {key.model} at {key.width}x{key.height} for {key.gpu or key.target}"
        progress = partial(
            working, what, usually_seconds=usually_seconds, show=log.isEnabledFor(logging.INFO)
        )
        if self.folder is None:
            with progress():
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
            with progress():
                engine = build()
                result = use(engine, True)
            _write(path, key, engine, time.monotonic() - started)
        return result

    def companion(self, key: EngineKey, suffix: str) -> Path | None:
        """Path of a file that is deleted with the engine; None without a folder."""
        return None if self.folder is None else self.folder / f"{key.stem}.{suffix}"

    def __iter__(self) -> Iterator[CachedEngine]:
        """The engines with a readable JSON file, by file name."""
        for path in sorted(self.folder.glob(f"*{_SUFFIX}")) if self.folder else ():
            try:
                yield _described(path)
            except EngineRejected as reason:
                log.debug("%s: %s", path, reason)

    def clear(self) -> int:
        """Delete everything in the folder; returns the number of engines."""
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
    """Hold an engine's lock; logs a line now and then while another process holds it."""
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


def _described(path: Path) -> CachedEngine:
    """An engine's JSON file.

    Raises:
        EngineRejected: it cannot be read.
    """
    try:
        facts = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        return CachedEngine(
            path, dict(facts["key"]), path.stat().st_size, str(facts["built"]),
            float(facts["seconds"]), str(facts["sha256"]),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise EngineRejected(f"cannot be read ({error})") from error


def _read(path: Path, key: EngineKey) -> bytes:
    described = _described(path)
    try:
        engine = path.read_bytes()
    except OSError as error:
        raise EngineRejected(f"cannot be read ({error})") from error
    if hashlib.sha256(engine).hexdigest() != described.sha256:
        raise EngineRejected("is damaged")
    if described.key != asdict(key):
        raise EngineRejected("was built for another card, network or version")
    return engine


def _write(path: Path, key: EngineKey, engine: bytes, seconds: float) -> None:
    facts = {
        "key": asdict(key), "sha256": hashlib.sha256(engine).hexdigest(),
        "built": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "seconds": round(seconds, 2),
    }  # fmt: skip
    keep({path: engine, path.with_suffix(".json"): json.dumps(facts, indent=1).encode() + b"\n"})


def keep(files: dict[Path, bytes]) -> None:
    """Write files of the cache; a full disk or the like is logged, since they can be made again."""
    try:
        for path, content in files.items():
            with finished_file(path) as unfinished:
                unfinished.write_bytes(content)
    except ZeroDCEError as error:
        log.warning("%s: cannot be kept in the cache (%s)", path.name, error.__cause__)


def _drop(path: Path) -> None:
    """Delete an engine and its companions, but not the lock, which may be held."""
    for file in path.parent.glob(f"{path.stem}.*"):
        if file.suffix != ".lock":
            file.unlink(missing_ok=True)
