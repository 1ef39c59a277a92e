"""Estimators: a small RGB picture -> curve maps, by one of several runtimes.

Backends are probed only when asked for. The reason why one cannot be used is kept, so that
``auto`` can log it and ``zerodce-rt doctor`` can show it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.checkpoint import Checkpoint
from zerodce_rt.errors import ZeroDCEError

log = logging.getLogger(__name__)


class Estimator(Protocol):
    """A network on some runtime and device."""

    name: str

    def estimate(self, thumbnail: NDArray[np.float32]) -> NDArray[np.float32]:
        """Curve maps ``(3k, h, w)`` in [-1, 1] for RGB ``(3, h, w)`` in [0, 1]."""
        ...


class BackendUnavailable(Exception):
    """Why a backend cannot be used on this machine, and what would change that."""


@dataclass(frozen=True)
class Backend:
    """A runtime by name.

    Its module offers ``probe(device)`` and ``create(checkpoint, device, exact=...)``.
    """

    name: str
    module: str
    device: str
    description: str

    def probe(self) -> str:
        """What would be used here, e.g. a version and a device name.

        Raises:
            BackendUnavailable: with the reason.
        """
        answer: str = import_module(self.module).probe(self.device)
        return answer

    def create(self, checkpoint: Checkpoint, *, exact: bool = False) -> Estimator:
        module = import_module(self.module)
        estimator: Estimator = module.create(checkpoint, self.device, exact=exact)
        return estimator


# The order in which ``auto`` tries them.
BACKENDS: dict[str, Backend] = {
    b.name: b
    for b in (
        Backend("cuda", f"{__name__}.torch", "cuda", "PyTorch on an NVIDIA GPU"),
        Backend("openvino", f"{__name__}.openvino", "CPU", "OpenVINO on the CPU"),
        Backend("torch", f"{__name__}.torch", "cpu", "PyTorch on the CPU (the reference)"),
    )
}


def create_estimator(
    checkpoint: Checkpoint, backend: str = "auto", *, exact: bool = False
) -> Estimator:
    """Load the network on a backend.

    Args:
        backend: a key of ``BACKENDS``, or ``"auto"`` for the first that works here.
        exact: compute in float32 even where the processor has something faster.

    Raises:
        ZeroDCEError: an unknown backend, or one that is not available (never replaced
            silently by another).
    """
    if backend == "auto":
        reasons = []
        for candidate in BACKENDS.values():
            try:
                found = candidate.probe()
            except BackendUnavailable as reason:
                log.debug("backend %s not available: %s", candidate.name, reason)
                reasons.append(f"{candidate.name}: {reason}")
                continue
            log.debug("backend %s (%s)", candidate.name, found)
            return candidate.create(checkpoint, exact=exact)
        raise ZeroDCEError("no backend is available; " + "; ".join(reasons))
    if backend not in BACKENDS:
        raise ZeroDCEError(f"unknown backend {backend!r}; valid: auto, {', '.join(BACKENDS)}")
    chosen = BACKENDS[backend]
    try:
        log.debug("backend %s (%s)", backend, chosen.probe())
    except BackendUnavailable as reason:
        raise ZeroDCEError(f"backend {backend} is not available: {reason}") from reason
    return chosen.create(checkpoint, exact=exact)
