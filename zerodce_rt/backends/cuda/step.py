"""All that is done to a frame on the device, recorded as one CUDA graph for each kind of frame.

Thumbnail, network, control and curve read and write tensors that stay in place, so that a graph
of them can be replayed: one launch for a frame, without a host round trip in between. On the CPU
the same steps run one by one, which is how they are tested in Triton's interpreter.

Several frames may be in flight: while one is uploaded, another is computed and a third is
downloaded, each in a slot of its own, on three streams. Everything is computed on one stream, so
that what the frames share (state of the control, memory between the steps) needs no lock.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from zerodce_rt.backends.cuda.applier import apply_curve, coefficients, fill_thumbnail, supports
from zerodce_rt.backends.cuda.buffers import FrameBuffer, frame_buffer, rearrange
from zerodce_rt.backends.cuda.control import DeviceControl
from zerodce_rt.backends.interfaces import DeviceNetwork
from zerodce_rt.curve.control import ControlSettings
from zerodce_rt.curve.working_size import WorkingSize
from zerodce_rt.frame import FORMATS, Frame, same_samples

# Runs before a graph is recorded: they compile the kernels and allocate memory.
_WARM_UP_RUNS = 2
# The streams, in a frame's order.
_UPLOAD, _COMPUTE, _DOWNLOAD = range(3)


@dataclass
class Slot:
    """Memory for one frame in flight.

    Attributes:
        source, target: on the device.
        host_source, host_target: in pinned host memory, to upload from and download to.
        parameters, host_parameters: what the control needs for this frame (see
            ``DeviceControl.parameters``), on the device and in pinned host memory.
        events: of the end of upload, computation and download; None without a GPU.
        graph: all that is computed from ``source`` to ``target``; None without a GPU.
    """

    source: FrameBuffer
    target: FrameBuffer
    host_source: FrameBuffer
    host_target: FrameBuffer
    parameters: Tensor
    host_parameters: Tensor
    events: Any
    graph: Any = None


class CUDAStep:
    """Enhances frames of one format and size.

    Args:
        source, target: frames of that kind, on the host or the device. Their formats may differ
            in where samples lie (see ``same_samples``).
        max_level: as in ``ControlSettings``.
    """

    def __init__(
        self, network: DeviceNetwork, source: Frame, target: Frame, working_size: WorkingSize,
        max_level: float,
    ) -> None:  # fmt: skip
        if not same_samples(source.format, target.format):
            raise ValueError(f"{source.format.name} cannot become {target.format.name}")
        self.device = network.device
        self._divisor = working_size.divisor
        height, width = working_size.of(source.height, source.width)
        self._estimate_maps = network.prepare(height, width)

        def empty(*shape: int) -> Tensor:
            return torch.empty(shape, dtype=torch.float16, device=self.device)

        self._thumbnail = empty(3, height, width)
        self._whole = empty(3, source.height, source.width) if self._divisor else None
        self._estimate = empty(network.map_count, height, width)
        self._control = DeviceControl(self._thumbnail, self._estimate, max_level)
        # What the kernels read and write where the frame itself is in another format.
        work = source.format if supports(source.format) else FORMATS["yuv422p"]
        self._work_source, self._work_target = (
            None if format == work else frame_buffer(source, self.device, format=work).frame
            for format in (source.format, target.format)
        )
        self._streams: Any = None
        if self.device.type == "cuda":
            self._streams = [torch.cuda.Stream(self.device) for _ in range(3)]  # type: ignore[no-untyped-call]
            self._pool = torch.cuda.graph_pool_handle()
        first = self._new_slot(source, target)
        self._warm_up(first)
        self._free = [first]
        self._source, self._target = first.source.frame, first.target.frame

    def reset(self) -> None:
        """Forget the past; the next frame starts a new scene."""
        self._control.reset()

    def take_slot(self) -> Slot:
        """A free slot; allocated if all are in flight."""
        if self._free:
            return self._free.pop()
        slot = self._new_slot(self._source, self._target)
        self._record(slot)
        return slot

    def give_back(self, slot: Slot) -> None:
        """Make a slot free for another frame."""
        self._free.append(slot)

    def _new_slot(self, source: Frame, target: Frame) -> Slot:
        gpu = self._streams is not None
        return Slot(
            frame_buffer(source, self.device), frame_buffer(target, self.device),
            frame_buffer(source, self.device, host=True),
            frame_buffer(target, self.device, host=True),
            torch.ones(2, device=self.device), torch.ones(2, pin_memory=gpu),
            # A thread that waits for the download sleeps instead of spinning.
            [torch.cuda.Event(blocking=n == _DOWNLOAD) for n in range(3)] if gpu else None,  # type: ignore[no-untyped-call]
        )  # fmt: skip

    def _warm_up(self, slot: Slot) -> None:
        """Compile all kernels, allocate all memory, and record the first graph."""
        if self._streams is None:
            return
        # First of all: this copies from pageable host memory, which a graph must not.
        coefficients(slot.source.frame, self.device)
        self._streams[_COMPUTE].wait_stream(torch.cuda.current_stream(self.device))
        with self._on(_COMPUTE):
            for _ in range(_WARM_UP_RUNS):
                self._run(slot)
        self._streams[_COMPUTE].synchronize()
        self._record(slot)
        self.reset()

    def _record(self, slot: Slot) -> None:
        """Record a slot's graph. Nothing is computed, so other frames may be in flight."""
        if self._streams is None:
            return
        slot.graph = torch.cuda.CUDAGraph()
        # One graph runs at a time, so all may share the memory between their steps. Other
        # threads, such as a decoder's, may use the device meanwhile.
        with torch.cuda.graph(
            slot.graph, pool=self._pool, stream=self._streams[_COMPUTE],
            capture_error_mode="thread_local",
        ):  # fmt: skip
            self._run(slot)

    def _run(self, slot: Slot) -> None:
        """Every step from the slot's source to its target, on the current stream."""
        source, target = slot.source.frame, slot.target.frame
        if self._work_source is not None:
            rearrange(source, self._work_source)
            source = self._work_source
        if self._whole is None or self._divisor is None:
            fill_thumbnail(source, self._thumbnail)
        else:
            fill_thumbnail(source, self._whole)
            # As the published Zero-DCE++ program does it.
            scale = 1 / self._divisor
            self._thumbnail.copy_(
                F.interpolate(self._whole[None], scale_factor=scale, mode="bilinear")[0]
            )
        self._estimate_maps(self._thumbnail, self._estimate)
        self._control.run(slot.parameters)
        apply_curve(
            source, self._control.maps, self._work_target or target, gain=self._control.gain,
            align_corners=self._divisor is not None,
        )  # fmt: skip
        if self._work_target is not None:
            rearrange(self._work_target, target)

    def begin(
        self, source: Frame, target: Frame, settings: ControlSettings, seconds: float | None
    ) -> Callable[[], None]:
        """Begin a frame; each of the two may be on the host or on the device.

        Args:
            source: may be changed at once.
            seconds: the frame's time; None for a picture without one, which stands alone.

        Returns:
            What waits until ``target`` is filled; to be called once.
        """
        slot = self.take_slot()
        from_device, to_device = _on_device(source), _on_device(target)
        if not from_device:
            source.copy_to(slot.host_source.frame)
        self.launch(
            slot, settings, seconds,
            source=source if from_device else None, target=target if to_device else None,
        )  # fmt: skip

        def finish() -> None:
            self.wait(slot)
            if not to_device:
                slot.host_target.frame.copy_to(target)
            self.give_back(slot)

        return finish

    def launch(
        self, slot: Slot, settings: ControlSettings, seconds: float | None,
        *, source: Frame | None = None, target: Frame | None = None,
    ) -> None:  # fmt: skip
        """Upload, compute and download a slot's frame, without waiting for it.

        Args:
            source, target: frames on the device, instead of the slot's on the host.
        """
        slot.host_parameters.copy_(torch.tensor(self._control.parameters(settings, seconds)))
        # Frames on the device are filled and freed on the calling thread's current stream, which
        # for a decoder is the default one.
        caller: Any = None
        if self._streams is not None and (source is not None or target is not None):
            caller = torch.cuda.current_stream(self.device)
            self._streams[_UPLOAD].wait_stream(caller)
        with self._on(_UPLOAD):
            if source is None:
                slot.source.memory.copy_(slot.host_source.memory, non_blocking=True)
            else:
                source.copy_to(slot.source.frame)
            slot.parameters.copy_(slot.host_parameters, non_blocking=True)
        self._mark(slot, _UPLOAD)
        if caller is not None:  # may reuse the memory of ``source`` from here on
            caller.wait_event(slot.events[_UPLOAD])
        with self._on(_COMPUTE):
            if slot.graph is None:
                self._run(slot)
            else:
                slot.graph.replay()
        self._mark(slot, _COMPUTE)
        with self._on(_DOWNLOAD):
            if target is None:
                slot.host_target.memory.copy_(slot.target.memory, non_blocking=True)
            else:
                slot.target.frame.copy_to(target)
        self._mark(slot, _DOWNLOAD)

    def wait(self, slot: Slot) -> None:
        """Wait until the slot's frame is downloaded."""
        if self._streams is not None:
            slot.events[_DOWNLOAD].synchronize()

    def synchronise(self) -> None:
        """Wait until the device is done with every frame."""
        for stream in self._streams or ():
            stream.synchronize()

    def _on(self, stream: int) -> AbstractContextManager[Any]:
        return nullcontext() if self._streams is None else torch.cuda.stream(self._streams[stream])

    def _mark(self, slot: Slot, stream: int) -> None:
        """Record a slot's event on a stream, and let the next stream wait for it."""
        if self._streams is not None:
            slot.events[stream].record(self._streams[stream])
            if stream != _DOWNLOAD:
                self._streams[stream + 1].wait_event(slot.events[stream])


def _on_device(frame: Frame) -> bool:
    return isinstance(frame.planes[0], Tensor)
