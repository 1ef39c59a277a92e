"""Compiled kernels on disk, in place of Numba's own cache.

Numba keeps its machine code as pickles, which it takes as it finds them: after a power cut every
later start would fail, a full disk would end the run, and without a folder to write to it would
write into the installed package. Here a kernel that is not whole is compiled again, one that
cannot be kept is compiled each time, and the folder is one that nobody else may write to.
"""

from __future__ import annotations

import hashlib
import inspect
import logging
import pickle
import platform
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numba
from numba.core import compiler, serialize

from zerodce_rt.atomic import finished_file
from zerodce_rt.cache import cache_folder, private_folder
from zerodce_rt.errors import ZeroDCEError

log = logging.getLogger(__name__)

_SUFFIX = ".kernel"
_reported: set[str] = set()


class KernelCache:
    """The compiled forms of one function; has the methods that Numba calls.

    A kernel is a file: the SHA-256 of the rest, then what Numba pickles of its machine code. Its
    name says what it was compiled from and for. As with Numba's own cache, that is the function's
    source file, but not those of constants and functions that it uses.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        source = Path(inspect.getfile(function))
        self._name = f"{source.stem}.{function.__qualname__}"
        self.cache_path = _folder()
        try:
            status = source.stat()
        except OSError:  # in an archive
            self.cache_path = ""
            return
        self._source = source, function.__code__.co_code, status.st_mtime_ns, status.st_size

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """The kernel for argument types; None if it must be compiled."""
        target_context.refresh()
        path = self._path(signature, target_context.codegen())
        if path is None:
            return None
        try:
            content = path.read_bytes()
        except OSError:
            return None
        digest, compiled = content[:32], content[32:]
        if hashlib.sha256(compiled).digest() != digest:
            log.debug("%s: damaged; compiling it again", path)
            return None
        results: Any = compiler.CompileResult
        try:
            return results._rebuild(target_context, *pickle.loads(compiled))
        except Exception as error:  # it refers to what has been moved or renamed since
            log.debug("%s: %s; compiling it again", path, error)
            return None

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keep a kernel that was just compiled; where that fails, one line says so."""
        path = self._path(signature, result.codegen)
        if path is None:
            return
        dumps: Any = serialize.dumps
        compiled = dumps(result._reduce())
        try:
            with finished_file(path) as unfinished:
                unfinished.write_bytes(hashlib.sha256(compiled).digest() + compiled)
        except ZeroDCEError as error:
            if self.cache_path not in _reported:
                _reported.add(self.cache_path)
                log.warning("%s; the next run compiles its kernels again", error)
            return
        # What earlier versions of the function were compiled to.
        for file in path.parent.glob(f"{path.stem.rpartition('-')[0]}-*{_SUFFIX}"):
            if file != path:
                with suppress(OSError):
                    file.unlink()

    def _path(self, signature: Any, codegen: Any) -> Path | None:
        """Where a kernel is kept: ``name-types-source.kernel``."""
        if not self.cache_path:
            return None
        python = platform.python_version()
        types = _digest(self._source[0], signature, codegen.magic_tuple(), python)
        source = _digest(self._source[1:], numba.__version__)
        return Path(self.cache_path, f"{self._name}-{types}-{source}{_SUFFIX}")

    def flush(self) -> None:
        """Called by ``recompile``, which keeps what it compiles in place of the old."""


def _digest(*facts: object) -> str:
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def _folder() -> str:
    """Numba's own variable NUMBA_CACHE_DIR, or the user's cache."""
    config: Any = numba.config
    return private_folder(Path(config.CACHE_DIR)) if config.CACHE_DIR else cache_folder("kernels")
