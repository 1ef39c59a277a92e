"""``CurveControl`` on the GPU: maps are limited and smoothed without a host round trip."""

from __future__ import annotations

import math

import torch
import triton
from torch import Tensor

from zerodce_rt.backends.cuda.control_kernels import (
    control_kernel,
    decide_kernel,
    difference_kernel,
    follow_kernel,
)
from zerodce_rt.curve.control import PROBE_SIZE
from zerodce_rt.curve.light import ITERATIONS

LARGEST = 4096
"""Pixels of maps that ``control_kernel``, which runs in one block of threads, can take."""
WARPS, REGISTERS = 16, 128
"""Of that block; without a bound, ptxas may use half of the registers only, and spill."""
BLOCK = 4096
"""Values that a block of threads takes of maps that are larger."""


class DeviceControl:
    """The maps to apply, in tensors that stay in place. Holds the state of one video.

    Maps are estimated for every frame: ``ControlSettings.estimate_seconds`` has no effect. A
    frame without a time neither uses nor changes the state, but of maps larger than ``largest``,
    where the next frame begins a scene.

    Attributes:
        maps: to apply, ``(3k, h, w)`` float16 in [-1, 1]; without the strength.
        gain: one float32 to multiply them with: the strength, or 0 if they are all zeros.
        denoise: two float32: the denoiser's strength, 0 for none (see ``CPURunner``); and 1 if
            it is to start anew, else 0. With larger maps there is no denoising.

    Args:
        thumbnail: ``(3, h, w)`` float16 RGB in [0, 1]; each frame's is written there.
        estimate: ``(3k, h, w)`` float16 in [-1, 1]; each frame's is written there.
        max_level: as in ``ControlSettings``.
        largest: maps of more pixels are followed by kernels over all of them.
    """

    def __init__(
        self, thumbnail: Tensor, estimate: Tensor, max_level: float, *, largest: int = LARGEST
    ) -> None:
        self._thumbnail, self._estimate = thumbnail, estimate
        self._max_level = max_level
        self._before = torch.zeros_like(thumbnail)
        self.maps = torch.zeros_like(estimate)
        self.gain = torch.zeros(1, device=estimate.device)
        self.denoise = torch.zeros(2, device=estimate.device)
        self._fine: Tensor | None = None
        if math.prod(estimate.shape[1:]) > largest:
            self._fine = torch.zeros_like(estimate, dtype=torch.int8)
            blocks = triton.cdiv(thumbnail.numel(), BLOCK)
            self._sums = torch.zeros((3, blocks), device=estimate.device)
            self._decided = torch.zeros(2, device=estimate.device)
        else:
            self._state = torch.zeros_like(estimate, dtype=torch.float32)

    def run(self, parameters: Tensor) -> None:
        """Turn the estimate into ``maps`` and ``gain``, on the current stream.

        Args:
            parameters: of ``FrameParameters``, float32 on the device.
        """
        count, height, width = self._estimate.shape
        step = -(-max(height, width) // PROBE_SIZE)
        probe = triton.next_power_of_2(-(-height // step) * -(-width // step))
        if self._fine is not None:
            self._run_large(self._fine, parameters, step, probe)
            return
        control_kernel[(1,)](
            self._estimate, self._thumbnail, self._before, self._state, self.maps, self.gain,
            self.denoise, parameters, height, width, self._max_level, ITERATIONS, count,
            SHARED=count == 3, STEP=step, SIZE=triton.next_power_of_2(height * width), PROBE=probe,
            num_warps=WARPS, maxnreg=REGISTERS,
        )  # fmt: skip

    def _run_large(self, fine: Tensor, parameters: Tensor, step: int, probe: int) -> None:
        """The same for the sizes of the published programs."""
        count, height, width = self._estimate.shape
        samples, blocks = self._thumbnail.numel(), self._sums.shape[1]
        difference_kernel[(blocks,)](self._thumbnail, self._before, self._sums, samples, SIZE=BLOCK)
        decide_kernel[(1,)](
            self._sums, blocks, self._estimate, self._thumbnail, parameters, self._decided,
            self.gain, height, width, self._max_level, ITERATIONS, SHARED=count == 3, STEP=step,
            PROBE=probe, SIZE=BLOCK, num_warps=WARPS, maxnreg=REGISTERS,
        )  # fmt: skip
        values = self._estimate.numel()
        follow_kernel[(triton.cdiv(values, BLOCK),)](
            self._estimate, self.maps, fine, self._decided, parameters, self.gain, values,
            SIZE=BLOCK,
        )  # fmt: skip
