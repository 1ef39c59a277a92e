"""The two networks: size, range, and wiring against the published programs."""

from __future__ import annotations

import pytest
import torch

from tests.support.published import MAPS, random_state
from zerodce_rt.network.model import MODELS


@pytest.mark.parametrize(("model", "count"), [("dcenet", 79_416), ("plus", 10_561)])
def test_parameter_count(model: str, count: int) -> None:
    assert sum(p.numel() for p in MODELS[model]().parameters()) == count


@pytest.mark.parametrize(("model", "channels"), [("dcenet", 24), ("plus", 3)])
@pytest.mark.parametrize("size", [(1, 1), (5, 8), (32, 17)])
def test_maps_have_the_size_of_the_picture(
    model: str, channels: int, size: tuple[int, int]
) -> None:
    network = MODELS[model]()
    maps = network(torch.rand(2, 3, *size))
    assert maps.shape == (2, channels, *size)
    assert network.map_channels == channels


@pytest.mark.parametrize("model", ["dcenet", "plus"])
def test_maps_reach_but_never_leave_their_range(model: str) -> None:
    network = MODELS[model]()
    network.load_state_dict({n: 5 * t for n, t in random_state(model).items()})
    maps = network(torch.rand(1, 3, 16, 16)).detach()
    assert maps.min() < -0.99
    assert maps.max() > 0.99
    assert maps.abs().max() <= 1


@pytest.mark.parametrize("model", ["dcenet", "plus"])
@pytest.mark.parametrize("seed", [0, 1])
def test_wiring_is_the_published_one(model: str, seed: int) -> None:
    state = random_state(model, seed=seed)
    network = MODELS[model]()
    network.load_state_dict(state)
    image = torch.rand(2, 3, 19, 23, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        maps = network(image)
    assert maps.std() > 0.2, "weights too small for a meaningful comparison"
    torch.testing.assert_close(maps, MAPS[model](state, image), atol=1e-5, rtol=0)
