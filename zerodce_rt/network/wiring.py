"""What both networks are made of, for those who write them anew (see model.py)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.network.checkpoint import Weights

INPUTS = ((0,), (1,), (2,), (3,), (3, 4), (2, 5), (1, 6))
"""Which earlier layers' outputs each layer takes; 0 is the picture."""


def connect(layer: Callable[..., Any], image: Any) -> Any:
    """Make the seven layers in their order; the output of the last.

    Args:
        layer: called with a layer's number, 1 to 7, and its inputs.
    """
    outputs = [image]
    for number, inputs in enumerate(INPUTS, start=1):
        outputs.append(layer(number, *(outputs[i] for i in inputs)))
    return outputs[-1]


def dense(weights: Weights, name: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights ``(out, in, 3, 3)`` and bias of a layer as one ordinary convolution.

    A depthwise convolution and the pointwise one after it are one linear step: the same numbers
    come of a kernel that is the product of both. Tensor cores have no use for depthwise ones,
    and TensorRT-RTX 1.7 makes engines of 2.9 GB of them for frames of 1080p on an RTX 20.
    """
    if f"{name}.weight" in weights:
        return weights[f"{name}.weight"], weights[f"{name}.bias"]
    depth, point = weights[f"{name}.depth_conv.weight"], weights[f"{name}.point_conv.weight"]
    through = point[:, :, 0, 0] @ weights[f"{name}.depth_conv.bias"]
    return point * depth[None, :, 0], weights[f"{name}.point_conv.bias"] + through
