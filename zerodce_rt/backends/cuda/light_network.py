"""The light network by Triton on an NVIDIA GPU: 13 fused kernels (see ``light_wiring.connect``)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
import triton
from torch import Tensor

from zerodce_rt.backends.cuda.applier import mapping
from zerodce_rt.backends.cuda.chained_kernels import chain_start, chained
from zerodce_rt.backends.cuda.driver import capability
from zerodce_rt.backends.cuda.light_layer_kernels import light_layer_kernel, whole_kernel
from zerodce_rt.backends.interfaces import DeviceEstimate
from zerodce_rt.network.checkpoint import Checkpoint
from zerodce_rt.network.light_wiring import CONVOLUTIONS, WIDTHS, stride

OUTPUTS = 16
"""Channels that a block of threads computes; the smallest matrix side that tl.dot takes."""

LAYER_WARPS, WHOLE_WARPS, WHOLE_ROWS = 4, 16, 16

# Rows of weights are filled up to this; the largest number of them that is read at once.
_MOST_ROWS = 256
# Pixels of a layer from which blocks of threads are many enough to be larger.
_LARGE = 4096


def block(capability: int, pixels: int) -> tuple[int, int]:
    """Pixels that a block of threads computes, and rows of weights that it reads at once.

    Args:
        capability: of the card: 75 for Turing, 90 for Hopper; 0 for Triton's interpreter.
        pixels: of the layer's output.
    """
    if capability == 0:  # the interpreter's time goes by the number of blocks
        return 64, 256
    if capability < 80:  # Triton does not use Turing's tensor cores, so sums need more registers
        return 16, 64
    return (64, 64) if pixels >= _LARGE else (16, 256)


@dataclass(frozen=True)
class _Layer:
    """A convolution's weights and bias on the device (see ``light_layer_kernels``)."""

    weights: Tensor
    bias: Tensor
    channels: int
    skipped: int
    outputs: int
    stride: int


class LightTritonNetwork:
    """Float16, with channels last between the layers. Is a ``DeviceNetwork``.

    Attributes:
        knots: of its maps (see ``CurveMaps``).

    Args:
        checkpoint: of model ``light``.
        device: a GPU, or the CPU in Triton's interpreter.
    """

    def __init__(self, checkpoint: Checkpoint, device: torch.device) -> None:
        self.device = device
        self.map_count, self.knots = checkpoint.map_count, checkpoint.knots
        weights = {n: torch.from_numpy(w) for n, w in checkpoint.weights.items()}
        self._layers = {
            name: _layer(name, weights, device)
            for name in CONVOLUTIONS
            if not name.startswith("whole")
        }
        self._whole = _whole(weights, device)

    def prepare(self, height: int, width: int) -> DeviceEstimate:
        sizes = [(height, width)]
        for _ in WIDTHS:
            sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))

        def empty(halved: int) -> Tensor:
            shape = *sizes[halved], WIDTHS[halved - 1]
            return torch.empty(shape, dtype=torch.float16, device=self.device)

        # The outputs of all layers but the last; they stay in place for a graph.
        halves = range(1, len(WIDTHS) + 1)
        between = {f"{kind}{n}": empty(n) for n in halves for kind in ("down", "same")}
        between |= {"whole": empty(4), "up3": empty(3), "up2": empty(2), "same5": empty(2)}
        return partial(self._estimate, between)

    def _estimate(self, between: dict[str, Tensor], image: Tensor, out: Tensor) -> None:
        def run(name: str, source: Tensor, skip: Tensor | None = None) -> Tensor:
            self._run(name, source, skip, between[name])
            return between[name]

        x = image
        for n in range(1, len(WIDTHS) + 1):
            x = run(f"same{n}", run(f"down{n}", x))
        pixels, channels = x.shape[0] * x.shape[1], x.shape[2]
        whole_kernel[(1,)](
            x, *self._whole, between["whole"], pixels, CHANNELS=channels,
            PADDED=triton.next_power_of_2(channels), ROWS=WHOLE_ROWS, num_warps=WHOLE_WARPS,
            **chained(self.device),
        )  # fmt: skip
        x = run("up3", between["whole"], between["same3"])
        x = run("same5", run("up2", x, between["same2"]))
        self._run("head", x, None, out)

    def _run(self, name: str, source: Tensor, skip: Tensor | None, out: Tensor) -> None:
        layer = self._layers[name]
        is_image, is_head = name == "down1", name == "head"
        in_height, in_width = source.shape[1:] if is_image else source.shape[:2]
        height, width = out.shape[1:] if is_head else out.shape[:2]
        pixels, rows = block(capability(self.device), height * width)
        out_padded = layer.weights.shape[1]
        light_layer_kernel[(triton.cdiv(height * width, pixels), out_padded // OUTPUTS)](
            source, source if skip is None else skip, layer.weights, layer.bias, out,
            in_height, in_width, height, width,
            *mapping(height, in_height, align_corners=False),
            *mapping(width, in_width, align_corners=False),
            CHANNELS=layer.channels, PADDED=triton.next_power_of_2(layer.channels),
            SKIPPED=layer.skipped, OUT=layer.outputs, OUT_PADDED=out_padded, STRIDE=layer.stride,
            IMAGE=is_image, RESIDUAL=name.startswith("same"), HEAD=is_head,
            PIXELS=pixels, OUTPUTS=OUTPUTS, BLOCK=min(rows, _padded(9 * layer.channels)),
            num_warps=LAYER_WARPS, **(chain_start if is_image else chained)(self.device),
        )  # fmt: skip


def _padded(rows: int) -> int:
    """A power of two, for which tl.dot is made."""
    return max(OUTPUTS, triton.next_power_of_2(rows))


def _layer(name: str, weights: dict[str, Tensor], device: torch.device) -> _Layer:
    """Lay out a layer's weights as the kernel reads them, padded with zeros."""
    taps = weights[f"{name}.weight"].flatten(2).permute(2, 1, 0)  # (tap, channel, output)
    _, inputs, outputs = taps.shape
    out_padded = -(-outputs // OUTPUTS) * OUTPUTS
    skipped = WIDTHS[int(name[-1]) - 1] if name.startswith("up") else 0
    channels = inputs - skipped
    parts = []
    if skipped:
        resized = torch.zeros((9, triton.next_power_of_2(channels), out_padded))
        resized[:, :channels, :outputs] = taps[:, :channels]
        parts.append(resized.flatten(0, 1))
        taps = taps[:, channels:]
    rows = taps.flatten(0, 1)
    plain = torch.zeros((-(-len(rows) // _MOST_ROWS) * _MOST_ROWS, out_padded))
    plain[: len(rows), :outputs] = rows
    parts.append(plain)
    bias = torch.zeros(out_padded)
    bias[:outputs] = weights[f"{name}.bias"]
    placed = torch.cat(parts).half().to(device)
    return _Layer(placed, bias.to(device), channels, skipped, outputs, stride(name))


def _whole(weights: dict[str, Tensor], device: torch.device) -> tuple[Tensor, ...]:
    """What ``whole_kernel`` takes of the layers that look at the whole picture."""
    first, second = (weights[f"whole{n}.weight"][:, :, 0, 0].T for n in (1, 2))
    channels = WIDTHS[-1]
    padded = triton.next_power_of_2(channels)

    def square(values: Tensor) -> Tensor:
        full = torch.zeros((padded, padded))
        full[tuple(slice(n) for n in values.shape)] = values
        return full.half().to(device)

    def row(values: Tensor) -> Tensor:
        return torch.nn.functional.pad(values, (0, padded - len(values))).to(device)

    return (
        square(first[:channels]), square(first[channels:]), row(weights["whole1.bias"]),
        square(second), row(weights["whole2.bias"]),
    )  # fmt: skip
