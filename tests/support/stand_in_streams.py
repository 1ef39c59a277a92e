"""A step of the CUDA path whose streams, events and graph do nothing, for what Python does.

Copies are those of tensors on the CPU, and small: what is left is the host's share of a frame,
without that of the driver.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from tests.support.noise import random_frame
from zerodce_rt.backends.cuda.step import CUDAStep, Slot
from zerodce_rt.backends.interfaces import DeviceEstimate
from zerodce_rt.curve.working_size import WorkingSize
from zerodce_rt.frame import Colour

Note = Callable[[str], object]
_NAMES = "upload", "compute", "download"


class IdleNetwork:
    """Computes nothing. Is a ``DeviceNetwork``."""

    device, map_count = torch.device("cpu"), 3
    knots: tuple[float, ...] = ()

    def prepare(self, height: int, width: int) -> DeviceEstimate:
        del height, width
        return lambda image, out: None


class Stream:
    def __init__(self, name: str, note: Note) -> None:
        self.name, self._note = name, note

    def wait_event(self, event: Event) -> None:
        self._note(f"{self.name} waits for {event.name}")


class Event:
    def __init__(self, name: str, note: Note) -> None:
        self.name, self._note = name, note

    def record(self, stream: Stream) -> None:
        self._note(f"{self.name} recorded on {stream.name}")

    def synchronize(self) -> None:
        self._note(f"host waits for {self.name}")


class Graph:
    def __init__(self, note: Note) -> None:
        self._note = note

    def replay(self) -> None:
        self._note("replay")


class Memory:
    """A tensor that notes what is copied to it."""

    def __init__(self, tensor: Tensor, name: str, note: Note) -> None:
        self.tensor, self._name, self._note = tensor, name, note

    def copy_(self, source: Any, *, non_blocking: bool = False) -> None:
        self._note(f"{self._name}{'' if non_blocking else ', and waits for it'}")
        self.tensor.copy_(getattr(source, "tensor", source), non_blocking=non_blocking)


class CurrentStream:
    """Stands for ``torch.cuda.stream``."""

    def __init__(self, stream: Stream) -> None:
        del stream

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def _no_note(_: str) -> None: ...


@contextmanager
def stand_in_step(note: Note | None = None) -> Iterator[tuple[CUDAStep, Slot]]:
    """A step and its slot, both as on a card.

    Args:
        note: called with each call that a card would see; default: nothing is noted.
    """
    frame = random_frame("nv12", 16, 2, Colour())
    step = CUDAStep(IdleNetwork(), frame, frame, WorkingSize(16), max_level=0.5)
    slot = step.take_slot()
    noted = note or _no_note
    step._streams = [Stream(name, noted) for name in _NAMES]
    slot.events = [Event(f"end of {name}", noted) for name in _NAMES]
    slot.graph = Graph(noted)
    if note is not None:
        memories: list[Any] = [
            Memory(buffer.memory, name, note)
            for buffer, name in ((slot.source, "upload"), (slot.host_target, "download"))
        ]
        slot.source = replace(slot.source, memory=memories[0])
        slot.host_target = replace(slot.host_target, memory=memories[1])
    with patch.object(torch.cuda, "stream", CurrentStream):
        yield step, slot
