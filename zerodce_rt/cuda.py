"""A frame's whole way on an NVIDIA GPU, recorded as one CUDA graph for each format and size.

Thumbnail, network, control and curve read and write tensors that stay in place, so that a graph
of them can be replayed: one launch for a frame, and no word with the processor in between. On
other devices the same steps run one by one, which is how they are tested in Triton's interpreter.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from zerodce_rt.appliers.cuda import apply_curve, coefficients, fill_thumbnail
from zerodce_rt.control import ControlSettings
from zerodce_rt.control_cuda import DeviceControl
from zerodce_rt.estimators.triton import TritonNetwork
from zerodce_rt.frame import Frame, plane_shapes
from zerodce_rt.working_size import WorkingSize

# Runs before a graph is recorded: kernels are compiled, and memory is found.
_WARM_UP_RUNS = 2


class CUDAStep:
    """Enhances frames of one format and size.

    Attributes:
        source, target: planes on the device, to fill and to read.
        stream: on which ``enhance`` works; only on a GPU.

    Args:
        example: a frame of that kind; its planes may be NumPy's.
    """

    def __init__(
        self, network: TritonNetwork, example: Frame, working_size: WorkingSize,
        settings: ControlSettings,
    ) -> None:  # fmt: skip
        self.device = network.device
        self._network = network
        self._divisor = working_size.divisor
        height, width = working_size.of(example.height, example.width)
        self.source, self.target = (on_device(example, self.device) for _ in range(2))

        def empty(*shape: int) -> Tensor:
            return torch.empty(shape, dtype=torch.float16, device=self.device)

        self._thumbnail = empty(3, height, width)
        self._whole = empty(3, example.height, example.width) if self._divisor else None
        self._estimate = empty(network.map_count, height, width)
        self._control = DeviceControl(self._thumbnail, self._estimate, settings)
        # Before a graph is recorded, since it copies from the processor's memory.
        coefficients(self.source, self.device)
        self._graph: Any = None
        if self.device.type == "cuda":
            self.stream: Any = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
            self._record()

    def _record(self) -> None:
        self.stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self.stream):
            for _ in range(_WARM_UP_RUNS):
                self._run()
            self.stream.synchronize()
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph, stream=self.stream):
                self._run()
        self._control.reset()

    def _run(self) -> None:
        """Every step, on the current stream, from ``source`` to ``target``."""
        if self._whole is None or self._divisor is None:
            fill_thumbnail(self.source, self._thumbnail)
        else:
            fill_thumbnail(self.source, self._whole)
            # As the published Zero-DCE++ program does it.
            scale = 1 / self._divisor
            self._thumbnail.copy_(
                F.interpolate(self._whole[None], scale_factor=scale, mode="bilinear")[0]
            )
        self._network(self._thumbnail, self._estimate)
        self._control.run()
        apply_curve(
            self.source, self._control.maps, self.target, strength=self._control.strength,
            align_corners=self._divisor is not None,
        )  # fmt: skip

    def enhance(self, settings: ControlSettings, seconds: float | None) -> None:
        """Bring ``target`` up to date with ``source``; on a GPU, when its stream gets there."""
        if self._graph is None:
            self._control.prepare(settings, seconds)
            self._run()
            return
        with torch.cuda.stream(self.stream):
            self._control.prepare(settings, seconds)
            self._graph.replay()


def on_device(frame: Frame, device: torch.device) -> Frame:
    """An empty frame of the same kind with planes on a device, without padding."""
    dtype = torch.from_numpy(frame.planes[0][:0]).dtype
    planes: Any = tuple(
        torch.empty(shape, dtype=dtype, device=device)
        for shape in plane_shapes(frame.format, frame.width, frame.height)
    )
    return replace(frame, planes=planes)
