"""Building engines of TensorRT for RTX, each for one generation of GeForce RTX cards.

The network is defined layer by layer from the weights: that takes less code than exporting it,
and neither PyTorch nor a card.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.backends.interfaces import BackendUnavailable
from zerodce_rt.backends.tensorrt.engines import EngineKey, weights_digest
from zerodce_rt.backends.tensorrt.rtx_light import define_light
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.network.checkpoint import Checkpoint, Weights
from zerodce_rt.network.wiring import connect, dense

log = logging.getLogger(__name__)

NAME = "tensorrt-rtx"
TARGETS = ("sm75", "sm80", "sm86", "sm89", "sm120", "sm121")
"""Compute capabilities that engines can be built for."""

# Logged as an error at every call on a machine without a driver; building needs none.
_NO_DRIVER = "CUDA driver version is insufficient"


def load() -> Any:
    """Import the module ``tensorrt_rtx``.

    Raises:
        BackendUnavailable: with what to install.
    """
    try:
        import tensorrt_rtx
    except Exception as error:  # no narrower: libraries of its own may be missing in several ways
        reason = " ".join(str(error).split())
        raise BackendUnavailable(
            f"tensorrt_rtx cannot be imported ({reason}); pip install tensorrt_rtx"
        ) from None
    return tensorrt_rtx


def engine_key(checkpoint: Checkpoint, height: int, width: int, target: str) -> EngineKey:
    """The key of an engine, which runs on every card of its target, with every driver."""
    return EngineKey(
        backend=NAME, model=checkpoint.model, weights=weights_digest(checkpoint),
        height=height, width=width, target=target,
        versions={"tensorrt_rtx": load().__version__},
    )  # fmt: skip


def check_target(target: str) -> None:
    """Check that engines for a target can be built here.

    Raises:
        ZeroDCEError: if it is not one of ``TARGETS``, or TensorRT-RTX is not installed.
    """
    if target not in TARGETS:
        raise ZeroDCEError(f"unknown target {target!r}; valid: {', '.join(TARGETS)}")
    try:
        load()
    except BackendUnavailable as reason:
        raise ZeroDCEError(f"backend {NAME} is not available: {reason}") from reason


def build_engine(checkpoint: Checkpoint, height: int, width: int, target: str) -> bytes:
    """Build an engine from ``image`` ``(1, 3, h, w)`` to ``maps``, in float16.

    Maps are ``(1, 3k, h, w)``, or those of ``LightNet``.

    Args:
        target: one of ``TARGETS``, or ``"current"`` for the card of this machine.

    Raises:
        ZeroDCEError: if TensorRT-RTX refuses.
    """
    trt = load()
    logger = make_logger(trt)
    builder = trt.Builder(logger)
    network, kept = define(trt, builder, checkpoint, height, width)
    config = builder.create_builder_config()
    config.num_compute_capabilities = 1
    config.set_compute_capability(getattr(trt.ComputeCapability, target.upper()), 0)
    engine = builder.build_serialized_network(network, config)
    del kept  # not earlier: the network has only pointers to them
    if engine is None:
        raise ZeroDCEError(
            f"TensorRT-RTX cannot build {checkpoint.model} at {width}x{height} for {target} "
            f"({logger.last_error or 'no reason is given'})"
        )
    return bytes(engine)


def define(
    trt: Any, builder: Any, checkpoint: Checkpoint, height: int, width: int
) -> tuple[Any, list[Any]]:
    """Define a network, strongly typed.

    Returns:
        The definition, and the arrays of weights, which must live as long as it does.
    """
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    define_model = define_light if checkpoint.model == "light" else _define_published
    maps, kept = define_model(trt, network, checkpoint.weights, height, width)
    maps.name = "maps"
    network.mark_output(maps)
    return network, kept


def _define_published(
    trt: Any, network: Any, weights: Weights, height: int, width: int
) -> tuple[Any, list[Any]]:
    """A network of ``network.model``: its maps, and the arrays of weights."""
    kept: list[Any] = []

    def constant(values: NDArray[np.float32]) -> Any:
        kept.append(np.ascontiguousarray(values, np.float16))
        return trt.Weights(kept[-1])

    def layer(number: int, *inputs: Any) -> Any:
        x = inputs[0]
        if len(inputs) > 1:
            joined = network.add_concatenation(list(inputs))
            joined.axis = 1
            x = joined.get_output(0)
        kernel, bias = dense(weights, f"e_conv{number}")
        convolution = network.add_convolution_nd(
            x, kernel.shape[0], (3, 3), constant(kernel), constant(bias)
        )
        convolution.padding_nd = (1, 1)
        x = convolution.get_output(0)
        kind = trt.ActivationType.TANH if number == 7 else trt.ActivationType.RELU
        return network.add_activation(x, kind).get_output(0)

    maps = connect(layer, network.add_input("image", trt.float16, (1, 3, height, width)))
    return maps, kept


def make_logger(trt: Any) -> Any:
    """A logger for TensorRT-RTX that keeps the last error in ``last_error``, and prints nothing."""

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.last_error = ""

        def log(self, severity: Any, message: str) -> None:
            log.debug("TensorRT-RTX: %s", message)
            serious = severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR)
            if serious and _NO_DRIVER not in message:
                self.last_error = " ".join(message.split())

    return Logger()
