"""The light network defined for TensorRT for RTX (see ``light_wiring.connect``)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from zerodce_rt.network.checkpoint import Weights
from zerodce_rt.network.light_wiring import (
    CONVOLUTIONS,
    GAIN_CENTRE,
    LOG_OFFSET,
    LOG_STOPS,
    MAP_COUNT,
    connect,
    stride,
)

_CHANNELS = 1
# As a mask.
_HEIGHT_AND_WIDTH = 1 << 2 | 1 << 3


class _Value:
    """A tensor of a network that is being defined, which can be added to another."""

    def __init__(self, layers: _Layers, tensor: Any) -> None:
        self.layers, self.tensor = layers, tensor

    def __add__(self, other: _Value) -> _Value:
        return self.layers.combined(self, other, "SUM")


class _Layers:
    """``light_wiring.Layers`` by TensorRT's.

    Attributes:
        kept: the arrays of weights.
    """

    def __init__(self, trt: Any, network: Any, weights: Weights) -> None:
        self.trt, self.network, self.weights = trt, network, weights
        self.kept: list[Any] = []

    def convolution(self, name: str, x: _Value) -> _Value:
        _, outputs, size = CONVOLUTIONS[name]
        kernel, bias = (
            self._weights(self.weights[f"{name}.{part}"], np.float16) for part in ("weight", "bias")
        )
        layer = self.network.add_convolution_nd(x.tensor, outputs, (size, size), kernel, bias)
        layer.stride_nd = (stride(name), stride(name))
        layer.padding_nd = (size // 2, size // 2)
        return self._out(layer)

    def relu(self, x: _Value) -> _Value:
        return self._out(self.network.add_activation(x.tensor, self.trt.ActivationType.RELU))

    def concat(self, x: _Value, y: _Value) -> _Value:
        layer = self.network.add_concatenation([x.tensor, y.tensor])
        layer.axis = _CHANNELS
        return self._out(layer)

    def resized(self, x: _Value, like: _Value) -> _Value:
        layer = self.network.add_resize(x.tensor)
        layer.shape = (*tuple(x.tensor.shape)[:2], *tuple(like.tensor.shape)[2:])
        layer.resize_mode = self.trt.InterpolationMode.LINEAR
        layer.coordinate_transformation = self.trt.ResizeCoordinateTransformation.HALF_PIXEL
        return self._out(layer)

    def summary(self, x: _Value) -> _Value:
        kinds = self.trt.ReduceOperation
        mean, most = (
            self._out(self.network.add_reduce(x.tensor, kind, _HEIGHT_AND_WIDTH, True))
            for kind in (kinds.AVG, kinds.MAX)
        )
        return self.concat(mean, most)

    def logs(self, image: _Value) -> _Value:
        # In float32: the offset is small.
        wide = self._out(self.network.add_cast(image.tensor, self.trt.float32))
        moved = wide + self.constant(LOG_OFFSET, np.float32)
        logarithm = self._out(self.network.add_unary(moved.tensor, self.trt.UnaryOperation.LOG))
        scale = self.constant(1 / (math.log(2) * LOG_STOPS), np.float32)
        logs = self.combined(logarithm, scale, "PROD") + self.constant(1, np.float32)
        return self._out(self.network.add_cast(logs.tensor, self.trt.float16))

    def limited(self, raw: _Value) -> _Value:
        """Maps within their ranges (``light_model.limited``)."""
        tanh = self._out(self.network.add_activation(raw.tensor, self.trt.ActivationType.TANH))
        curves = MAP_COUNT - 1
        spread = self.constant([*curves * [1.0], GAIN_CENTRE], np.float16)
        centre = self.constant([*curves * [0.0], GAIN_CENTRE], np.float16)
        return self.combined(tanh, spread, "PROD") + centre

    def combined(self, x: _Value, y: _Value, operation: str) -> _Value:
        """Element by element; channels of one sample are spread."""
        kind = getattr(self.trt.ElementWiseOperation, operation)
        return self._out(self.network.add_elementwise(x.tensor, y.tensor, kind))

    def constant(self, values: ArrayLike, dtype: Any) -> _Value:
        """One for each channel, or for all."""
        weights = self._weights(values, dtype)
        shape = (1, self.kept[-1].size, 1, 1)
        return self._out(self.network.add_constant(shape, weights))

    def _weights(self, values: ArrayLike, dtype: Any) -> Any:
        self.kept.append(np.ascontiguousarray(values, dtype))
        return self.trt.Weights(self.kept[-1])

    def _out(self, layer: Any) -> _Value:
        return _Value(self, layer.get_output(0))


def define_light(
    trt: Any, network: Any, weights: Weights, height: int, width: int
) -> tuple[Any, list[Any]]:
    """Define the light network, in float16 but for its logarithms.

    Args:
        network: empty.
        height, width: of its input; the maps have a quarter of it.

    Returns:
        The maps, and the arrays of weights, which must live as long as the network does.
    """
    layers = _Layers(trt, network, weights)
    image = _Value(layers, network.add_input("image", trt.float16, (1, 3, height, width)))
    return layers.limited(connect(layers, image)).tensor, layers.kept
