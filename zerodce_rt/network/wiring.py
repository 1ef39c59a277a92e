"""The layout of both networks, for backends that build them without PyTorch (see ``model.py``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.network.checkpoint import Weights

INPUTS = ((0,), (1,), (2,), (3,), (3, 4), (2, 5), (1, 6))
"""Inputs of layers 1 to 7: numbers of earlier layers, concatenated; 0 is the image."""


def connect(layer: Callable[..., Any], image: Any) -> Any:
    """Build the network from its seven layers; returns the output of the last.

    Args:
        layer: called with a layer's number, 1 to 7, and its inputs; returns its output.
        image: what layer 1 gets.
    """
    outputs = [image]
    for number, inputs in enumerate(INPUTS, start=1):
        outputs.append(layer(number, *(outputs[i] for i in inputs)))
    return outputs[-1]


def dense(weights: Weights, name: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A layer as one ordinary convolution, also where it is separable.

    A depthwise convolution followed by a pointwise one equals a single convolution whose kernel is
    their product. Depthwise ones cannot use tensor cores, and for 1080p frames on an RTX 20,
    TensorRT-RTX 1.7 builds engines of 2.9 GB from them.

    Args:
        name: of the layer, such as ``"e_conv1"``.

    Returns:
        Weights ``(out, in, 3, 3)`` and bias ``(out,)``.
    """
    if f"{name}.weight" in weights:
        return weights[f"{name}.weight"], weights[f"{name}.bias"]
    depth, point = weights[f"{name}.depth_conv.weight"], weights[f"{name}.point_conv.weight"]
    through = point[:, :, 0, 0] @ weights[f"{name}.depth_conv.bias"]
    return point * depth[None, :, 0], weights[f"{name}.point_conv.bias"] + through
