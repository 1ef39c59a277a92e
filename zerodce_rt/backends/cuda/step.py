"""All that is done to a frame on the device, recorded as one CUDA graph for each kind of frame.

Thumbnail, network, control, denoiser and curve use tensors that stay in place, so that a graph
of them can be replayed: one launch for a frame, without a host round trip in between. On the CPU
the same steps run one by one, which is how they are tested in Triton's interpreter.

Several frames may be in flight: while one is uploaded, another is computed and a third is
downloaded, each in a slot of its own, on three streams. Everything is computed on one stream, so
that what the frames share (state of the control, memory between the steps) needs no lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from zerodce_rt.backends.cuda import frame_parameters
from zerodce_rt.backends.cuda.applier import apply_curve, fill_thumbnail, supports
from zerodce_rt.backends.cuda.buffers import (
    FrameBuffer,
    frame_buffer,
    maps_buffer,
    pinned_bytes,
    rearrange,
)
from zerodce_rt.backends.cuda.control import DeviceControl
from zerodce_rt.backends.cuda.denoiser import DeviceDenoiser, denoiser_for
from zerodce_rt.backends.cuda.frame_parameters import FrameParameters
from zerodce_rt.backends.cuda.graphs import WARM_UP_RUNS, record
from zerodce_rt.backends.cuda.light_applier import apply_light_curve, stretch
from zerodce_rt.backends.cuda.light_control import LightControl
from zerodce_rt.backends.cuda.pq import PQ
from zerodce_rt.backends.interfaces import DeviceNetwork
from zerodce_rt.curve.control import ControlSettings
from zerodce_rt.curve.working_size import WorkingSize
from zerodce_rt.frame import FORMATS, Frame, same_samples

# Frames in flight at most, of which fewer fit into so much pinned memory if they are large.
_MOST_SLOTS, _MOST_PINNED_BYTES = 6, 256 * 2**20
# The streams, in a frame's order; and one beside the computation.
_UPLOAD, _COMPUTE, _DOWNLOAD, _SIDE = range(4)


@dataclass
class Slot:
    """Memory for one frame in flight.

    Attributes:
        source, target: on the device; the numbers of ``source`` are its ``FrameParameters``.
        host_source, host_target: in pinned host memory, to upload from and download to.
        events: of the end of upload, computation and download; None without a GPU.
        graph: all that is computed from ``source`` to ``target``; None without a GPU.
    """

    source: FrameBuffer
    target: FrameBuffer
    host_source: FrameBuffer
    host_target: FrameBuffer
    events: Any
    graph: Any = None

    def __post_init__(self) -> None:
        self.host_numbers = self.host_source.numbers.numpy()


class FrameInFlight:
    """A frame that was begun; whoever needs its slot may finish it, from any thread.

    Args:
        target: on the host, to copy the result to; None if it is on the device.
    """

    def __init__(self, step: CUDAStep, slot: Slot, target: Frame | None) -> None:
        self._step, self._slot, self._target = step, slot, target
        self._lock, self._finished = threading.Lock(), False

    def finish(self) -> None:
        """Wait for the result, and give back the slot; may be called again."""
        with self._lock:
            if self._finished:
                return
            self._step.wait(self._slot)
            if self._target is not None:
                self._slot.host_target.frame.copy_to(self._target)
            self._finished = True
            self._step.give_back(self, self._slot)


class CUDAStep:
    """Enhances frames of one format and size.

    Args:
        source, target: frames of that kind, on the host or the device. Their formats may differ
            in where samples lie (see ``same_samples``).
        max_level: as in ``ControlSettings``.
        denoise: whether there is noise to remove; how much, each frame says.
        smoothing: whether maps are smoothed over time; otherwise less memory is needed.
        streams: of ``new_streams``, which steps of one thread may share; default: its own.
    """

    def __init__(
        self, network: DeviceNetwork, source: Frame, target: Frame, working_size: WorkingSize,
        max_level: float, *, denoise: bool = False, smoothing: bool = True,
        streams: Sequence[Any] | None = None,
    ) -> None:  # fmt: skip
        if not same_samples(source.format, target.format):
            raise ValueError(f"{source.format.name} cannot become {target.format.name}")
        self.device = network.device
        self._divisor = working_size.divisor
        max_level = float(max_level)  # Triton takes no number of NumPy
        height, width = working_size.of(source.height, source.width)
        self._estimate_maps = network.prepare(height, width)

        def empty(*shape: int) -> Tensor:
            return torch.empty(shape, dtype=torch.float16, device=self.device)

        self._thumbnail = empty(3, height, width)
        self._whole = empty(3, source.height, source.width) if self._divisor else None
        self._estimate = maps_buffer(network, height, width)
        # What the kernels read and write where the frame itself is in another format.
        work = source.format if supports(source.format) else FORMATS["yuv422p"]
        self._work_source, self._work_target = (
            None if format == work else frame_buffer(source, self.device, format=work).frame
            for format in (source.format, target.format)
        )
        is_pq = source.colour.transfer == "pq"
        self._pq = PQ(source, target, self.device) if is_pq else None
        seen = (self._work_source or source) if self._pq is None else self._pq.before
        self._parameters = FrameParameters(self._estimate.numel())
        self._control: DeviceControl | LightControl
        if network.knots:
            self._control = LightControl(
                self._thumbnail, self._estimate, max_level, seen, smoothing=smoothing
            )
        else:
            self._control = DeviceControl(
                self._thumbnail, self._estimate, max_level, smoothing=smoothing
            )
        self._denoiser = (
            denoiser_for(seen, self.device, fused=bool(network.knots)) if denoise else None
        )
        # The control's maps, stretched along their rows, where the denoiser applies them.
        self._lines: Tensor | None = None
        if self._denoiser is not None and self._denoiser.line_width:
            shape = *self._estimate.shape[:2], self._denoiser.line_width
            self._lines = torch.empty(shape, dtype=torch.float32, device=self.device)
        self._streams: Any = streams or new_streams(self.device)
        self._side: Any = self._streams[_SIDE] if self._streams else None
        if self._streams:
            self._pool = torch.cuda.graph_pool_handle()
        self._changed = threading.Condition()
        self._in_flight: list[FrameInFlight] = []
        self._free = self._slots(source, target)

    def reset(self) -> None:
        """Forget the past; the next frame starts a new scene.

        Frames that nobody has finished, such as after an error, are finished: their slots are
        needed again.
        """
        for frame in tuple(self._in_flight):
            frame.finish()
        self._parameters.reset()

    def take_slot(self) -> Slot:
        """A free slot; if all are in flight, that of the oldest frame, which is finished first."""
        while True:
            with self._changed:
                # Other threads may have taken slots and not begun their frames yet.
                self._changed.wait_for(lambda: self._free or self._in_flight)
                if self._free:
                    return self._free.pop()
                oldest = self._in_flight[0]
            oldest.finish()

    def give_back(self, frame: FrameInFlight, slot: Slot) -> None:
        """Make the slot of a frame that is finished free for another."""
        with self._changed:
            if frame in self._in_flight:
                self._in_flight.remove(frame)
            self._free.append(slot)
            self._changed.notify_all()

    def _slots(self, source: Frame, target: Frame) -> list[Slot]:
        """All slots, and their graphs: cuDNN's plans are each thread's own, so one records all."""
        first = self._new_slot(source, target)
        each = pinned_bytes(first.host_source, first.host_target)
        count = max(1, min(_MOST_SLOTS, _MOST_PINNED_BYTES // each))
        slots = [first, *(self._new_slot(source, target) for _ in range(count - 1))]
        if self._streams:
            self._warm_up(first)
            for slot in slots:
                # One graph runs at a time, so all may share the memory between their steps.
                slot.graph = record(
                    lambda slot=slot: self._run(slot),  # type: ignore[misc]
                    self._streams[_COMPUTE], self._pool,
                )  # fmt: skip
        return slots

    def _new_slot(self, source: Frame, target: Frame) -> Slot:
        gpu = bool(self._streams)
        return Slot(
            frame_buffer(source, self.device, numbers=frame_parameters.COUNT),
            frame_buffer(target, self.device),
            frame_buffer(source, self.device, host=True, numbers=frame_parameters.COUNT),
            frame_buffer(target, self.device, host=True),
            # A thread that waits for the download sleeps instead of spinning.
            [torch.cuda.Event(blocking=n == _DOWNLOAD) for n in range(3)] if gpu else None,  # type: ignore[no-untyped-call]
        )  # fmt: skip

    def _warm_up(self, slot: Slot) -> None:
        """Compile all kernels, and allocate all memory."""
        self._streams[_COMPUTE].wait_stream(torch.cuda.current_stream(self.device))
        with self._on(_COMPUTE):
            for _ in range(WARM_UP_RUNS):
                self._run(slot)
        self._streams[_COMPUTE].synchronize()

    def _run(self, slot: Slot) -> None:
        """Every step from the slot's source to its target, on the current stream."""
        source, target = slot.source.frame, slot.target.frame
        if self._pq is not None:
            self._pq.to_gamma(source)
            self._enhance(self._pq.before, self._pq.after, slot.source.numbers)
            self._pq.from_gamma(source, target, self._control.gain)
            return
        if self._work_source is not None:
            rearrange(source, self._work_source)
        self._enhance(self._work_source or source, self._work_target or target, slot.source.numbers)
        if self._work_target is not None:
            rearrange(self._work_target, target)

    def _enhance(self, source: Frame, target: Frame, numbers: Tensor) -> None:
        """From one frame to another, in a format that the kernels know."""
        if self._whole is None or self._divisor is None:
            fill_thumbnail(source, self._thumbnail)
        else:
            fill_thumbnail(source, self._whole)
            # As the published Zero-DCE++ program does it.
            scale = 1 / self._divisor
            self._thumbnail.copy_(
                F.interpolate(self._whole[None], scale_factor=scale, mode="bilinear")[0]
            )
        # The network's layers are small and wait for each other, and leave the card room.
        join = self._beside(lambda: self._prepare(source))
        self._estimate_maps(self._thumbnail, self._estimate)
        join()
        control = self._control
        if isinstance(control, LightControl):
            control.finish()
        control.run(numbers)
        if isinstance(self._denoiser, DeviceDenoiser) and self._lines is not None:
            self._filter_and_enhance(self._denoiser, self._lines, target)
            return
        if self._denoiser is not None:
            source = self._denoiser.filter(source, control.denoise)
        if isinstance(control, LightControl):
            apply_light_curve(source, control.maps, target, gain=control.gain)
        else:
            apply_curve(
                source, control.maps, target, gain=control.gain,
                align_corners=self._divisor is not None,
            )  # fmt: skip

    def _filter_and_enhance(self, denoiser: DeviceDenoiser, lines: Tensor, target: Frame) -> None:
        """Remove noise and apply light maps, with the last of the one and the other in one pass."""
        control = self._control
        join = self._beside(lambda: stretch(control.maps, lines, target.width))
        denoiser.filter_all_but_luma(control.denoise)
        join()
        denoiser.filter_luma_and_enhance(lines, lines.shape[1], control.gain, target)

    def _prepare(self, source: Frame) -> None:
        """What needs nothing but the frame, nor does the network need it."""
        if isinstance(self._control, LightControl):
            self._control.look(source)
        if self._denoiser is not None:
            self._denoiser.load(source)

    def _beside(self, run: Callable[[], None]) -> Callable[[], None]:
        """Let the device do something beside what comes next on the current stream; in a graph, as
        a branch of it.

        Returns:
            What lets that stream wait for it.
        """
        if self._side is None:
            run()
            return lambda: None
        current = torch.cuda.current_stream(self.device)
        self._side.wait_stream(current)
        with torch.cuda.stream(self._side):
            run()
        return lambda: current.wait_stream(self._side)

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
        from_device, to_device = _on_device(source), _on_device(target)
        slot = self.take_slot()
        frame = FrameInFlight(self, slot, None if to_device else target)
        try:
            if not from_device:
                source.copy_to(slot.host_source.frame)
            self.launch(
                slot, settings, seconds,
                source=source if from_device else None, target=target if to_device else None,
            )  # fmt: skip
        except BaseException:
            self.give_back(frame, slot)
            raise
        with self._changed:
            self._in_flight.append(frame)
            self._changed.notify_all()
        return frame.finish

    def launch(
        self, slot: Slot, settings: ControlSettings, seconds: float | None,
        *, source: Frame | None = None, target: Frame | None = None,
    ) -> None:  # fmt: skip
        """Upload, compute and download a slot's frame, without waiting for it.

        Args:
            source, target: frames on the device, instead of the slot's on the host.
        """
        slot.host_numbers[:] = self._parameters.next(settings, seconds)
        # Frames on the device are filled and freed on the calling thread's current stream, which
        # for a decoder is the default one.
        caller: Any = None
        if self._streams and (source is not None or target is not None):
            caller = torch.cuda.current_stream(self.device)
            self._streams[_UPLOAD].wait_stream(caller)
        with self._on(_UPLOAD):
            if source is None:
                slot.source.memory.copy_(slot.host_source.memory, non_blocking=True)
            else:
                source.copy_to(slot.source.frame)
                slot.source.numbers_memory.copy_(slot.host_source.numbers_memory, non_blocking=True)
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
        if self._streams:
            slot.events[_DOWNLOAD].synchronize()

    def synchronise(self) -> None:
        """Wait until the device is done with every frame."""
        for stream in self._streams:
            stream.synchronize()

    def _on(self, stream: int) -> AbstractContextManager[Any]:
        return torch.cuda.stream(self._streams[stream]) if self._streams else nullcontext()

    def _mark(self, slot: Slot, stream: int) -> None:
        """Record a slot's event on a stream, and let the next stream wait for it."""
        if self._streams:
            slot.events[stream].record(self._streams[stream])
            if stream != _DOWNLOAD:
                self._streams[stream + 1].wait_event(slot.events[stream])


def new_streams(device: torch.device) -> tuple[Any, ...]:
    """The streams of a ``CUDAStep``; empty without a GPU.

    PyTorch hands out 32 in turns, so they are not made for each size of frames: another thread may
    be recording on one that comes around again.
    """
    if device.type != "cuda":
        return ()
    return tuple(torch.cuda.Stream(device) for _ in range(4))  # type: ignore[no-untyped-call]


def _on_device(frame: Frame) -> bool:
    return isinstance(frame.planes[0], Tensor)
