"""The backends agree; a missing one says why; none is replaced silently."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import warnings
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import zerodce_rt.backends.cuda.backend as cuda_backend
from tests.support.published import MAPS, random_checkpoint, random_state
from zerodce_rt import backends
from zerodce_rt.backends import BACKENDS, Backend, choose_backend, for_pictures
from zerodce_rt.backends.cuda import driver
from zerodce_rt.backends.interfaces import BackendUnavailable
from zerodce_rt.curve.maps import CurveMaps, apply
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.network.checkpoint import Checkpoint, load_bundled

both_models = pytest.mark.parametrize("model", ["plus", "dcenet"])


def thumbnail(height: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random((3, height, width), np.float32)


@both_models
def test_torch_gives_the_published_maps(model: str) -> None:
    image = thumbnail(19, 26)
    maps = choose_backend("torch").create(random_checkpoint(model)).estimate(image)
    expected = MAPS[model](random_state(model), torch.from_numpy(image)[None])[0].numpy()
    assert maps.dtype == np.float32
    assert maps.flags.c_contiguous
    assert expected.std() > 0.2
    np.testing.assert_allclose(maps, expected, atol=1e-5)


@both_models
def test_openvino_gives_the_maps_of_torch(model: str) -> None:
    pytest.importorskip("openvino")
    checkpoint = random_checkpoint(model)
    reference = choose_backend("torch").create(checkpoint)
    openvino = choose_backend("openvino").create(checkpoint, exact=True)
    for size in [(1, 1), (7, 5), (1, 40), (33, 64), (90, 160), (7, 5)]:
        image = thumbnail(*size)
        maps, expected = openvino.estimate(image), reference.estimate(image)
        assert maps.shape == expected.shape == (3 if model == "plus" else 24, *size)
        assert maps.dtype == np.float32
        np.testing.assert_allclose(maps, expected, atol=1e-4)


def test_openvino_s_telemetry_is_never_imported(tmp_path: Path) -> None:
    """It would report each use over the network; a stand-in for its package tells if it is."""
    (tmp_path / "openvino_telemetry.py").write_text("raise SystemExit('it was imported')")
    code = (
        "import sys, numpy as np; from zerodce_rt import Enhancer;"
        "Enhancer(backend='openvino')(np.zeros((20, 30, 3), np.uint8));"
        "sys.exit('openvino_telemetry' in sys.modules)"
    )
    paths = os.pathsep.join([str(tmp_path), os.getcwd()])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": paths},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@both_models
def test_the_fast_precision_moves_no_pixel_by_more_than_a_level(model: str) -> None:
    pytest.importorskip("openvino")
    checkpoint = load_bundled(model)
    for level in (0.03, 0.1, 0.3):
        image = thumbnail(45, 80) * np.float32(level)
        maps, expected = (
            choose_backend("openvino").create(checkpoint, exact=exact).estimate(image)
            for exact in (False, True)
        )
        assert np.abs(maps - expected).max() < 2e-3
        bright = [apply(image, CurveMaps(m)) * 255 for m in (maps, expected)]
        assert np.abs(bright[0] - bright[1]).max() < 1
        assert bright[1].mean() > 2 * image.mean() * 255


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_maps_survive_the_next_frame(backend: str) -> None:
    network = choose_backend(backend).create(load_bundled("plus"))
    first = network.estimate(thumbnail(8, 8, seed=1))
    kept = first.copy()
    second = network.estimate(thumbnail(8, 8, seed=2))
    np.testing.assert_array_equal(first, kept)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_a_network_has_the_name_of_its_backend(backend: str) -> None:
    assert choose_backend(backend).create(load_bundled("plus")).name == backend
    assert BACKENDS[backend].probe()


def test_an_unknown_backend_lists_the_valid_ones() -> None:
    with pytest.raises(ZeroDCEError, match="unknown backend 'cuda12'") as error:
        choose_backend("cuda12")
    for name in ("auto", *BACKENDS):
        assert name in str(error.value)


def cuda_refusal() -> str:
    with pytest.raises(ZeroDCEError, match="backend cuda is not available: ") as error:
        choose_backend("cuda")
    message = str(error.value)
    assert len(message.splitlines()) == 1
    return message


def test_cuda_without_a_gpu_is_refused() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    assert len(cuda_refusal()) > len("backend cuda is not available: ")


def test_cuda_with_a_cpu_build_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "nvidia_driver_present", lambda: True)
    monkeypatch.setattr(torch.version, "cuda", None)
    message = cuda_refusal()
    assert torch.__version__ in message
    assert "install a CUDA build from pytorch.org" in message


def test_cuda_with_a_cuda_build_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "nvidia_driver_present", lambda: True)
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    message = cuda_refusal()
    assert "no NVIDIA GPU" in message
    assert "nvidia-smi" in message


def test_an_old_driver_is_told_from_no_card(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_old() -> bool:
        warnings.warn("The NVIDIA driver on your system is too old (found 12020).", stacklevel=1)
        return False

    monkeypatch.setattr(driver, "nvidia_driver_present", lambda: True)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", too_old)
    assert "driver is too old for PyTorch with CUDA 13.0; update it" in cuda_refusal()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "CUDA_VISIBLE_DEVICES hides all cards" in cuda_refusal()


@pytest.mark.skipif(sys.platform == "win32", reason="triton-windows brings a compiler")
def test_what_triton_needs_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("triton")
    monkeypatch.setattr(driver, "nvidia_driver_present", lambda: True)
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a card")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (8, 9))
    assert "a card" in cuda_backend.probe()
    with monkeypatch.context() as here:
        here.setattr(torch.cuda, "get_device_capability", lambda: (6, 1))
        assert "compute capability 6.1; at least 7.5" in cuda_refusal()
    with monkeypatch.context() as here:
        here.setattr("sysconfig.get_path", lambda _: str(tmp_path))
        assert "python3-dev" in cuda_refusal()
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "a C compiler" in cuda_refusal()


def test_a_missing_driver_is_noticed_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "nvidia_driver_present", lambda: False)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "no NVIDIA driver" in cuda_refusal()


@pytest.mark.parametrize(("backend", "package"), [("openvino", "openvino"), ("torch", "torch")])
def test_a_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch, backend: str, package: str
) -> None:
    checkpoint = load_bundled("plus")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ZeroDCEError, match=f"{backend} is not available.*pip install {package}"):
        choose_backend(backend).create(checkpoint)


class StubEstimator:
    def __init__(self, name: str) -> None:
        self.name = name


def install_stubs(monkeypatch: pytest.MonkeyPatch, **reasons: str | None) -> list[str]:
    """Replace all backends by stubs, unavailable where there is a reason; returns the calls."""
    calls: list[str] = []

    def stub(name: str, reason: str | None) -> ModuleType:
        def probe() -> str:
            calls.append(f"probe {name}")
            if reason is not None:
                raise BackendUnavailable(reason)
            return f"{name} 1.0"

        def create(checkpoint: Checkpoint, *, exact: bool) -> StubEstimator:
            calls.append(f"create {name}")
            return StubEstimator(name)

        module: Any = ModuleType(f"stub_{name}")
        module.probe, module.create = probe, create
        return module

    stubs = {}
    for name, reason in reasons.items():
        monkeypatch.setitem(sys.modules, f"stub_{name}", stub(name, reason))
        stubs[name] = Backend(name, f"stub_{name}")
    monkeypatch.setattr(backends, "BACKENDS", stubs)
    return calls


def test_auto_takes_the_first_that_works_and_logs_each(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls = install_stubs(monkeypatch, one="no such device", two="too old", three=None, four=None)
    with caplog.at_level(logging.DEBUG, logger="zerodce_rt"):
        network = choose_backend().create(load_bundled("plus"))
    assert network.name == "three"
    assert calls == ["probe one", "probe two", "probe three", "create three"]
    messages = [r.getMessage() for r in caplog.records]
    assert messages == [
        "backend one not available: no such device",
        "backend two not available: too old",
        "backend three (three 1.0)",
    ]


def test_auto_says_why_a_card_that_is_there_is_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    install_stubs(monkeypatch, one="no TensorRT", two="no compiler", three=None)
    gpu = {n: replace(b, on_gpu=n != "three") for n, b in backends.BACKENDS.items()}
    monkeypatch.setattr(backends, "BACKENDS", gpu)
    monkeypatch.setattr(driver, "nvidia_driver_present", lambda: True)
    with caplog.at_level(logging.INFO, logger="zerodce_rt"):
        assert choose_backend().name == "three"
    (record,) = caplog.records
    assert record.getMessage() == "the NVIDIA card is not used: no compiler"
    caplog.clear()
    monkeypatch.setattr(driver, "nvidia_driver_present", lambda: False)
    with caplog.at_level(logging.INFO, logger="zerodce_rt"):
        assert choose_backend().name == "three"
    assert not caplog.records


def test_small_networks_do_without_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    install_stubs(monkeypatch, engines=None, kernels=None, cpu=None)
    found = {
        name: replace(backend, on_gpu=name != "cpu", has_engines=name == "engines")
        for name, backend in backends.BACKENDS.items()
    }
    monkeypatch.setattr(backends, "BACKENDS", found)
    assert choose_backend().name == "engines"
    assert choose_backend(small=True).name == "kernels"
    assert choose_backend(small=True, skip=["kernels"]).name == "engines"


def test_pictures_start_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    install_stubs(monkeypatch, card=None, cpu=None)
    found = {n: replace(b, on_gpu=n == "card") for n, b in backends.BACKENDS.items()}
    monkeypatch.setattr(backends, "BACKENDS", found)
    assert for_pictures("auto", small=True) == "cpu"
    assert for_pictures("auto", small=False) == "auto"
    assert for_pictures("card", small=True) == "card"
    assert choose_backend().name == "card"


def test_auto_gives_every_reason_when_nothing_works(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = install_stubs(monkeypatch, one="no such device", two="too old")
    with pytest.raises(ZeroDCEError, match="one: no such device; two: too old"):
        choose_backend().create(load_bundled("plus"))
    assert calls == ["probe one", "probe two"]


def test_an_explicit_choice_is_never_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = install_stubs(monkeypatch, one=None, two="no such device", three=None)
    with pytest.raises(ZeroDCEError, match="two is not available: no such device") as error:
        choose_backend("two").create(load_bundled("plus"))
    assert calls == ["probe two"]
    assert isinstance(error.value.__cause__, BackendUnavailable)


def test_an_explicit_choice_is_used_even_if_another_comes_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install_stubs(monkeypatch, one=None, two=None)
    assert choose_backend("two").create(load_bundled("plus")).name == "two"


def test_backends_can_be_listed_without_numpy() -> None:
    program = (
        "import sys; from zerodce_rt.backends import BACKENDS; "
        "print(*BACKENDS); assert not {'numpy', 'torch', 'numba'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == list(BACKENDS)


def test_the_order_of_auto() -> None:
    assert list(BACKENDS) == ["tensorrt", "tensorrt-rtx", "cuda", "openvino", "torch"]
    for backend in BACKENDS.values():
        module = import_module(backend.module)
        assert callable(module.probe)
        assert callable(module.create)
