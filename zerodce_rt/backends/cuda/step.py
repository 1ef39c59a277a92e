"""A frame's whole way on the device, recorded as one CUDA graph for each format and size.

Thumbnail, network, control and curve read and write tensors that stay in place, so that a graph
of them can be replayed: one launch for a frame, and no word with the processor in between. On
other devices the same steps run one by one, which is how they are tested in Triton's interpreter.

Several frames may be under way: one is fetched from the processor's memory while another is
worked on and a third is brought back, each in a slot of its own and on a stream for each of the
three. All the work is on one stream, so that what the frames share needs no guard.
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

# Runs before a graph is recorded: kernels are compiled, and memory is found.
_WARM_UP_RUNS = 2
# The streams: to the device, on it, and back.
_THERE, _WORK, _BACK = range(3)


@dataclass
class Slot:
    """Where one frame is, on both sides, while it is under way.

    Attributes:
        source, target: on the device.
        host_source, host_target: where the device fetches it and brings it back.
        moment, host_moment: what control must know of it.
        events: when it has come to the device, is done, and is back; None without a GPU.
    """

    source: FrameBuffer
    target: FrameBuffer
    host_source: FrameBuffer
    host_target: FrameBuffer
    moment: Tensor
    host_moment: Tensor
    events: Any
    graph: Any = None


class CUDAStep:
    """Enhances frames of one format and size.

    Args:
        source, target: frames of that kind, with planes of NumPy or on the device. Their formats
            may differ in where samples lie (see ``same_samples``).
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
        # Where the kernels cannot read or write a format themselves.
        work = source.format if supports(source.format) else FORMATS["yuv422p"]
        self._read, self._written = (
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
        """A slot that no frame is in; there are as many as frames were ever under way at once."""
        if self._free:
            return self._free.pop()
        slot = self._new_slot(self._source, self._target)
        self._record(slot)
        return slot

    def give_back(self, slot: Slot) -> None:
        """Make room for another frame."""
        self._free.append(slot)

    def _new_slot(self, source: Frame, target: Frame) -> Slot:
        gpu = self._streams is not None
        return Slot(
            frame_buffer(source, self.device), frame_buffer(target, self.device),
            frame_buffer(source, self.device, host=True),
            frame_buffer(target, self.device, host=True),
            torch.ones(2, device=self.device), torch.ones(2, pin_memory=gpu),
            # Whoever waits for the last lets others use the processor meanwhile.
            [torch.cuda.Event(blocking=n == _BACK) for n in range(3)] if gpu else None,  # type: ignore[no-untyped-call]
        )  # fmt: skip

    def _warm_up(self, slot: Slot) -> None:
        """Compile all kernels, find all memory, and record the first graph."""
        if self._streams is None:
            return
        # Before, since it copies from the processor's memory.
        coefficients(slot.source.frame, self.device)
        self._streams[_WORK].wait_stream(torch.cuda.current_stream(self.device))
        with self._on(_WORK):
            for _ in range(_WARM_UP_RUNS):
                self._run(slot)
        self._streams[_WORK].synchronize()
        self._record(slot)
        self.reset()

    def _record(self, slot: Slot) -> None:
        """Record a slot's graph; nothing is computed, so frames may be under way."""
        if self._streams is None:
            return
        slot.graph = torch.cuda.CUDAGraph()
        # One graph runs at a time, so all may use the same memory for what is in between. Other
        # threads, such as a decoder's, may go on meanwhile.
        with torch.cuda.graph(
            slot.graph, pool=self._pool, stream=self._streams[_WORK],
            capture_error_mode="thread_local",
        ):  # fmt: skip
            self._run(slot)

    def _run(self, slot: Slot) -> None:
        """Every step, on the current stream, from the slot's source to its target."""
        source, target = slot.source.frame, slot.target.frame
        if self._read is not None:
            rearrange(source, self._read)
            source = self._read
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
        self._control.run(slot.moment)
        apply_curve(
            source, self._control.maps, self._written or target, gain=self._control.gain,
            align_corners=self._divisor is not None,
        )  # fmt: skip
        if self._written is not None:
            rearrange(self._written, target)

    def begin(
        self, source: Frame, target: Frame, settings: ControlSettings, seconds: float | None
    ) -> Callable[[], None]:
        """Send a frame on its way; ``target`` is filled when the answer has been called.

        Each frame's planes may lie on either side; those of ``source`` may be used again.
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
        """Bring a slot's frame up to date, without waiting for it.

        Args:
            source: a frame on the device instead of the slot's on the host.
            target: the same.
        """
        slot.host_moment.copy_(torch.tensor(self._control.moment(settings, seconds)))
        gpu = self._streams is not None
        with self._on(_THERE):
            if source is None:
                slot.source.memory.copy_(slot.host_source.memory, non_blocking=True)
            else:
                if gpu:  # decoders work on the default stream
                    self._streams[_THERE].wait_stream(torch.cuda.default_stream(self.device))
                source.copy_to(slot.source.frame)
            slot.moment.copy_(slot.host_moment, non_blocking=True)
        self._mark(slot, _THERE)
        if source is not None and gpu:  # and may use the frame's memory again only then
            torch.cuda.default_stream(self.device).wait_event(slot.events[_THERE])
        with self._on(_WORK):
            if slot.graph is None:
                self._run(slot)
            else:
                slot.graph.replay()
        self._mark(slot, _WORK)
        with self._on(_BACK):
            if target is None:
                slot.host_target.memory.copy_(slot.target.memory, non_blocking=True)
            else:
                slot.target.frame.copy_to(target)
        self._mark(slot, _BACK)

    def wait(self, slot: Slot) -> None:
        """Until the slot's frame is done."""
        if self._streams is not None:
            slot.events[_BACK].synchronize()

    def _on(self, stream: int) -> AbstractContextManager[Any]:
        return nullcontext() if self._streams is None else torch.cuda.stream(self._streams[stream])

    def _mark(self, slot: Slot, stream: int) -> None:
        """Note when a slot is done with a stream; the next one waits for that."""
        if self._streams is not None:
            slot.events[stream].record(self._streams[stream])
            if stream != _BACK:
                self._streams[stream + 1].wait_event(slot.events[stream])


def _on_device(frame: Frame) -> bool:
    return isinstance(frame.planes[0], Tensor)
