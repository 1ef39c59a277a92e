"""``CurveControl`` on the GPU: maps are limited and smoothed without a host round trip."""

from __future__ import annotations

import math

import torch
import triton
from torch import Tensor

from zerodce_rt.backends.cuda.chained_kernels import chain_start, chained
from zerodce_rt.backends.cuda.control_kernels import (
    control_kernel,
    decide_kernel,
    difference_kernel,
    follow_kernel,
    lift_kernel,
)
from zerodce_rt.backends.cuda.window_kernels import slots_for
from zerodce_rt.curve.control import PROBE_SIZE
from zerodce_rt.curve.light import ITERATIONS

LARGEST = 4096
"""Pixels of maps that ``control_kernel``, which runs in one block of threads, can take."""
WARPS, REGISTERS = 16, 128
"""Of that block; without a bound, ptxas may use half of the registers only, and spill."""
BLOCK = 4096
"""Values that a block of threads takes of maps that are larger."""
CHUNK = 512
"""Sums of such blocks that are added up at once."""


class DeviceWindow:
    """The recent targets of one video, in tensors that stay in place (see ``window_kernels``).

    Attributes:
        slots: how many there are at most.
        ring: ``(slots, ...)`` float16, the targets.
        edges, weights: ``(slots,)`` float32.
        oldest: one int32, the slot that the next target takes.

    Args:
        estimate: of the shape of a target.
        smoothing: whether more than the newest target counts.
    """

    def __init__(self, estimate: Tensor, *, smoothing: bool) -> None:
        device = estimate.device
        self.slots = slots_for(estimate.numel()) if smoothing else 1
        self.ring = torch.zeros((self.slots, *estimate.shape), dtype=torch.float16, device=device)
        self.edges = torch.zeros(self.slots, device=device)
        self.weights = torch.zeros(self.slots, device=device)
        self.oldest = torch.zeros(1, dtype=torch.int32, device=device)


def map_sums_buffer(estimate: Tensor) -> Tensor:
    """Where ``follow_kernel`` puts the sums of maps such as these."""
    return torch.zeros(triton.cdiv(estimate.numel(), BLOCK) + len(estimate), device=estimate.device)


class DeviceControl:
    """The maps to apply, in tensors that stay in place. Holds the state of one video.

    Maps are estimated for every frame, but only those become targets that ``CurveControl`` would
    estimate. A frame without a time neither uses nor changes the state.

    Attributes:
        maps: to apply, ``(3k, h, w)`` float16 in [-1, 1]; without the strength.
        gain: one float32 to multiply them with: the strength, or 0 if they are all zeros.
        denoise: two float32: the denoiser's strength, 0 for none (see ``CPURunner``); and 1 if
            it is to start anew, else 0.

    Args:
        thumbnail: ``(3, h, w)`` float16 RGB in [0, 1]; each frame's is written there.
        estimate: ``(3k, h, w)`` float16 in [-1, 1]; each frame's is written there.
        max_level: as in ``ControlSettings``.
        largest: maps of more pixels are followed by kernels over all of them.
        smoothing: whether frames may have a ``smoothing_seconds`` above 0.
    """

    def __init__(
        self, thumbnail: Tensor, estimate: Tensor, max_level: float, *, largest: int = LARGEST,
        smoothing: bool = True,
    ) -> None:  # fmt: skip
        self._thumbnail, self._estimate = thumbnail, estimate
        self._max_level = max_level
        self._before = torch.zeros_like(thumbnail)
        self.maps = torch.zeros_like(estimate)
        self.gain = torch.zeros(1, device=estimate.device)
        self.denoise = torch.zeros(2, device=estimate.device)
        self._window = DeviceWindow(estimate, smoothing=smoothing)
        self._large = math.prod(estimate.shape[1:]) > largest
        if self._large:
            blocks = triton.cdiv(thumbnail.numel(), BLOCK)
            self._sums = torch.zeros((3, blocks), device=estimate.device)
            self._decided = torch.zeros(4, device=estimate.device)
            self._map_sums = map_sums_buffer(estimate)

    def run(self, parameters: Tensor) -> None:
        """Turn the estimate into ``maps``, ``gain`` and ``denoise``, on the current stream.

        Args:
            parameters: of ``FrameParameters``, float32 on the device.
        """
        count, height, width = self._estimate.shape
        step = -(-max(height, width) // PROBE_SIZE)
        probe = triton.next_power_of_2(-(-height // step) * -(-width // step))
        if self._large:
            self._run_large(parameters, step, probe)
            return
        window = self._window
        control_kernel[(1,)](
            self._estimate, self._thumbnail, self._before, window.ring, window.edges,
            window.oldest, window.weights, self.maps, self.gain, self.denoise, parameters,
            height, width, self._max_level, ITERATIONS, count, window.slots,
            SHARED=count == 3, STEP=step, SIZE=triton.next_power_of_2(height * width), PROBE=probe,
            num_warps=WARPS, maxnreg=REGISTERS,
        )  # fmt: skip

    def _run_large(self, parameters: Tensor, step: int, probe: int) -> None:
        """The same for the sizes of the published programs."""
        count, height, width = self._estimate.shape
        window = self._window
        samples, blocks = self._thumbnail.numel(), self._sums.shape[1]
        difference_kernel[(blocks,)](
            self._thumbnail, self._before, self._sums, parameters, samples, SIZE=BLOCK,
            **chain_start(self._estimate.device),
        )  # fmt: skip
        decide_kernel[(1,)](
            self._sums, blocks, self._estimate, self._thumbnail, window.edges, window.oldest,
            parameters, self._decided, window.weights, self.gain, self.denoise, height, width,
            self._max_level, ITERATIONS, window.slots, SHARED=count == 3, STEP=step, PROBE=probe,
            SIZE=BLOCK, num_warps=WARPS, maxnreg=REGISTERS, **chained(self._estimate.device),
        )  # fmt: skip
        values, plane = self._estimate.numel(), height * width
        follow_kernel[(triton.cdiv(values, BLOCK),)](
            self._estimate, window.ring, self.maps, self._decided, window.weights, parameters,
            self.gain, self._map_sums, values, plane, window.slots, SIZE=BLOCK,
            **chained(self._estimate.device),
        )  # fmt: skip
        lift_kernel[(1,)](
            self._map_sums, parameters, self.denoise, plane, count, SHARED=count == 3, SIZE=BLOCK,
            CHUNK=CHUNK, **chained(self._estimate.device),
        )  # fmt: skip
