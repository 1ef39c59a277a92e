"""Backends: what runs the networks and the curves here, one room for each kind of machine.

Backends are probed only when asked for. The reason why one cannot be used is kept, so that
``auto`` can log it and ``zerodce-rt doctor`` can show it.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from zerodce_rt.backends.interfaces import BackendUnavailable
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.network.checkpoint import Checkpoint

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Backend:
    """A runtime by name.

    Its module offers ``probe()`` and ``create(checkpoint, exact=...)``.

    Attributes:
        on_gpu: it makes a ``DeviceNetwork``, the others an ``Estimator``.
    """

    name: str
    module: str
    on_gpu: bool = False

    def probe(self) -> str:
        """What would be used here, e.g. a version and a device name.

        Raises:
            BackendUnavailable: with the reason.
        """
        answer: str = import_module(self.module).probe()
        return answer

    def create(self, checkpoint: Checkpoint, *, exact: bool = False) -> Any:
        """Load the network.

        Args:
            exact: compute in float32 even where the processor has something faster.
        """
        return import_module(self.module).create(checkpoint, exact=exact)


# The order in which ``auto`` tries them.
BACKENDS: dict[str, Backend] = {
    b.name: b
    for b in (
        Backend("tensorrt", f"{__name__}.tensorrt.torch_tensorrt", on_gpu=True),
        Backend("tensorrt-rtx", f"{__name__}.tensorrt.rtx", on_gpu=True),
        Backend("cuda", f"{__name__}.cuda.backend", on_gpu=True),
        Backend("openvino", f"{__name__}.cpu.openvino_network"),
        Backend("torch", f"{__name__}.cpu.torch_network"),
    )
}


def gpu_backends() -> list[str]:
    """Names of those that run on a GPU."""
    return [backend.name for backend in BACKENDS.values() if backend.on_gpu]


def probed(skip: Collection[str] = ()) -> Iterator[tuple[Backend, str | BackendUnavailable]]:
    """Each backend, in the order of ``auto``, with what would be used here or why it cannot be.

    Args:
        skip: names of those that are not asked.
    """
    for backend in BACKENDS.values():
        if backend.name in skip:
            continue
        try:
            yield backend, backend.probe()
        except BackendUnavailable as reason:
            yield backend, reason


def _has_nvidia_driver() -> bool:
    from zerodce_rt.backends.cuda.driver import nvidia_driver_present

    return nvidia_driver_present()


def choose_backend(name: str = "auto", *, skip: Collection[str] = ()) -> Backend:
    """The backend of a name, if it works here.

    Args:
        name: a key of ``BACKENDS``, or ``"auto"`` for the first that works here.
        skip: names that ``"auto"`` leaves out.

    Raises:
        ZeroDCEError: an unknown backend, or one that is not available (never replaced
            silently by another).
    """
    if name == "auto":
        reasons = []
        unused_gpu: BackendUnavailable | None = None
        for candidate, found in probed(skip):
            if isinstance(found, str):
                log.debug("backend %s (%s)", candidate.name, found)
                if unused_gpu is not None and not candidate.on_gpu and _has_nvidia_driver():
                    log.info("the NVIDIA card is not used: %s", unused_gpu)
                return candidate
            log.debug("backend %s not available: %s", candidate.name, found)
            reasons.append(f"{candidate.name}: {found}")
            if candidate.on_gpu:  # the last of them needs least
                unused_gpu = found
        raise ZeroDCEError("no backend is available; " + "; ".join(reasons))
    if name not in BACKENDS:
        raise ZeroDCEError(f"unknown backend {name!r}; valid: auto, {', '.join(BACKENDS)}")
    chosen = BACKENDS[name]
    try:
        log.debug("backend %s (%s)", name, chosen.probe())
    except BackendUnavailable as reason:
        raise ZeroDCEError(f"backend {name} is not available: {reason}") from reason
    return chosen
