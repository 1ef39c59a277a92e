"""``Applier.finished`` and ``CurveControl`` for light maps, on the GPU without a round trip."""

from __future__ import annotations

from functools import cache

import torch
import triton
from torch import Tensor
from torch.nn import functional as F

from zerodce_rt.backends.cuda.applier import mapping, source_coefficients, white_code
from zerodce_rt.backends.cuda.chained_kernels import chain_start, chained
from zerodce_rt.backends.cuda.control import (
    BLOCK,
    LARGEST,
    REGISTERS,
    WARPS,
    DeviceWindow,
    map_sums_buffer,
)
from zerodce_rt.backends.cuda.control_kernels import follow_kernel, window_kernel
from zerodce_rt.backends.cuda.light_control_kernels import (
    dark_steps_kernel,
    finish_kernel,
    light_control_kernel,
)
from zerodce_rt.curve import floor, light
from zerodce_rt.curve.control import (
    BLACK_LEVEL,
    CUT_THRESHOLD,
    DARKEST_LEVEL,
    LEAST_DENOISE,
    PROBE_SHARES,
    PROBE_SIZE,
)
from zerodce_rt.curve.maps import DARK_TONE
from zerodce_rt.frame import PACKED_MATRIX, Frame, luma_weights

# Pixels of maps that a block of ``finish_kernel`` takes, and its warps.
FINISH_PIXELS, FINISH_WARPS = 16, 4
# Rows and columns that ``dark_steps_kernel`` reads at once; it looks at fewer rows of a cell.
STEP_ROWS, STEP_COLUMNS = triton.next_power_of_2(floor.ROWS_PER_CELL), 128


class LightControl:
    """The light maps to apply, in tensors that stay in place. Holds the state of one video.

    Maps are estimated for every frame, but only those become targets that ``CurveControl`` would
    estimate. A frame without a time neither uses nor changes the state.

    Attributes:
        maps: to apply, ``(5, h, w)`` float16 (see ``CurveMaps``); without the strength.
        gain: one float32 to multiply the curves with: the strength, or 0 if they are all zeros.
        denoise: two float32: the denoiser's strength, 0 for none (see ``CPURunner``); and 1 if
            it is to start anew, else 0.

    Args:
        thumbnail: ``(3, h, w)`` float16 RGB in [0, 1]; each frame's is written there.
        estimate: ``(5, h, w)`` float16; each frame's maps, of the network, are written there.
        max_level: as in ``ControlSettings``.
        frame: of the size of all frames.
        largest: thumbnails of more pixels are followed by PyTorch's operations.
        smoothing: whether frames may have a ``smoothing_seconds`` above 0.
    """

    def __init__(
        self, thumbnail: Tensor, estimate: Tensor, max_level: float, frame: Frame,
        *, largest: int = LARGEST, smoothing: bool = True,
    ) -> None:  # fmt: skip
        device = estimate.device
        self._thumbnail, self._estimate, self._largest = thumbnail, estimate, largest
        self._max_level = max_level
        self._before = torch.zeros_like(thumbnail)
        self._cells = floor.grid_of(frame.height, frame.width)
        self._steps = torch.zeros((2, *self._cells), device=device)
        self._levels = _rise_levels(device)
        self._finished = torch.zeros_like(estimate, dtype=torch.float32)
        self._window = DeviceWindow(estimate, smoothing=smoothing)
        self._decided = torch.zeros(4, device=device)
        self._map_sums = map_sums_buffer(estimate)
        self.maps = torch.zeros_like(estimate)
        self.gain = torch.zeros(1, device=device)
        self.denoise = torch.zeros(2, device=device)

    def look(self, frame: Frame) -> None:
        """Look for signal in a frame's shadow, on the current stream.

        Args:
            frame: on the device, with its noise.
        """
        rows, columns = self._cells
        packed = frame.format.layout == "packed"
        coefficients = self._levels if packed else source_coefficients(frame, self.maps.device)
        dark_steps_kernel[(columns, rows)](
            frame.planes[0], frame.planes[0].stride(0), frame.width, frame.height,  # type: ignore[attr-defined]
            coefficients, self._steps, floor.sampled_rows(frame.height, rows).shape[1],
            PACKED=packed, BGR=frame.format.bgr, WHITE=white_code(frame.format),
            ROWS=STEP_ROWS, COLUMNS=STEP_COLUMNS,
        )  # fmt: skip

    def finish(self) -> None:
        """Finish the estimate as ``Applier.finished`` does, on the current stream, for the frame
        that was looked at."""
        rows, columns = self._cells
        _, height, width = self._estimate.shape
        finish_kernel[(triton.cdiv(height * width, FINISH_PIXELS),)](
            self._estimate, self._steps, self._levels, self._finished,
            height, width, rows, columns,
            *mapping(height, rows, align_corners=False),
            *mapping(width, columns, align_corners=False),
            PIXELS=FINISH_PIXELS, num_warps=FINISH_WARPS, **chain_start(self.maps.device),
        )  # fmt: skip

    def run(self, parameters: Tensor) -> None:
        """Turn what was finished into ``maps``, ``gain`` and ``denoise``, on the current stream.

        Args:
            parameters: of ``FrameParameters``, float32 on the device.
        """
        height, width = self._thumbnail.shape[1:]
        if height * width > self._largest:
            self._run_large(parameters)
            return
        map_height, map_width = self.maps.shape[1:]
        step = _probe_step(height, width)
        probed = -(-height // step), -(-width // step)
        window = self._window
        light_control_kernel[(1,)](
            self._finished, self._thumbnail, self._before, window.ring, window.edges,
            window.oldest, window.weights, self.maps, self.gain, self.denoise, parameters,
            height, width, map_height, map_width, self._max_level,
            *mapping(probed[0], map_height, align_corners=False),
            *mapping(probed[1], map_width, align_corners=False), window.slots,
            STEP=step, SIZE=triton.next_power_of_2(height * width),
            PROBE=triton.next_power_of_2(probed[0] * probed[1]),
            MAP_SIZE=triton.next_power_of_2(map_height * map_width),
            num_warps=WARPS, maxnreg=REGISTERS, **chained(self.maps.device),
        )  # fmt: skip

    def _run_large(self, parameters: Tensor) -> None:
        """The same for large thumbnails, mostly in PyTorch."""
        strength, _, denoise, is_new, is_alone, disturbed, _ = parameters.unbind()
        now, old = self._thumbnail.float(), self._before.float()
        level = torch.maximum(now.mean(), old.mean()).clamp(min=DARKEST_LEVEL)
        begins = (is_new > 0) | ((now - old).abs().mean() > CUT_THRESHOLD * level)
        target = self._finished
        if self._max_level < 1:
            target = torch.cat([target[:-1] * self._share(), target[-1:]])
        window, values = self._window, target.numel()
        window_kernel[(1,)](
            window.edges, window.oldest, parameters, begins.float(), self._decided, window.weights,
            window.slots, **chain_start(self.maps.device),
        )  # fmt: skip
        follow_kernel[(triton.cdiv(values, BLOCK),)](
            target, window.ring, self.maps, self._decided, window.weights, parameters, self.gain,
            self._map_sums, values, values // len(target), window.slots, SIZE=BLOCK,
            **chained(self.maps.device),
        )  # fmt: skip
        self.gain.copy_(strength * self.maps[:-1].any())

        # See ``maps.lift_of``.
        average = self.maps[:-1].float().mean((1, 2), keepdim=True) * strength
        dark = torch.full_like(average[:1], DARK_TONE)
        raised = light.luma_curve(dark, average, light.KNOTS)
        wanted = denoise * (raised.view(()) / DARK_TONE - 1).clamp(0, 1)
        wanted = torch.where(wanted < LEAST_DENOISE, 0.0, wanted)
        self.denoise.copy_(torch.stack([wanted, torch.maximum(begins.float(), disturbed)]))

        self._before.copy_(torch.where(is_alone > 0, self._before, self._thumbnail))

    def _share(self) -> Tensor:
        """The share of the curve that keeps the mean at ``max_level`` (see ``within_level``)."""
        step = _probe_step(*self._thumbnail.shape[1:])
        probe = self._thumbnail[:, ::step, ::step].float()
        maps = F.interpolate(self._finished[None], probe.shape[1:], mode="bilinear")
        shares = torch.linspace(0, 1, len(PROBE_SHARES), device=maps.device)
        curves = shares[:, None, None, None] * maps[:, :-1]
        values = torch.cat([curves, maps[:, -1:].expand(len(PROBE_SHARES), -1, -1, -1)], dim=1)
        pictures = light.enhance_rgb(probe[None], values, light.KNOTS, luma_weights(PACKED_MATRIX))
        lit = pictures[-1].amax(0) > BLACK_LEVEL
        levels = (pictures.mean(1) * lit).sum((1, 2)) / lit.sum().clamp(min=1)
        above = (levels > self._max_level).to(torch.int8).argmax(0, keepdim=True)
        below = (above - 1).clamp(min=0)
        # Not levels[above]: indexing with a tensor takes a host round trip.
        low, high = levels.gather(0, below), levels.gather(0, above)
        fitting = shares.gather(0, below) + (self._max_level - low) / (high - low) * shares[1]
        fits = (levels[-1] <= self._max_level) | ~lit.any()
        return torch.where(fits, 1.0, torch.where(above == 0, 0.0, fitting))


def _probe_step(height: int, width: int) -> int:
    """Every so many pixels of a thumbnail are probed."""
    return -(-max(height, width) // PROBE_SIZE)


# Graphs read it for as long as they are replayed.
@cache
def _rise_levels(device: torch.device) -> Tensor:
    return torch.from_numpy(light.RISE_LEVELS).to(device)
