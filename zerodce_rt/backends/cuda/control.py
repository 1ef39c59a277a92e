"""``CurveControl`` on the GPU: maps are limited and smoothed without a host round trip."""

from __future__ import annotations

import math

import torch
import triton
from torch import Tensor

from zerodce_rt.backends.cuda.control_kernels import control_kernel
from zerodce_rt.curve.control import (
    BLACK_LEVEL,
    CUT_THRESHOLD,
    DARKEST_LEVEL,
    PROBE_SHARES,
    PROBE_SIZE,
    ControlSettings,
)
from zerodce_rt.curve.light import ITERATIONS
from zerodce_rt.curve.maps import iterate

LARGEST = 4096
"""Pixels of maps that ``control_kernel``, which runs in one block of threads, can take."""
WARPS, REGISTERS = 16, 128
"""Of that block; without a bound, ptxas may use half of the registers only, and spill."""


class DeviceControl:
    """The maps to apply, in tensors that stay in place. Holds the state of one video.

    Maps are estimated for every frame: ``ControlSettings.estimate_seconds`` has no effect.

    Attributes:
        maps: to apply, ``(3k, h, w)`` float16 in [-1, 1]; without the strength.
        gain: one float32 to multiply them with: the strength, or 0 if they are all zeros.

    Args:
        thumbnail: ``(3, h, w)`` float16 RGB in [0, 1]; each frame's is written there.
        estimate: ``(3k, h, w)`` float16 in [-1, 1]; each frame's is written there.
        max_level: as in ``ControlSettings``.
        largest: maps of more pixels are followed by PyTorch's operations.
    """

    def __init__(
        self, thumbnail: Tensor, estimate: Tensor, max_level: float, *, largest: int = LARGEST
    ) -> None:
        self._thumbnail, self._estimate, self._largest = thumbnail, estimate, largest
        self._max_level = max_level
        self._before = torch.zeros_like(thumbnail)
        self._state = torch.zeros_like(estimate, dtype=torch.float32)
        self.maps = torch.zeros_like(estimate)
        self.gain = torch.zeros(1, device=estimate.device)
        self.reset()

    def reset(self) -> None:
        """Forget the past; the next frame starts a new scene."""
        self._seconds: float | None = None

    def parameters(self, settings: ControlSettings, seconds: float | None) -> tuple[float, float]:
        """What ``run`` needs for the next frame, computed on the host.

        Args:
            seconds: the frame's time; None for a picture without one, which stands alone.

        Returns:
            The strength, and how far to go from the last maps to the estimate, in [0, 1].
        """
        follow = 1.0
        if seconds is not None and self._seconds is not None and settings.smoothing_seconds > 0:
            elapsed = seconds - self._seconds
            if elapsed >= 0:
                follow = 1 - math.exp(-elapsed / settings.smoothing_seconds)
        self._seconds = seconds
        return settings.strength, follow

    def run(self, parameters: Tensor) -> None:
        """Turn the estimate into ``maps`` and ``gain``, on the current stream.

        Args:
            parameters: those of ``parameters()``, two float32 on the device.
        """
        count, height, width = self._estimate.shape
        if height * width > self._largest:
            self._run_large(parameters)
            return
        step = -(-max(height, width) // PROBE_SIZE)
        probe = -(-height // step) * -(-width // step)
        control_kernel[(1,)](
            self._estimate, self._thumbnail, self._before, self._state, self.maps, self.gain,
            parameters, height, width, self._max_level, ITERATIONS, count, SHARED=count == 3,
            STEP=step, SIZE=triton.next_power_of_2(height * width),
            PROBE=triton.next_power_of_2(probe), num_warps=WARPS, maxnreg=REGISTERS,
        )  # fmt: skip

    def _run_large(self, parameters: Tensor) -> None:
        """The same in PyTorch, for the sizes of the published programs."""
        now, old = self._thumbnail.float(), self._before.float()
        level = torch.maximum(now.mean(), old.mean()).clamp(min=DARKEST_LEVEL)
        is_cut = (now - old).abs().mean() > CUT_THRESHOLD * level
        target = self._estimate.float()
        if self._max_level < 1:
            target *= self._share()
        self._state.lerp_(target, torch.where(is_cut, 1.0, parameters[1]))
        self.maps.copy_(self._state)
        self.gain.copy_(parameters[0] * self.maps.any())
        self._before.copy_(self._thumbnail)

    def _share(self) -> Tensor:
        """The share of the curve that keeps the mean at ``max_level`` (see ``within_level``)."""
        step = -(-max(self._estimate.shape[1:]) // PROBE_SIZE)
        probe = self._thumbnail[:, ::step, ::step].float()
        curve = self._estimate[:, ::step, ::step].float()
        shares = torch.linspace(0, 1, len(PROBE_SHARES), device=curve.device)
        pictures = iterate(probe, shares[:, None, None, None] * curve)
        lit = pictures[-1].amax(0) > BLACK_LEVEL
        levels = (pictures.mean(1) * lit).sum((1, 2)) / lit.sum().clamp(min=1)
        above = (levels > self._max_level).to(torch.int8).argmax(0, keepdim=True)
        below = (above - 1).clamp(min=0)
        # Not levels[above]: indexing with a tensor takes a host round trip.
        low, high = levels.gather(0, below), levels.gather(0, above)
        fitting = shares.gather(0, below) + (self._max_level - low) / (high - low) * shares[1]
        fits = (levels[-1] <= self._max_level) | ~lit.any()
        return torch.where(fits, 1.0, torch.where(above == 0, 0.0, fitting))
