"""The light network: size, range, and the same maps from every backend."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from zerodce_rt.backends import choose_backend
from zerodce_rt.curve.light import KNOTS
from zerodce_rt.network.checkpoint import Checkpoint, load_weights, save_weights
from zerodce_rt.network.light_model import LightNet
from zerodce_rt.network.light_wiring import GAIN_CENTRE, multiplications

SIZES = [(36, 64), (64, 36), (37, 61), (64, 64), (17, 33), (16, 16), (5, 7), (1, 1), (36, 64)]


def random_weights(seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Weights whose maps differ much from place to place."""
    torch.manual_seed(seed)
    network = LightNet()
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    return {name: t.numpy() for name, t in network.state_dict().items()}


def checkpoint() -> Checkpoint:
    return Checkpoint("light", random_weights(), Path("made-up"))


def thumbnail(height: int, width: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).random((3, height, width), np.float32) ** 2


def test_parameter_count() -> None:
    assert sum(p.numel() for p in LightNet().parameters()) == 472_589
    assert checkpoint().parameters == 472_589


@pytest.mark.parametrize("size", SIZES)
def test_maps_are_a_quarter_of_the_picture_and_within_their_ranges(size: tuple[int, int]) -> None:
    network = LightNet()
    network.load_state_dict({n: torch.from_numpy(w) for n, w in random_weights().items()})
    with torch.no_grad():
        maps = network(torch.from_numpy(thumbnail(*size))[None])[0]
    assert maps.shape == (len(KNOTS) + 1, -(-size[0] // 4), -(-size[1] // 4))
    assert network.map_channels == len(maps)
    assert maps[:-1].abs().max() <= 1
    assert maps[-1].min() >= 0
    assert maps[-1].max() <= 2 * GAIN_CENTRE


def test_openvino_gives_the_maps_of_torch() -> None:
    pytest.importorskip("openvino")
    reference = choose_backend("torch").create(checkpoint())
    openvino = choose_backend("openvino").create(checkpoint(), exact=True)
    spread = 0.0
    for size in SIZES:
        image = thumbnail(*size)
        maps, expected = openvino.estimate(image), reference.estimate(image)
        assert maps.shape == expected.shape
        assert maps.dtype == np.float32
        np.testing.assert_allclose(maps, expected, atol=2e-4)
        spread = max(spread, float(expected.std()))
    assert spread > 0.2, "weights too small for a meaningful comparison"


def test_black_and_white_pictures_give_finite_maps() -> None:
    network = LightNet()
    for level in (0.0, 1.0):
        assert torch.isfinite(network(torch.full((1, 3, 36, 64), level))).all()


def test_weights_in_float16_are_read(tmp_path: Path) -> None:
    weights = {n: w.astype(np.float16) for n, w in random_weights().items()}
    save_weights(tmp_path / "half.safetensors", weights, metadata={})
    assert (tmp_path / "half.safetensors").stat().st_size < 1e6
    found = load_weights(tmp_path / "half.safetensors")
    assert found.model == "light"
    assert found.knots == KNOTS
    for name, weight in found.weights.items():
        assert weight.dtype == np.float32
        np.testing.assert_array_equal(weight, weights[name].astype(np.float32))


def test_multiplications_are_those_of_the_convolutions() -> None:
    counted = 0

    def count(module: torch.nn.Conv2d, _: object, output: torch.Tensor) -> None:
        nonlocal counted
        counted += module.weight.numel() * output.shape[2] * output.shape[3]

    network = LightNet()
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(count)
    network(torch.zeros(1, 3, 37, 61))
    assert multiplications(37, 61) == counted
