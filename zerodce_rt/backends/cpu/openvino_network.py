"""The network in OpenVINO: two to four times as fast as PyTorch on a CPU, and without it.

The graph is built layer by layer from the weights: for so few convolutions that is shorter than an
export, and nothing has to be traced or converted at run time.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.backends.interfaces import BackendUnavailable
from zerodce_rt.network import light_wiring
from zerodce_rt.network.checkpoint import Checkpoint, Weights
from zerodce_rt.network.wiring import connect

_DEVICE = "CPU"
_TELEMETRY = "openvino_telemetry"


def _openvino() -> Any:
    """The module ``openvino``, without its telemetry.

    On import it reports its use over the network, by a package of its own; where that package is
    missing, it does without.
    """
    hidden = _TELEMETRY not in sys.modules
    if hidden:
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
    try:
        import openvino
    finally:
        if hidden:
            del sys.modules[_TELEMETRY]
    return openvino


def probe() -> str:
    name = device_name()
    return f"OpenVINO {_openvino().__version__.split('-')[0]}, {name}"


def device_name() -> str:
    """The CPU's model name, from OpenVINO.

    Raises:
        BackendUnavailable: if OpenVINO is not installed, or finds no CPU that it can use.
    """
    try:
        openvino = _openvino()
    except (ImportError, OSError) as error:
        raise BackendUnavailable(
            f"openvino cannot be imported ({error}); pip install openvino"
        ) from None
    try:
        core = openvino.Core()
        name: str = core.get_property(_DEVICE, "FULL_DEVICE_NAME").strip()
    except RuntimeError as error:
        raise BackendUnavailable(
            f"OpenVINO finds no {_DEVICE} device ({str(error).splitlines()[0]}); "
            "pip install --force-reinstall openvino"
        ) from None
    return name


def create(checkpoint: Checkpoint, *, exact: bool) -> OpenVINOEstimator:
    return OpenVINOEstimator(checkpoint, exact=exact)


# Multiplications from which a second thread pays. With fewer, the two mostly wait for each other,
# and take CPU time from the encoder.
_ONE_THREAD_MULTIPLICATIONS = 100e6
# Layers prepared for a shape, which OpenVINO keeps: enough for some forty shapes. Its own default
# grows to a gigabyte with a folder of tiny pictures.
_KEPT_LAYERS = "1000"


class OpenVINOEstimator:
    """The network, compiled once for thumbnails of every size. Is an ``Estimator``.

    To prepare the layers for a new size takes some milliseconds; to compile the network for each
    took ten times as long, and saved 0.2 ms of an estimate.

    Args:
        exact: compute in float32. Otherwise in bfloat16 where the CPU has it, in half the time:
            maps differ by less than 0.001, and a few pixels by one 8-bit level.
    """

    name = "openvino"

    def __init__(self, checkpoint: Checkpoint, *, exact: bool) -> None:
        self._core = _openvino().Core()
        self.knots = checkpoint.knots
        self._checkpoint = checkpoint
        fast = "BF16" in self._core.get_property(_DEVICE, "OPTIMIZATION_CAPABILITIES")
        self._precision = "bf16" if fast and not exact else "f32"
        self._requests: dict[bool, Any] = {}  # one for a single thread, one for all

    def estimate(self, thumbnail: NDArray[np.float32]) -> NDArray[np.float32]:
        work = self._checkpoint.multiplications(*thumbnail.shape[1:])
        small = work < _ONE_THREAD_MULTIPLICATIONS
        if small not in self._requests:
            self._requests[small] = self._compile(one_thread=small)
        request = self._requests[small]
        request.infer([thumbnail[None]], share_inputs=True)
        # The result's memory belongs to the request and is overwritten by the next frame.
        maps: NDArray[np.float32] = request.get_output_tensor().data[0].copy()
        return maps

    def _compile(self, *, one_thread: bool) -> Any:
        options = {
            "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": self._precision,
            "CPU_RUNTIME_CACHE_CAPACITY": _KEPT_LAYERS,
        }  # fmt: skip
        if one_thread:
            options["INFERENCE_NUM_THREADS"] = "1"
        build = build_light_graph if self.knots else build_graph
        graph = build(self._checkpoint.weights)
        return self._core.compile_model(graph, _DEVICE, options).create_infer_request()


def build_light_graph(weights: Weights) -> Any:
    """The network of ``network/light_model.py`` as an ``openvino.Model`` for every size."""
    openvino = _openvino()
    ops = openvino.opset11
    image = ops.parameter([1, 3, -1, -1], np.float32, name="image")
    maps = ops.tanh(light_wiring.connect(_LightLayers(ops, weights), image))
    scale = np.ones((1, light_wiring.MAP_COUNT, 1, 1), np.float32)
    scale[:, -1], offset = light_wiring.GAIN_CENTRE, np.zeros_like(scale)
    offset[:, -1] = light_wiring.GAIN_CENTRE
    return openvino.Model([maps * scale + offset], [image], "light-net")


class _LightLayers:
    """``light_wiring.Layers`` that build a graph."""

    def __init__(self, ops: Any, weights: Weights) -> None:
        self._ops, self._weights = ops, weights
        self._sides = ops.constant(np.array([2, 3], np.int64))

    def convolution(self, name: str, x: Any) -> Any:
        return _convolution(self._ops, x, self._weights, name, light_wiring.stride(name))

    def relu(self, x: Any) -> Any:
        return self._ops.relu(x)

    def concat(self, x: Any, y: Any) -> Any:
        return self._ops.concat([x, y], axis=1)

    def resized(self, x: Any, like: Any) -> Any:
        size = self._ops.gather(self._ops.shape_of(like), self._sides, np.array(0, np.int64))
        return self._ops.interpolate(x, size, "linear_onnx", "sizes", axes=self._sides)

    def summary(self, x: Any) -> Any:
        mean = self._ops.reduce_mean(x, self._sides, keep_dims=True)
        return self.concat(mean, self._ops.reduce_max(x, self._sides, keep_dims=True))

    def logs(self, image: Any) -> Any:
        offset, scale, one = (
            np.array([n], np.float32)
            for n in (light_wiring.LOG_OFFSET, 1 / math.log(2) / light_wiring.LOG_STOPS, 1)
        )
        return self._ops.log(image + offset) * scale + one


def build_graph(weights: Weights) -> Any:
    """The network of ``network/model.py`` as an ``openvino.Model`` for every size."""
    openvino = _openvino()
    ops = openvino.opset11

    def convolution(x: Any, name: str) -> Any:
        return _convolution(ops, x, weights, name)

    def layer(number: int, *inputs: Any) -> Any:
        x = ops.concat(list(inputs), axis=1) if len(inputs) > 1 else inputs[0]
        name = f"e_conv{number}"
        if f"{name}.depth_conv.weight" in weights:
            x = convolution(convolution(x, f"{name}.depth_conv"), f"{name}.point_conv")
        else:
            x = convolution(x, name)
        return ops.tanh(x) if number == 7 else ops.relu(x)

    image = ops.parameter([1, 3, -1, -1], np.float32, name="image")
    return openvino.Model([connect(layer, image)], [image], "dce-net")


def _convolution(ops: Any, x: Any, weights: Weights, name: str, stride: int = 1) -> Any:
    kernel = weights[f"{name}.weight"]
    strides, padding = [stride] * 2, [kernel.shape[2] // 2] * 2
    if kernel.shape[1] == 1 and kernel.shape[0] > 1:
        grouped = kernel.reshape(kernel.shape[0], 1, 1, *kernel.shape[2:])
        x = ops.group_convolution(x, ops.constant(grouped), strides, padding, padding, [1, 1])
    else:
        x = ops.convolution(x, ops.constant(kernel), strides, padding, padding, [1, 1])
    return ops.add(x, ops.constant(weights[f"{name}.bias"].reshape(1, -1, 1, 1)))
