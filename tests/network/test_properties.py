"""What holds for whatever is in a weights file."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support.properties import few, seeds
from tests.support.published import random_state
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.network.checkpoint import load_weights

layer_names = st.sampled_from(
    [
        "e_conv1.weight",
        "e_conv1.bias",
        "module.e_conv1.weight",
        "e_conv7.point_conv.bias",
        "module.",
    ]
)
wrapper_names = st.sampled_from(["state_dict", "model", "net", "params", "weights", "generator"])
dtypes = st.sampled_from(
    [torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool,
     torch.complex64]
)  # fmt: skip
tensors = st.builds(
    lambda shape, dtype: torch.zeros(shape, dtype=dtype),
    st.sampled_from([(), (0,), (3,), (32,), (32, 3, 3, 3)]), dtypes,
)  # fmt: skip
plain_values = st.none() | st.integers() | st.text(max_size=5) | tensors
contents = st.recursive(
    plain_values,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(
        layer_names | wrapper_names | st.text(max_size=5) | st.integers(), inner, max_size=3
    ),
    max_leaves=6,
)  # fmt: skip


def refusal(content: Any) -> str:
    """What is said about a checkpoint, without the file's name."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pth"
        torch.save(content, path)
        with pytest.raises(ZeroDCEError) as refused:
            load_weights(path)
    name, _, said = str(refused.value).partition(": ")
    assert name == str(path)
    assert said
    assert "\n" not in said
    return said


@given(contents)
def test_any_checkpoint_is_refused_in_one_line(content: Any) -> None:
    refusal(content)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("complete", [False, True])
@pytest.mark.parametrize("layout", [torch.jagged, torch.strided])
def test_nested_tensors_are_refused_in_one_line(layout: torch.layout, complete: bool) -> None:
    state = random_state("plus", seed=0) if complete else {}
    ragged = torch.nested.nested_tensor([torch.zeros(2, 3), torch.zeros(3, 3)], layout=layout)
    refusal({**state, "e_conv1.depth_conv.weight": ragged})


@few
@given(st.binary(max_size=200), st.sampled_from([".pth", ".pt", ".safetensors"]))
def test_any_bytes_are_refused(content: bytes, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"weights{suffix}"
        path.write_bytes(content)
        with pytest.raises(ZeroDCEError, match="weights"):
            load_weights(path)


@few
@given(
    st.lists(wrapper_names, max_size=3), st.lists(st.sampled_from(["module.", "net."]), max_size=3),
    st.dictionaries(st.sampled_from(["epoch", "lr"]), plain_values, max_size=2), seeds,
)  # fmt: skip
def test_weights_are_found_however_they_are_wrapped(
    wrappers: list[str], prefixes: list[str], beside: dict[str, Any], seed: int
) -> None:
    state = random_state("plus", seed=seed)
    content: dict[str, Any] = {"".join(prefixes) + name: t for name, t in state.items()}
    for wrapper in wrappers:
        content = {**beside, wrapper: content}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pth"
        torch.save(content, path)
        found = load_weights(path)
    assert found.model == "plus"
    assert found.weights.keys() == state.keys()
    for name, tensor in state.items():
        np.testing.assert_array_equal(found.weights[name], tensor.numpy())
