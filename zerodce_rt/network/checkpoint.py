"""Reading and writing network weights: ours, and every published Zero-DCE layout.

In memory, weights are NumPy arrays under the layer names of ``model.py``, so that backends without
PyTorch can use them. PyTorch is imported only to read a file that is not safetensors.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.atomic import finished_file
from zerodce_rt.curve import light
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.names import DEFAULT_MODEL, MODELS
from zerodce_rt.network import light_wiring

Weights = dict[str, NDArray[np.float32]]
"""Arrays by layer name."""

BUNDLED = Path(__file__).parent / "weights"
_MAP_COUNTS = {"light": light_wiring.MAP_COUNT, "plus": 3, "dcenet": 24}

# What training programs put around a state dict: keys of mappings that contain it, and prefixes of
# its names (DataParallel, torch.compile and others).
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "params", "weights", "generator")
_PREFIXES = ("module.", "model.", "net.", "_orig_mod.")
# More wrappers than any real file has; a hostile one may contain itself.
_MOST_WRAPPERS = 8
# Checkpoints of training programs, with their optimisers, have some megabytes.
_MOST_BYTES = 64_000_000
_LARGEST_WEIGHT = 1e4
_LONGEST_NAME = 60
# Types of safetensors for which NumPy has one; BF16 has half of float32.
_STORED_TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4",
    "I16": "<i2", "I8": "i1", "U8": "u1", "BOOL": "?",
}  # fmt: skip


@dataclass(frozen=True)
class Checkpoint:
    """Weights, and the network that they belong to.

    Attributes:
        model: a name of ``names.MODELS``.
        weights: float32 arrays by layer name, contiguous and finite.
        source: the file they were read from.
    """

    model: str
    weights: Weights
    source: Path

    @property
    def map_count(self) -> int:
        """Channels of the network's output: 24 for ``dcenet``, 3 for ``plus``, 5 for ``light``."""
        return _MAP_COUNTS[self.model]

    @property
    def knots(self) -> tuple[float, ...]:
        """Those of the network's maps, if they are light maps (see ``CurveMaps``)."""
        return light.KNOTS if self.model == "light" else ()

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        return sum(w.size for w in self.weights.values())

    def multiplications(self, height: int, width: int) -> int:
        """Of the network, about, for a thumbnail of this size."""
        if self.model == "light":
            return light_wiring.multiplications(height, width)
        return self.parameters * height * width


def _layer_shapes(model: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a network's tensors, as in ``model.py`` and ``light_model.py``."""
    if model == "light":
        light_shapes: dict[str, tuple[int, ...]] = {}
        for name, (inputs, outputs, size) in light_wiring.CONVOLUTIONS.items():
            light_shapes[f"{name}.weight"] = (outputs, inputs, size, size)
            light_shapes[f"{name}.bias"] = (outputs,)
        return light_shapes
    last = _MAP_COUNTS[model]
    channels = [(3, 32), (32, 32), (32, 32), (32, 32), (64, 32), (64, 32), (64, last)]
    shapes: dict[str, tuple[int, ...]] = {}
    for number, (inputs, outputs) in enumerate(channels, start=1):
        name = f"e_conv{number}"
        if model == "dcenet":
            shapes[f"{name}.weight"] = (outputs, inputs, 3, 3)
            shapes[f"{name}.bias"] = (outputs,)
        else:
            shapes[f"{name}.depth_conv.weight"] = (inputs, 1, 3, 3)
            shapes[f"{name}.depth_conv.bias"] = (inputs,)
            shapes[f"{name}.point_conv.weight"] = (outputs, inputs, 1, 1)
            shapes[f"{name}.point_conv.bias"] = (outputs,)
    return shapes


def load_bundled(model: str = DEFAULT_MODEL) -> Checkpoint:
    """Our own weights for a model of ``names.MODELS``.

    Raises:
        ZeroDCEError: for another model.
    """
    if model not in MODELS:
        raise ZeroDCEError(f"unknown model {model!r}; valid: {', '.join(MODELS)}")
    return load_weights(BUNDLED / f"{model}.safetensors")


def load_weights(path: Path | str) -> Checkpoint:
    """Read a weights file; names and shapes of its tensors show which network it is for.

    Args:
        path: safetensors, or a PyTorch checkpoint (``.pth``, ``.pt``, ...): a state dict, alone or
            inside a larger checkpoint, with or without prefixes such as ``module.``. Nothing in
            the file is executed.

    Raises:
        ZeroDCEError: if the file cannot be read or is not a Zero-DCE checkpoint.
    """
    path = Path(path)
    if not path.is_file():
        raise ZeroDCEError(f"{path}: no such weights file")
    content = _read_tensors(path)
    tensors = _named_tensors(content)
    for model in MODELS:
        expected = _layer_shapes(model)
        if {name: tuple(t.shape) for name, t in tensors.items()} == expected:
            weights = {name: _as_array(path, name, tensors[name]) for name in expected}
            if not all((abs(w) < _LARGEST_WEIGHT).all() for w in weights.values()):
                raise ZeroDCEError(
                    f"{path}: contains weights that are not finite numbers below "
                    f"{_LARGEST_WEIGHT:g}, as those of every trained network are"
                )
            return Checkpoint(model, weights, path)
    raise ZeroDCEError(
        f"{path}: not a Zero-DCE checkpoint: found {_describe(content, tensors)}; expected "
        "e_conv1.weight (32x3x3x3) ... e_conv7.bias (24) of DCENet, or "
        "e_conv1.depth_conv.weight (3x1x3x3) ... e_conv7.point_conv.bias (3) of DCENetPlus"
    )


def load_network(model: str | None, weights: Path | str | None) -> Checkpoint:
    """Our own weights of a model, or those of a file, which decides what model it is.

    Raises:
        ZeroDCEError: a file that cannot be read, or that holds another model.
    """
    checkpoint = load_weights(weights) if weights else load_bundled(model or DEFAULT_MODEL)
    if model is not None and checkpoint.model != model:
        raise ZeroDCEError(
            f"{checkpoint.source}: holds weights of model {checkpoint.model!r}, "
            f"not {model!r}; leave `model` out"
        )
    return checkpoint


def save_weights(
    path: Path, weights: Mapping[str, NDArray[np.floating[Any]]], *, metadata: dict[str, str]
) -> None:
    """Write weights as safetensors.

    Args:
        path: an existing file is replaced, once the new one is complete.
        weights: arrays by layer name; float16 ones take half the space.
        metadata: strings to keep with the weights.
    """
    from safetensors.numpy import save

    with finished_file(path) as partial:
        partial.write_bytes(save(dict(weights), metadata=metadata))


def _read_tensors(path: Path) -> Any:
    _check_size(path)
    if path.suffix.lower() == ".safetensors":
        return _read_safetensors(path)
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old pickle protocols
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files raise errors of many kinds
        raise ZeroDCEError(
            f"{path}: not a checkpoint that can be read safely: damaged, not from PyTorch, or "
            "with Python objects in it; expected safetensors or a PyTorch state dict"
        ) from error


def _check_size(path: Path) -> None:
    """Refuse a file that is too large, or whose content is when it is unpacked."""
    size = path.stat().st_size
    with path.open("rb") as file:
        packed = file.read(2) == b"PK"
    if packed and size <= _MOST_BYTES:
        try:
            with zipfile.ZipFile(path) as archive:
                size = max(size, sum(file.file_size for file in archive.infolist()))
        except Exception as error:  # a damaged one raises errors of many kinds
            raise ZeroDCEError(
                f"{path}: not a checkpoint that can be read safely: a damaged archive; expected "
                "safetensors or a PyTorch state dict"
            ) from error
    if size > _MOST_BYTES:
        raise ZeroDCEError(
            f"{path}: holds {size / 1e6:.0f} MB, and a Zero-DCE checkpoint less than one"
        )


def _read_safetensors(path: Path) -> dict[str, NDArray[Any]]:
    # Not the reader for NumPy, which has no bfloat16.
    import safetensors

    deserialize: Any = safetensors.deserialize
    tensors = {}
    try:
        for name, tensor in deserialize(path.read_bytes()):
            kind = tensor["dtype"]
            if kind not in _STORED_TYPES:
                raise ZeroDCEError(_wrong_type(path, name, kind))
            values = np.frombuffer(tensor["data"], _STORED_TYPES[kind])
            if kind == "BF16":  # the upper half of a float32
                values = (values.astype(np.uint32) << 16).view(np.float32)
            tensors[name] = values.reshape(tensor["shape"])
    except (safetensors.SafetensorError, ValueError) as error:
        raise ZeroDCEError(
            f"{path}: not a readable safetensors file ({_shown(error, 200)})"
        ) from error
    return tensors


def _named_tensors(content: Any) -> dict[str, Any]:
    """The tensors of a checkpoint, without wrappers around them and prefixes of their names."""
    if not isinstance(content, Mapping):
        return {}
    tensors = {str(k): v for k, v in _unwrapped(content).items() if _has_shape(v)}
    for _ in range(_MOST_WRAPPERS):
        if not tensors or (prefix := _common_prefix(tensors)) is None:
            break
        tensors = {name.removeprefix(prefix): t for name, t in tensors.items()}
    return tensors


def _has_shape(value: Any) -> bool:
    try:
        return hasattr(value, "shape")
    except RuntimeError:  # a nested tensor has many
        return False


def _unwrapped(content: Mapping[Any, Any]) -> Mapping[Any, Any]:
    for _ in range(_MOST_WRAPPERS):
        # Before the tensors here: counters and random states beside a wrapper may be tensors.
        inner = [content[k] for k in _WRAPPERS if isinstance(content.get(k), Mapping)]
        if not inner:
            break
        content = inner[0]
    return content


def _common_prefix(names: Iterable[str]) -> str | None:
    return next((p for p in _PREFIXES if all(name.startswith(p) for name in names)), None)


def _as_array(path: Path, name: str, value: Any) -> NDArray[np.float32]:
    """A tensor or array of plain floating-point numbers as float32.

    Raises:
        ZeroDCEError: for any other, such as one that is sparse or quantised.
    """
    try:
        if hasattr(value, "detach"):
            if not value.is_floating_point():
                raise TypeError
            value = value.detach().cpu().float().numpy()
        if value.dtype.kind != "f":
            raise TypeError
        return np.ascontiguousarray(value, np.float32)
    except Exception as error:  # PyTorch has one for each of its many kinds of tensors
        kind = str(value.dtype).removeprefix("torch.")
        if (layout := str(getattr(value, "layout", "torch.strided"))) != "torch.strided":
            kind += f" ({layout.removeprefix('torch.')})"
        raise ZeroDCEError(_wrong_type(path, name, kind)) from error


def _wrong_type(path: Path, name: str, kind: str) -> str:
    return f"{path}: {_shown(name)} holds {kind} values; expected plain floating-point numbers"


def _shown(name: object, longest: int = _LONGEST_NAME) -> str:
    """A text from the file, as a message can show it."""
    text = str(name)
    text = text if len(text) <= longest else f"{text[:longest]}..."
    return text if text.isprintable() else ascii(text)


def _describe(content: Any, tensors: dict[str, NDArray[Any]]) -> str:
    if tensors:
        shown = [
            f"{_shown(n)} ({'x'.join(map(str, t.shape))})" for n, t in list(tensors.items())[:3]
        ]
        more = f" and {len(tensors) - 3} more" if len(tensors) > 3 else ""
        return f"{len(tensors)} tensors: {', '.join(shown)}{more}"
    if isinstance(content, Mapping):
        keys = ", ".join(repr(_shown(key)) for key in list(content)[:5])
        return f"a mapping with the keys {keys}" if keys else "an empty mapping"
    return f"a {type(content).__name__}"
