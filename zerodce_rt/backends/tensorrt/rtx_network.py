"""The networks by TensorRT for RTX, whose runtime compiles an engine for the card at hand."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from zerodce_rt.backends.interfaces import DeviceEstimate
from zerodce_rt.backends.tensorrt.engine_check import check_maps
from zerodce_rt.backends.tensorrt.engines import EngineCache, EngineKey, EngineRejected, keep
from zerodce_rt.backends.tensorrt.rtx_engine import build_engine, engine_key, load, make_logger
from zerodce_rt.network.checkpoint import Checkpoint

# To build an engine and, which takes most of it, to compile it for the card.
_USUAL_SECONDS = 10.0


class RTXNetwork:
    """An engine for each size of picture. Is a ``DeviceNetwork``.

    Args:
        target: of the engines, as in ``build_engine``.
    """

    def __init__(
        self, checkpoint: Checkpoint, device: torch.device, target: str, cache: EngineCache
    ) -> None:
        self.device = device
        self.map_count, self.knots = checkpoint.map_count, checkpoint.knots
        self._checkpoint, self._target, self._cache = checkpoint, target, cache
        trt = load()
        self._logger = make_logger(trt)
        self._runtime = trt.Runtime(self._logger)

    def prepare(self, height: int, width: int) -> DeviceEstimate:
        key = engine_key(self._checkpoint, height, width, self._target)
        build = partial(build_engine, self._checkpoint, height, width, self._target)
        return self._cache.load(key, build, partial(self._use, key), usually_seconds=_USUAL_SECONDS)

    def _use(self, key: EngineKey, plan: bytes, new: bool) -> DeviceEstimate:
        engine = self._runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise EngineRejected(self._logger.last_error or "TensorRT-RTX cannot load it")
        config = engine.create_runtime_config()
        # The machine code for this card, which creating the context compiles unless it is here.
        compiled = config.create_runtime_cache()
        config.set_runtime_cache(compiled)
        file = self._cache.companion(key, f"{_slug(torch.cuda.get_device_name(self.device))}.jit")
        known = file is not None and file.exists() and compiled.deserialize(file.read_bytes())
        context = engine.create_execution_context(config)
        if context is None:
            raise EngineRejected(self._logger.last_error or "TensorRT-RTX cannot run it")
        # The context needs all of these as long as it runs.
        estimate = partial(self._estimate, context, (engine, config, compiled))
        if new or not known:
            check_maps(estimate, self._checkpoint, self.device, key.height, key.width)
            if file is not None:
                keep({file: bytes(compiled.serialize())})
        return estimate

    def _estimate(self, context: Any, kept: Any, image: Tensor, out: Tensor) -> None:
        del kept
        placed = [
            context.set_tensor_address(name, tensor.data_ptr())
            for name, tensor in (("image", image), ("maps", out))
        ]
        stream = torch.cuda.current_stream(self.device).cuda_stream
        if not all(placed) or not context.execute_async_v3(stream):
            raise RuntimeError(self._logger.last_error or "TensorRT-RTX cannot launch the engine")


def _slug(name: str) -> str:
    """A card's name as part of a file name."""
    return "".join(c if c.isalnum() else "-" for c in name)
