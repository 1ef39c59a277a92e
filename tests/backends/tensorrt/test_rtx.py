"""Real engines of TensorRT-RTX, which need no card to be built, and the backend that runs them."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.conftest import one_line, require_gpu, run
from tests.support.published import MAPS, random_checkpoint, random_state
from zerodce_rt.backends.cuda import driver
from zerodce_rt.backends.interfaces import BackendUnavailable
from zerodce_rt.backends.tensorrt import rtx
from zerodce_rt.backends.tensorrt.engines import EngineCache, EngineRejected
from zerodce_rt.backends.tensorrt.rtx_engine import (
    TARGETS,
    build_engine,
    define,
    engine_key,
    load,
    make_logger,
)
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.network.checkpoint import load_bundled
from zerodce_rt.network.light_wiring import CONVOLUTIONS, map_size
from zerodce_rt.network.wiring import connect, dense

if find_spec("tensorrt_rtx") is None:
    pytest.skip("TensorRT-RTX is not installed", allow_module_level=True)

both_models = pytest.mark.parametrize("model", ["plus", "dcenet"])
MAP_COUNT = {"plus": 3, "dcenet": 24}


@both_models
def test_the_dense_network_is_the_published_one(model: str) -> None:
    """The engine's layers, computed by PyTorch, against the published program."""
    weights = random_checkpoint(model).weights
    image = torch.rand((1, 3, 19, 26), generator=torch.Generator().manual_seed(0))

    def layer(number: int, *inputs: torch.Tensor) -> torch.Tensor:
        kernel, bias = (torch.from_numpy(a) for a in dense(weights, f"e_conv{number}"))
        out = F.conv2d(torch.cat(inputs, 1), kernel, bias, padding=1)
        return torch.tanh(out) if number == 7 else torch.relu(out)

    expected = MAPS[model](random_state(model), image)
    assert float(expected.std()) > 0.2
    torch.testing.assert_close(connect(layer, image), expected, atol=2e-5, rtol=0)


@both_models
@pytest.mark.parametrize("size", [(36, 64), (1080, 1920)])
def test_the_graph_holds_the_whole_network_in_float16(model: str, size: tuple[int, int]) -> None:
    trt = load()
    builder = trt.Builder(make_logger(trt))
    checkpoint = load_bundled(model)
    network, kept = define(trt, builder, checkpoint, *size)
    assert network.get_flag(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    assert (network.num_inputs, network.num_outputs) == (1, 1)
    image, maps = network.get_input(0), network.get_output(0)
    assert (image.name, tuple(image.shape), image.dtype) == ("image", (1, 3, *size), trt.float16)
    assert maps.name == "maps"
    assert tuple(maps.shape) == (1, MAP_COUNT[model], *size)
    assert maps.dtype == trt.float16
    kinds = [network.get_layer(n).type for n in range(network.num_layers)]
    assert kinds.count(trt.LayerType.CONVOLUTION) == 7
    assert kinds.count(trt.LayerType.CONCATENATION) == 3
    assert kinds.count(trt.LayerType.ACTIVATION) == 7
    assert len(kinds) == 17
    for number, values in enumerate(kept):
        expected = dense(checkpoint.weights, f"e_conv{number // 2 + 1}")[number % 2]
        np.testing.assert_array_equal(values, expected.astype(np.float16))


@pytest.mark.parametrize("size", [(36, 64), (43, 61)])
def test_the_graph_holds_the_light_network(size: tuple[int, int]) -> None:
    trt = load()
    builder = trt.Builder(make_logger(trt))
    checkpoint = load_bundled("light")
    network, kept = define(trt, builder, checkpoint, *size)
    maps = network.get_output(0)
    assert tuple(maps.shape) == (1, 5, *map_size(*size))
    assert maps.dtype == trt.float16
    kinds = [network.get_layer(n).type for n in range(network.num_layers)]
    assert kinds.count(trt.LayerType.CONVOLUTION) == len(CONVOLUTIONS)
    held = {array.tobytes() for array in kept}
    for name, values in checkpoint.weights.items():
        assert np.ascontiguousarray(values, np.float16).tobytes() in held, name


@pytest.mark.parametrize("model", ["plus", "dcenet", "light"])
@pytest.mark.parametrize("target", TARGETS)
def test_engines_for_every_card(model: str, target: str, tmp_path: Path) -> None:
    """They are built for small pictures and for 1080p, and found in the cache the second time."""
    tmp_path.chmod(0o700)
    cache, checkpoint = EngineCache(tmp_path), load_bundled(model)
    # Nobody shows the light network more than a thumbnail.
    sizes = [(36, 64), (64, 36) if model == "light" else (1080, 1920)]
    for height, width in sizes:
        built: list[bytes] = []

        def build(height: int = height, width: int = width, built: Any = built) -> bytes:
            built.append(build_engine(checkpoint, height, width, target))
            return built[-1]

        key = engine_key(checkpoint, height, width, target)
        for _ in range(2):
            engine = cache.load(key, build, lambda engine, new: engine)
            assert len(built) == 1
            assert engine == built[0]
        # It holds the weights, and no constants for every pixel.
        assert 2 * checkpoint.parameters < len(engine) < 32e6
        assert (key.types, key.target) == ("float16 to float16", target)
    assert len(list(cache)) == 2


def test_an_engine_is_for_its_weights_and_its_card() -> None:
    key = engine_key(load_bundled("plus"), 36, 64, "sm89")
    others = [
        engine_key(load_bundled("dcenet"), 36, 64, "sm89"),
        engine_key(random_checkpoint("plus"), 36, 64, "sm89"),
        engine_key(load_bundled("plus"), 36, 64, "sm86"),
        engine_key(load_bundled("plus"), 36, 48, "sm89"),
    ]
    assert len({key.stem, *(other.stem for other in others)}) == 5
    assert key.versions == {"tensorrt_rtx": load().__version__}
    # It is built without the card that it will run on.
    assert (key.gpu, key.driver) == ("", "")


def test_an_engine_that_cannot_be_built_is_reported() -> None:
    checkpoint = load_bundled("plus")
    with pytest.raises(ZeroDCEError, match="TensorRT-RTX cannot build plus at 0x36 for sm89") as e:
        build_engine(checkpoint, 36, 0, "sm89")
    assert len(str(e.value).splitlines()) == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
def test_no_engine_is_built_for_the_current_card_where_there_is_none() -> None:
    with pytest.raises(ZeroDCEError, match="for current"):
        build_engine(load_bundled("plus"), 36, 64, "current")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    with pytest.raises(BackendUnavailable, match=r"pip install tensorrt_rtx"):
        load()


def test_an_unsupported_card_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zerodce_rt.backends.cuda.backend.probe", lambda: "a card")
    monkeypatch.setattr(driver, "this_target", lambda: "sm90")
    with pytest.raises(BackendUnavailable, match=r"sm75, .*not for sm90"):
        rtx.probe()
    monkeypatch.setattr(driver, "this_target", lambda: "sm89")
    assert rtx.probe() == f"TensorRT-RTX {load().__version__}, a card"


def test_the_command_builds_an_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "engines"
    folder.mkdir(mode=0o700)
    monkeypatch.setattr("zerodce_rt.backends.tensorrt.engines.cache_folder", lambda _: str(folder))
    build = ("engines", "build", "--size", "1280x720", "--target", "sm120", "--model", "dcenet")
    assert run(*build) == 0
    assert one_line(capsys.readouterr().out) == "tensorrt-rtx, dcenet, 64x36: built"
    assert run(*build) == 0
    assert "is there already" in one_line(capsys.readouterr().out)
    assert run("engines", "list", "--quiet") == 0
    assert "sm120" in one_line(capsys.readouterr().out)


def test_maps_that_differ_are_rejected() -> None:
    from zerodce_rt.backends.tensorrt.engine_check import check_maps

    checkpoint, device = load_bundled("plus"), torch.device("cpu")

    def right(image: torch.Tensor, out: torch.Tensor) -> None:
        from zerodce_rt.backends.cuda.cudnn_network import CuDNNNetwork

        CuDNNNetwork(checkpoint, device).prepare(9, 16)(image, out)

    def off(image: torch.Tensor, out: torch.Tensor) -> None:
        right(image, out)
        out += 0.05

    def nothing(image: torch.Tensor, out: torch.Tensor) -> None:
        out.fill_(torch.nan)

    check_maps(right, checkpoint, device, 9, 16)
    for wrong in (off, nothing):
        with pytest.raises(EngineRejected, match="maps differ"):
            check_maps(wrong, checkpoint, device, 9, 16)


# With a card


@pytest.mark.parametrize("model", ["plus", "dcenet", "light"])
def test_an_engine_runs_as_pytorch_does(model: str, tmp_path: Path) -> None:
    require_gpu()
    try:
        rtx.probe()
    except BackendUnavailable as reason:
        pytest.skip(str(reason))
    from zerodce_rt.backends.tensorrt.rtx_network import RTXNetwork

    tmp_path.chmod(0o700)
    network = RTXNetwork(
        load_bundled(model), torch.device("cuda"), driver.this_target(), EngineCache(tmp_path)
    )
    network.prepare(36, 64)  # compares a new engine with PyTorch
