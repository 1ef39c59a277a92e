"""The published programs, re-implemented with plain PyTorch calls, to test our code against.

Nothing here uses ``zerodce_rt`` beyond the names and shapes of the layers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zerodce_rt.network.checkpoint import Checkpoint
from zerodce_rt.network.model import make_network

State = dict[str, Tensor]


def random_state(model: str, *, seed: int = 0) -> State:
    """Random weights, large enough that the maps cover [-1, 1]."""
    generator = torch.Generator().manual_seed(seed)
    state: State = {}
    for name, tensor in make_network(model).state_dict().items():
        spread = math.sqrt(2 / tensor[0].numel()) if tensor.ndim == 4 else 0.2
        state[name] = torch.randn(tensor.shape, generator=generator) * spread
    return state


def random_checkpoint(model: str, *, seed: int = 0) -> Checkpoint:
    weights = {n: t.numpy() for n, t in random_state(model, seed=seed).items()}
    return Checkpoint(model, weights, Path("random"))


def lifting_checkpoint() -> Checkpoint:
    """Of model ``light``, with random weights that lift the dark."""
    checkpoint = random_checkpoint("light")
    checkpoint.weights["head.bias"][:-1] -= 1
    return checkpoint


def random_pth(path: Path, model: str, *, seed: int = 0) -> State:
    """Write random weights as the published programs do, and return them."""
    state = random_state(model, seed=seed)
    torch.save(state, path)
    return state


def dcenet_maps(state: State, image: Tensor) -> Tensor:
    """Zero-DCE's network: seven convolutions with symmetric skip concatenations."""

    def conv(number: int, x: Tensor) -> Tensor:
        name = f"e_conv{number}"
        return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=1)

    return _symmetric(conv, image)


def plus_maps(state: State, image: Tensor) -> Tensor:
    """Zero-DCE++'s network: the same layout with separable convolutions."""

    def conv(number: int, x: Tensor) -> Tensor:
        name = f"e_conv{number}.depth_conv"
        x = F.conv2d(
            x, state[f"{name}.weight"], state[f"{name}.bias"], padding=1, groups=x.shape[1]
        )
        name = f"e_conv{number}.point_conv"
        return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"])

    return _symmetric(conv, image)


def _symmetric(conv: Callable[[int, Tensor], Tensor], image: Tensor) -> Tensor:
    x1 = F.relu(conv(1, image))
    x2 = F.relu(conv(2, x1))
    x3 = F.relu(conv(3, x2))
    x4 = F.relu(conv(4, x3))
    x5 = F.relu(conv(5, torch.cat([x3, x4], 1)))
    x6 = F.relu(conv(6, torch.cat([x2, x5], 1)))
    return torch.tanh(conv(7, torch.cat([x1, x6], 1)))


MAPS: dict[str, Callable[[State, Tensor], Tensor]] = {"dcenet": dcenet_maps, "plus": plus_maps}


def zero_dce(state: State, image: Tensor) -> Tensor:
    """Zero-DCE (CVPR 2020): an RGB map of the image's own size for each of eight iterations."""
    x = image
    for r in torch.split(dcenet_maps(state, image), 3, dim=1):
        x = x + r * (torch.pow(x, 2) - x)
    return x


def zero_dce_plus(state: State, image: Tensor, divisor: int) -> Tensor:
    """Zero-DCE++ (TPAMI 2021): one RGB map from a small copy, enlarged, and used eight times."""
    small = F.interpolate(image, scale_factor=1 / divisor, mode="bilinear")
    r = nn.UpsamplingBilinear2d(scale_factor=divisor)(plus_maps(state, small))
    x = image
    for _ in range(8):
        x = x + r * (torch.pow(x, 2) - x)
    return x
