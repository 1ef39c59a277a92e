"""The networks by Triton on an NVIDIA GPU: a fused kernel for each of the seven layers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
import triton
from torch import Tensor

from zerodce_rt.backends.cuda.chained_kernels import chain_start, chained
from zerodce_rt.backends.cuda.driver import capability
from zerodce_rt.backends.cuda.layer_kernels import layer_kernel
from zerodce_rt.backends.interfaces import DeviceEstimate
from zerodce_rt.network.checkpoint import Checkpoint
from zerodce_rt.network.wiring import INPUTS

# Outputs of every layer but the last.
_CHANNELS = 32
# The smallest matrix side that tl.dot takes.
_SMALLEST = 16


@dataclass(frozen=True)
class _Branch:
    """The weights of a layer for one of its inputs, on the device (see ``layer_kernels``)."""

    depth_weights: Tensor
    depth_bias: Tensor
    weights: Tensor


@dataclass(frozen=True)
class _Layer:
    """One layer: a branch for each input, one bias, and its number of channels in and out."""

    branches: tuple[_Branch, ...]
    bias: Tensor
    channels: int
    outputs: int


class TritonNetwork:
    """Float16, with channels last between the layers. Is a ``DeviceNetwork``.

    Args:
        device: a GPU, or the CPU in Triton's interpreter.
        block: one of ``blocks``; default: the first.
    """

    def __init__(
        self, checkpoint: Checkpoint, device: torch.device, block: tuple[int, int] | None = None
    ) -> None:
        self.separable = is_separable(checkpoint)
        self.device = device
        self._block = block or blocks(capability(self.device), separable=self.separable)[0]
        weights = {n: torch.from_numpy(w) for n, w in checkpoint.weights.items()}
        self._layers = [
            _layer(weights, f"e_conv{n + 1}", len(inputs), self.separable, self.device)
            for n, inputs in enumerate(INPUTS)
        ]
        self.map_count, self.knots = checkpoint.map_count, checkpoint.knots

    def prepare(self, height: int, width: int) -> DeviceEstimate:
        # The outputs of all layers but the last; they stay in place for a graph.
        between = [
            torch.empty((height * width, _CHANNELS), dtype=torch.float16, device=self.device)
            for _ in range(len(INPUTS) - 1)
        ]
        return partial(self._estimate, between)

    def _estimate(self, between: list[Tensor], image: Tensor, out: Tensor) -> None:
        height, width = image.shape[1:]
        # Strides from pixel to pixel and from channel to channel.
        planar, interleaved = (1, height * width), (_CHANNELS, 1)
        values = [(image, planar), *((tensor, interleaved) for tensor in between), (out, planar)]
        for number, (inputs, layer) in enumerate(zip(INPUTS, self._layers, strict=True)):
            (a, strides), (b, _) = values[inputs[0]], values[inputs[-1]]
            target, out_strides = values[number + 1]
            first, last = layer.branches[0], layer.branches[-1]
            pixels, warps = self._block
            launch = chained if number else chain_start
            layer_kernel[(triton.cdiv(height * width, pixels),)](
                a, b, *strides, *strides,
                first.depth_weights, first.depth_bias, first.weights,
                last.depth_weights, last.depth_bias, last.weights,
                layer.bias, target, *out_strides, height, width,
                SEPARABLE=self.separable, TWO=len(inputs) == 2, LAST=target is out,
                CHANNELS=layer.channels, PADDED=_padded(layer.channels), OUT=layer.outputs,
                OUT_PADDED=_padded(layer.outputs), PIXELS=pixels, num_warps=warps,
                **launch(self.device),
            )  # fmt: skip


def is_separable(checkpoint: Checkpoint) -> bool:
    """Whether the network's convolutions are depthwise ones and 1x1."""
    return checkpoint.model == "plus"


def blocks(capability: int, *, separable: bool) -> list[tuple[int, int]]:
    """Pixels that one block of threads may compute, and its warps; the likely best first.

    Args:
        capability: of the card: 75 for Turing, 90 for Hopper; 0 for Triton's interpreter.
    """
    if capability == 0:  # the interpreter's time goes by the number of blocks
        return [(1024, 4)]
    if separable:
        return [(32, 4), (64, 4)]
    if capability < 80:  # Triton does not use Turing's tensor cores, so sums need more registers
        return [(16, 4)]
    if 100 <= capability < 120:
        return [(64, 8), (128, 8)]
    return [(64, 4), (128, 4), (128, 8)]


def _padded(channels: int) -> int:
    return max(_SMALLEST, triton.next_power_of_2(channels))


def _layer(
    weights: dict[str, Tensor], name: str, inputs: int, separable: bool, device: torch.device
) -> _Layer:
    """Split a layer's weights by input, and lay them out for the kernel, padded with zeros."""
    if separable:
        depth = weights[f"{name}.depth_conv.weight"]
        depth_bias = weights[f"{name}.depth_conv.bias"]
        point = weights[f"{name}.point_conv.weight"]
        bias = weights[f"{name}.point_conv.bias"]
    else:
        point = weights[f"{name}.weight"]
        bias = weights[f"{name}.bias"]
    outputs, all_channels = point.shape[:2]
    channels = all_channels // inputs
    padded, out_padded = _padded(channels), _padded(outputs)

    def placed(values: Tensor, *shape: int) -> Tensor:
        full = torch.zeros(shape, dtype=torch.float16)
        full[tuple(slice(n) for n in values.shape)] = values.half()
        return full.to(device)

    branches = []
    for i in range(inputs):
        part = slice(i * channels, (i + 1) * channels)
        if separable:
            branches.append(
                _Branch(
                    placed(depth[part, 0].flatten(1).T, 9, padded),
                    placed(depth_bias[part], padded),
                    placed(point[:, part, 0, 0].T, padded, out_padded),
                )
            )
        else:
            taps = point[:, part].flatten(2).permute(2, 1, 0)
            dense = placed(taps, 9, padded, out_padded)
            branches.append(_Branch(dense, dense, dense))
    return _Layer(tuple(branches), placed(bias, out_padded), channels, outputs)
