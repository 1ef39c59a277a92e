"""Reading and writing network weights: ours, and every published Zero-DCE layout.

Weights travel as a plain mapping of names to float32 arrays, named as in ``model.py``; no
framework is needed to hold them, and torch is imported only to read a ``.pth`` file.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.atomic import finished_file
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.names import DEFAULT_MODEL, MODELS

Weights = dict[str, NDArray[np.float32]]

BUNDLED = Path(__file__).parent / "weights"
_MAP_COUNTS = {"plus": 3, "dcenet": 24}
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "params", "weights", "generator")
_PREFIXES = ("module.", "model.", "net.", "_orig_mod.")


@dataclass(frozen=True)
class Checkpoint:
    """Weights with the architecture that they are for.

    Attributes:
        model: ``"plus"`` or ``"dcenet"``.
        weights: float32 arrays by layer name.
        source: the file they came from.
    """

    model: str
    weights: Weights
    source: Path

    @property
    def map_count(self) -> int:
        """Curve maps that the network gives: 3 for each iteration, or 3 for all."""
        return _MAP_COUNTS[self.model]

    @property
    def parameters(self) -> int:
        """Weights in all; about as many multiplications are made for each pixel."""
        return sum(w.size for w in self.weights.values())


def _layer_shapes(model: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a network's tensors (the layout of ``model.py``)."""
    last = _MAP_COUNTS[model]
    widths = [(3, 32), (32, 32), (32, 32), (32, 32), (64, 32), (64, 32), (64, last)]
    shapes: dict[str, tuple[int, ...]] = {}
    for number, (inner, outer) in enumerate(widths, start=1):
        name = f"e_conv{number}"
        if model == "dcenet":
            shapes[f"{name}.weight"] = (outer, inner, 3, 3)
            shapes[f"{name}.bias"] = (outer,)
        else:
            shapes[f"{name}.depth_conv.weight"] = (inner, 1, 3, 3)
            shapes[f"{name}.depth_conv.bias"] = (inner,)
            shapes[f"{name}.point_conv.weight"] = (outer, inner, 1, 1)
            shapes[f"{name}.point_conv.bias"] = (outer,)
    return shapes


def load_bundled(model: str = DEFAULT_MODEL) -> Checkpoint:
    """Our own weights for a network.

    Raises:
        ZeroDCEError: for an unknown network.
    """
    if model not in MODELS:
        raise ZeroDCEError(f"unknown model {model!r}; valid: {', '.join(MODELS)}")
    return load_weights(BUNDLED / f"{model}.safetensors")


def load_weights(path: Path | str) -> Checkpoint:
    """Read a weights file; the architecture is detected from names and shapes.

    Accepts safetensors and torch checkpoints (``.pth``, ``.pt``, ...): plain state dicts or
    wrapped ones, with or without a ``module.`` prefix. Nothing in the file is executed.

    Raises:
        ZeroDCEError: if the file cannot be read or is no Zero-DCE checkpoint.
    """
    path = Path(path)
    if not path.is_file():
        raise ZeroDCEError(f"{path}: no such weights file")
    content = _read_tensors(path)
    tensors = _unwrap(content)
    for model in MODELS:
        expected = _layer_shapes(model)
        if {name: t.shape for name, t in tensors.items()} == expected:
            weights = {n: np.ascontiguousarray(tensors[n], np.float32) for n in expected}
            if not all(np.isfinite(w).all() for w in weights.values()):
                raise ZeroDCEError(f"{path}: holds weights that are not finite numbers")
            return Checkpoint(model, weights, path)
    raise ZeroDCEError(
        f"{path}: not a Zero-DCE checkpoint: found {_describe(content, tensors)}; expected "
        "e_conv1.weight (32x3x3x3) ... e_conv7.bias (24) of DCENet, or "
        "e_conv1.depth_conv.weight (3x1x3x3) ... e_conv7.point_conv.bias (3) of DCENetPlus"
    )


def save_weights(path: Path, weights: Weights, *, metadata: dict[str, str]) -> None:
    """Write weights as safetensors; the file appears under its name only when complete."""
    from safetensors.numpy import save

    with finished_file(path) as partial:
        partial.write_bytes(save(weights, metadata=metadata))


def _read_tensors(path: Path) -> Any:
    if path.suffix.lower() == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            return load(path.read_bytes())
        except (SafetensorError, KeyError) as error:  # KeyError: a dtype that NumPy lacks
            raise ZeroDCEError(f"{path}: not a readable safetensors file ({error})") from error
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols; a refusal says enough
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its several readers raise
        raise ZeroDCEError(
            f"{path}: not a checkpoint that can be read safely: it is damaged, no torch file, or "
            "holds Python objects; expected safetensors or a torch state dict"
        ) from error


def _unwrap(content: Any) -> dict[str, NDArray[Any]]:
    """Follow wrappers down to the tensors, and strip prefixes from their names."""
    while isinstance(content, Mapping):
        # Wrappers first: counters and random states beside them may be tensors too.
        inner = [content[k] for k in _WRAPPERS if isinstance(content.get(k), Mapping)]
        if not inner:
            break
        content = inner[0]
    else:
        return {}
    tensors = {str(k): _as_array(v) for k, v in content.items() if hasattr(v, "shape")}
    stripping = bool(tensors)
    while stripping:
        stripping = False
        for prefix in _PREFIXES:
            if all(name.startswith(prefix) for name in tensors):
                tensors = {name[len(prefix) :]: t for name, t in tensors.items()}
                stripping = True
    return tensors


def _as_array(value: Any) -> NDArray[Any]:
    if hasattr(value, "detach"):
        value = value.detach().to("cpu")
        if value.is_floating_point():
            value = value.float()
        value = value.numpy()
    return np.asarray(value)


def _describe(content: Any, tensors: dict[str, NDArray[Any]]) -> str:
    if tensors:
        shown = [f"{n} ({'x'.join(map(str, t.shape))})" for n, t in list(tensors.items())[:3]]
        more = f" and {len(tensors) - 3} more" if len(tensors) > 3 else ""
        return f"{len(tensors)} tensors: {', '.join(shown)}{more}"
    if isinstance(content, Mapping):
        return f"a mapping with the keys {', '.join(map(repr, list(content)[:5]))}"
    return f"a {type(content).__name__}"
