"""Weights files: every known layout is read, others are refused and not executed."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from torch import nn

from tests.support.published import State, random_state
from zerodce_rt import names
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.network.checkpoint import (
    Checkpoint,
    load_bundled,
    load_weights,
    save_weights,
)
from zerodce_rt.network.model import MODELS

both_models = pytest.mark.parametrize("model", ["plus", "dcenet"])


def prefixed(prefix: str) -> Callable[[State], Any]:
    return lambda state: {prefix + name: t for name, t in state.items()}


def wrapped(key: str, **beside: Any) -> Callable[[State], Any]:
    return lambda state: beside | {key: state}


LAYOUTS: dict[str, Callable[[State], Any]] = {
    "bare": dict,
    "module.": prefixed("module."),
    "_orig_mod.": prefixed("_orig_mod."),
    "_orig_mod.module.": prefixed("_orig_mod.module."),
    "module._orig_mod.": prefixed("module._orig_mod."),
    "state_dict": wrapped("state_dict"),
    "model_state_dict": wrapped("model_state_dict"),
    "model": wrapped("model"),
    "net": wrapped("net"),
    "beside an epoch": wrapped("model", epoch=3, loss=0.25),
    "beside an optimizer": wrapped("model_state_dict", optimizer={"state": {}, "groups": [1]}),
    "beside tensors": wrapped("model", epoch=torch.tensor(3), rng=torch.get_rng_state()),
    "nested": lambda state: {"epoch": 3, "model": {"state_dict": state}},
    "nested and prefixed": lambda state: {"state_dict": prefixed("module.")(state)},
    "model. in a state_dict": lambda state: {"state_dict": prefixed("model.")(state)},
}


def assert_same_weights(checkpoint: Checkpoint, model: str, state: State) -> None:
    assert checkpoint.model == model
    assert set(checkpoint.weights) == set(state)
    for name, tensor in state.items():
        weights = checkpoint.weights[name]
        assert weights.dtype == np.float32
        assert weights.flags.c_contiguous
        np.testing.assert_array_equal(weights, tensor.float().numpy())


def refusal(path: Path) -> str:
    """The error message for a file, checked to be one line that names the file."""
    with pytest.raises(ZeroDCEError) as error:
        load_weights(path)
    message = str(error.value)
    assert len(message.splitlines()) == 1
    assert str(path) in message
    return message


@both_models
@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_every_pth_layout_is_read(tmp_path: Path, model: str, layout: str) -> None:
    state = random_state(model)
    path = tmp_path / "weights.pth"
    torch.save(LAYOUTS[layout](state), path)
    assert_same_weights(load_weights(path), model, state)


@both_models
def test_old_torch_files_are_read(tmp_path: Path, model: str) -> None:
    state = random_state(model)
    path = tmp_path / "Epoch99.pth"
    torch.save(state, path, _use_new_zipfile_serialization=False)
    assert_same_weights(load_weights(path), model, state)


@both_models
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod."])
def test_safetensors_are_read(tmp_path: Path, model: str, prefix: str) -> None:
    state = random_state(model)
    path = tmp_path / "weights.safetensors"
    save_file({prefix + n: t.numpy() for n, t in state.items()}, path)
    checkpoint = load_weights(path)
    assert_same_weights(checkpoint, model, state)
    assert checkpoint.source == path


@both_models
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(tmp_path: Path, model: str, dtype: torch.dtype) -> None:
    state = {n: t.to(dtype) for n, t in random_state(model).items()}
    torch.save(state, tmp_path / "weights.pth")
    assert_same_weights(load_weights(tmp_path / "weights.pth"), model, state)


def test_half_precision_safetensors_become_float32(tmp_path: Path) -> None:
    state = {n: t.half() for n, t in random_state("plus").items()}
    save_file({n: t.numpy() for n, t in state.items()}, tmp_path / "weights.safetensors")
    assert_same_weights(load_weights(tmp_path / "weights.safetensors"), "plus", state)


@both_models
def test_the_layout_is_that_of_the_network(tmp_path: Path, model: str) -> None:
    network = MODELS[model]()
    path = tmp_path / "weights.pth"
    torch.save(network.to(memory_format=torch.channels_last).state_dict(), path)  # type: ignore[call-overload]
    assert_same_weights(load_weights(path), model, network.state_dict())


@both_models
def test_round_trip(tmp_path: Path, model: str) -> None:
    state = random_state(model)
    path = tmp_path / "ours.safetensors"
    save_weights(path, {n: t.numpy() for n, t in state.items()}, metadata={"photos": "12"})
    assert_same_weights(load_weights(path), model, state)
    assert [p.name for p in tmp_path.iterdir()] == ["ours.safetensors"]


@both_models
def test_bundled_weights_load_and_brighten(model: str) -> None:
    checkpoint = load_bundled(model)
    assert checkpoint.model == model
    network = MODELS[model]()
    network.load_state_dict({n: torch.from_numpy(w) for n, w in checkpoint.weights.items()})
    maps = network(torch.full((1, 3, 32, 32), 0.05))
    # A < 0 brightens (see curve/maps.py).
    assert maps.mean() < -0.1


def test_unknown_bundled_model_lists_the_valid_ones() -> None:
    with pytest.raises(ZeroDCEError, match=r"'big'.*plus.*dcenet"):
        load_bundled("big")
    assert set(names.MODELS) == {*MODELS, "light"}


def test_weights_are_read_without_torch() -> None:
    code = (
        "import sys, zerodce_rt.network.checkpoint as c, zerodce_rt.network.wiring; "
        "c.load_bundled(); sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_missing_file(tmp_path: Path) -> None:
    assert "no such" in refusal(tmp_path / "nowhere.pth")
    assert "no such" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["notes.pth", "notes.safetensors"])
@pytest.mark.parametrize(
    "content", [b"", b"a note\nand another\n" * 10, b"\x80\x02", b"PK\x03\x04"]
)
def test_no_checkpoint_at_all(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert "safetensors" in refusal(path)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.99])
def test_truncated_safetensors(tmp_path: Path, share: float) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({n: t.numpy() for n, t in random_state("plus").items()}, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert "not a readable safetensors file" in refusal(path)


def test_truncated_pth(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(random_state("plus"), path)
    path.write_bytes(path.read_bytes()[:-1000])
    assert "cannot" in (message := refusal(path)) or "not a checkpoint" in message


def test_bfloat16_safetensors_are_read_or_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file as save_torch_file

    state = {n: t.bfloat16() for n, t in random_state("plus").items()}
    path = tmp_path / "weights.safetensors"
    save_torch_file(state, path)
    try:
        assert_same_weights(load_weights(path), "plus", state)
    except ZeroDCEError:
        assert refusal(path)


def test_another_network_is_described(tmp_path: Path) -> None:
    resnet = nn.Sequential(nn.Conv2d(3, 64, 7), nn.BatchNorm2d(64), nn.Linear(64, 10))
    path = tmp_path / "resnet.pth"
    torch.save(resnet.state_dict(), path)
    message = refusal(path)
    assert "9 tensors: 0.weight (64x3x7x7)" in message
    assert "e_conv1.weight (32x3x3x3)" in message
    assert "e_conv1.depth_conv.weight (3x1x3x3)" in message


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({"epoch": 3, "lr": 0.1}, "the keys 'epoch', 'lr'"),
        ({}, "mapping"),
        ([1, 2], "list"),
        (torch.zeros(3), "Tensor"),
    ],
)
def test_other_content_is_described(tmp_path: Path, content: object, found: str) -> None:
    path = tmp_path / "other.pth"
    torch.save(content, path)
    assert found in refusal(path)


def test_a_checkpoint_that_contains_itself_is_refused(tmp_path: Path) -> None:
    content: dict[str, object] = {}
    content["model"] = content
    path = tmp_path / "endless.pth"
    torch.save(content, path)
    assert "the keys 'model'" in refusal(path)


def remove(state: State, name: str) -> None:
    del state[name]


def widen(state: State, name: str) -> None:
    state[name] = torch.cat([state[name], state[name]])


def add(state: State, name: str) -> None:
    state["e_conv8.bias"] = state[name].clone()


@both_models
@pytest.mark.parametrize("damage", [remove, widen, add])
def test_one_wrong_tensor_is_enough_to_refuse(
    tmp_path: Path, model: str, damage: Callable[[State, str], None]
) -> None:
    state = random_state(model)
    damage(state, list(state)[-1])
    path = tmp_path / "damaged.pth"
    torch.save(state, path)
    message = refusal(path)
    assert f"{len(state)} tensors" in message
    assert "expected" in message


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_must_be_finite(tmp_path: Path, value: float) -> None:
    state = random_state("plus")
    state["e_conv4.point_conv.weight"][5, 7] = value
    path = tmp_path / "diverged.pth"
    torch.save(state, path)
    assert "not finite" in refusal(path)


class Payload:
    """Creates a file when unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


def plain_pickle(content: object, path: Path) -> None:
    path.write_bytes(pickle.dumps(content))


@pytest.mark.parametrize("write", [torch.save, plain_pickle])
@pytest.mark.parametrize("name", ["evil.pth", "evil.pt", "evil.safetensors", "evil"])
def test_a_pickle_is_refused_and_not_executed(
    tmp_path: Path, write: Callable[[object, Path], None], name: str
) -> None:
    trace = tmp_path / "trace"
    pickle.loads(pickle.dumps(Payload(trace)))
    assert trace.exists(), "the payload itself must work"
    trace.unlink()
    write(random_state("plus") | {"extra": Payload(trace)}, tmp_path / name)
    refusal(tmp_path / name)
    assert not trace.exists()


def test_a_whole_pickled_module_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "module.pth"
    torch.save(MODELS["plus"](), path)
    assert "read safely" in refusal(path)


def test_a_failed_save_leaves_no_partial_file_and_keeps_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = {n: t.numpy() for n, t in random_state("plus").items()}
    path = tmp_path / "ours.safetensors"
    save_weights(path, weights, metadata={"run": "old"})
    before = path.read_bytes()

    def refuse(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        save_weights(path, weights, metadata={"run": "new"})
    assert [p.name for p in tmp_path.iterdir()] == ["ours.safetensors"]
    assert path.read_bytes() == before


def test_an_interrupted_save_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_half(self: Path, data: bytes) -> int:
        with open(self, "wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_bytes", write_half)
    weights = {n: t.numpy() for n, t in random_state("plus").items()}
    with pytest.raises(OSError, match="disk full"):
        save_weights(tmp_path / "ours.safetensors", weights, metadata={})
    assert list(tmp_path.iterdir()) == []


def test_metadata_is_kept(tmp_path: Path) -> None:
    from safetensors import safe_open

    path = tmp_path / "ours.safetensors"
    weights = {n: t.numpy() for n, t in random_state("plus").items()}
    save_weights(path, weights, metadata={"photos": "12"})
    with safe_open(path, "np") as file:
        assert file.metadata() == {"photos": "12"}
    assert set(load_file(path)) == set(weights)


def test_archives_that_cannot_be_listed_are_not_unpacked(tmp_path: Path) -> None:
    """PyTorch would read on where Python's zipfile stops."""
    path = tmp_path / "bomb.pth"
    torch.save({"x": torch.zeros(3)}, path)
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x01\x02")
    data[place + 6] = 99  # the version needed to extract
    path.write_bytes(data)
    with pytest.raises(ZeroDCEError, match="a damaged archive"):
        load_weights(path)


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_large_files_are_not_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with path.open("wb") as file:
        file.truncate(65_000_000)
    with pytest.raises(ZeroDCEError, match="holds 65 MB"):
        load_weights(path)
