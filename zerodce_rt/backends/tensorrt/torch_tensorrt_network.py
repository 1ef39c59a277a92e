"""The networks by torch-tensorrt: exported, then compiled to one TensorRT engine in float16."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from zerodce_rt.backends.cuda.cudnn_network import pytorch_model
from zerodce_rt.backends.cuda.driver import nvidia_smi, this_target
from zerodce_rt.backends.interfaces import DeviceEstimate
from zerodce_rt.backends.tensorrt.engine_check import check_maps
from zerodce_rt.backends.tensorrt.engines import (
    EngineCache,
    EngineKey,
    EngineRejected,
    weights_digest,
)
from zerodce_rt.backends.tensorrt.importing import TorchTensorRT
from zerodce_rt.network.checkpoint import Checkpoint

# To build an engine and use it for the first time.
_USUAL_SECONDS = 30.0


class TensorRTNetwork:
    """An engine for each size of picture. Is a ``DeviceNetwork``.

    Args:
        api: torch-tensorrt, as ``importing.load`` returns it.
    """

    def __init__(
        self, checkpoint: Checkpoint, device: torch.device, api: TorchTensorRT, cache: EngineCache
    ) -> None:
        self.device = device
        self.map_count, self.knots = checkpoint.map_count, checkpoint.knots
        self._checkpoint, self._api, self._cache = checkpoint, api, cache

    def prepare(self, height: int, width: int) -> DeviceEstimate:
        key = self._key(height, width)
        return self._cache.load(
            key, partial(self._build, key), partial(self._use, key), usually_seconds=_USUAL_SECONDS
        )

    def _key(self, height: int, width: int) -> EngineKey:
        return EngineKey(
            backend="tensorrt", model=self._checkpoint.model,
            weights=weights_digest(self._checkpoint), height=height, width=width,
            target=this_target(), gpu=torch.cuda.get_device_name(self.device),
            driver="".join(nvidia_smi("driver_version")[:1]),
            versions={"torch": torch.__version__, **self._api.versions},
        )  # fmt: skip

    def _build(self, key: EngineKey) -> bytes:
        # The engine is float16 because the model is; torch-tensorrt has no option for it.
        program, picture = exported(self._checkpoint, key.height, key.width, self.device)
        options = build_options(self._api, [picture])
        if self._cache.folder is not None:  # the default is a file in a folder open to all users
            timings = f"timings-{key.target}-{key.versions['tensorrt']}.bin"
            options["timing_cache_path"] = str(self._cache.folder / timings)
        try:
            return self._api.build(program, **options)
        except torch.cuda.OutOfMemoryError:
            raise
        except Exception as error:  # no narrower: the type differs from version to version
            raise EngineRejected(f"cannot be built: {_one_line(error)}") from error

    def _use(self, key: EngineKey, plan: bytes, new: bool) -> DeviceEstimate:
        try:
            module = self._api.module(plan, **module_options(self._api))
        except Exception as error:  # as above
            raise EngineRejected(_one_line(error)) from error
        estimate = partial(self._estimate, module)
        if new:
            check_maps(estimate, self._checkpoint, self.device, key.height, key.width)
        return estimate

    def _estimate(self, module: Any, image: Tensor, out: Tensor) -> None:
        maps = module(image[None])
        if maps.dtype != torch.half:
            raise EngineRejected(f"its maps are {maps.dtype}, not float16")
        out.copy_(maps[0])


def exported(
    checkpoint: Checkpoint, height: int, width: int, device: torch.device
) -> tuple[torch.export.ExportedProgram, Tensor]:
    """The network in float16 as a graph for pictures of one size, and a black one of that size."""
    model = pytorch_model(checkpoint).half().to(device)
    picture = torch.zeros((1, 3, height, width), dtype=torch.half, device=device)
    with torch.no_grad():
        return torch.export.export(model, (picture,), strict=False), picture


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def build_options(api: TorchTensorRT, inputs: list[Tensor]) -> dict[str, Any]:
    """Arguments of ``TorchTensorRT.build``: the whole network in one engine.

    Args:
        inputs: of the size of the engine; their values do not matter.
    """
    return {
        "arg_inputs": inputs, "device": api.device(gpu_id=0), "min_block_size": 1,
        "require_full_compilation": True, "immutable_weights": True,
    }  # fmt: skip


def module_options(api: TorchTensorRT) -> dict[str, Any]:
    """Arguments of ``TorchTensorRT.module``."""
    return {
        # The name of the model's argument, and torch-tensorrt's name for the first output.
        "input_binding_names": ["image"], "output_binding_names": ["output0"], "name": "dce_net",
        "settings": api.settings(device=api.device(gpu_id=0)),
    }  # fmt: skip
