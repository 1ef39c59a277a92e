"""Backends: what runs the network and applies the curve, by name.

A backend is probed only when asked for. The reason why one cannot be used is kept, so that
``auto`` can log it and ``zerodce-rt doctor`` can show it. Importing this imports nothing heavy.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from zerodce_rt.backends.interfaces import BackendUnavailable
from zerodce_rt.errors import UsageError, ZeroDCEError

if TYPE_CHECKING:
    from zerodce_rt.network.checkpoint import Checkpoint

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Backend:
    """A runtime for the network.

    Attributes:
        module: has ``probe()`` and ``create(checkpoint, exact=...)``; imported when one is called.
        on_gpu: whether it makes a ``DeviceNetwork``, for a GPU, or an ``Estimator``, for the CPU.
        has_engines: it builds an engine for each size, which takes seconds to minutes.
    """

    name: str
    module: str
    on_gpu: bool = False
    has_engines: bool = False

    def probe(self) -> str:
        """What it would use here, such as a version and a device's name.

        Raises:
            BackendUnavailable: if it cannot be used, with the reason.
        """
        found: str = import_module(self.module).probe()
        return found

    def create(self, checkpoint: Checkpoint, *, exact: bool = False) -> Any:
        """Load a network: a ``DeviceNetwork`` if ``on_gpu``, an ``Estimator`` otherwise.

        Args:
            exact: compute in float32 even where a CPU has something faster; a GPU always
                computes in float16.
        """
        return import_module(self.module).create(checkpoint, exact=exact)


BACKENDS: dict[str, Backend] = {
    b.name: b
    for b in (
        Backend("tensorrt", f"{__name__}.tensorrt.torch_tensorrt", on_gpu=True, has_engines=True),
        Backend("tensorrt-rtx", f"{__name__}.tensorrt.rtx", on_gpu=True, has_engines=True),
        Backend("cuda", f"{__name__}.cuda.backend", on_gpu=True),
        Backend("openvino", f"{__name__}.cpu.openvino_network"),
        Backend("torch", f"{__name__}.cpu.torch_network"),
    )
}
"""By name, in the order in which ``auto`` tries them; but see ``probed``."""


def gpu_backends() -> list[str]:
    """Names of the backends that run on a GPU."""
    return [backend.name for backend in BACKENDS.values() if backend.on_gpu]


def for_pictures(name: str, *, small: bool) -> str:
    """Name of the backend that single pictures should use, in the place of ``"auto"``.

    A CPU has brightened a picture before a GPU has started, unless the network sees all of it.

    Args:
        small: as in ``probed``.
    """
    if name != "auto" or not small:
        return name
    return choose_backend(skip=gpu_backends()).name


def probed(
    skip: Collection[str] = (), *, small: bool = False
) -> Iterator[tuple[Backend, str | BackendUnavailable]]:
    """Each backend, in the order of ``auto``, with what ``probe`` returned or raised.

    Args:
        skip: names of backends to leave out.
        small: they are to work on small pictures (``WorkingSize.small``): an engine does not make
            them faster, so that backends without come before those with.
    """
    backends = list(BACKENDS.values())
    if small:
        backends.sort(key=lambda backend: (not backend.on_gpu, backend.has_engines))
    for backend in backends:
        if backend.name in skip:
            continue
        try:
            yield backend, backend.probe()
        except BackendUnavailable as reason:
            yield backend, reason


def choose_backend(
    name: str = "auto", *, skip: Collection[str] = (), small: bool = False
) -> Backend:
    """Find a backend that can be used here.

    Args:
        name: a key of ``BACKENDS``, or ``"auto"`` for the first that can be used.
        skip: names that ``"auto"`` leaves out.
        small: as in ``probed``.

    Raises:
        UsageError: for an unknown name.
        ZeroDCEError: for a backend that is not available: one asked for by name is never replaced
            by another.
    """
    if name == "auto":
        return _first_available(skip, small)
    if name not in BACKENDS:
        raise UsageError(f"unknown backend {name!r}; valid: auto, {', '.join(BACKENDS)}")
    chosen = BACKENDS[name]
    try:
        log.debug("backend %s (%s)", name, chosen.probe())
    except BackendUnavailable as reason:
        raise ZeroDCEError(f"backend {name} is not available: {reason}") from reason
    return chosen


def _first_available(skip: Collection[str], small: bool) -> Backend:
    from zerodce_rt.backends.cuda.driver import nvidia_driver_present

    reasons = []
    unused_gpu: BackendUnavailable | None = None
    for backend, found in probed(skip, small=small):
        if isinstance(found, str):
            log.debug("backend %s (%s)", backend.name, found)
            if unused_gpu is not None and not backend.on_gpu and nvidia_driver_present():
                log.info("the NVIDIA card is not used: %s", unused_gpu)
            return backend
        log.debug("backend %s not available: %s", backend.name, found)
        reasons.append(f"{backend.name}: {found}")
        if backend.on_gpu:  # the last of them needs least: its reason is shown
            unused_gpu = found
    raise ZeroDCEError("no backend is available; " + "; ".join(reasons))
