"""Which of a step's streams waits for which, and for the caller's; without a card."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import pytest
import torch

if find_spec("triton") is None:  # not imported before agreement.py has chosen the interpreter
    pytest.skip("Triton is not installed (it is for Linux)", allow_module_level=True)

from tests.support import agreement
from tests.support.noise import blank
from tests.support.published import random_checkpoint
from zerodce_rt.backends.cuda.step import CUDAStep
from zerodce_rt.backends.cuda.triton_network import TritonNetwork
from zerodce_rt.curve.control import ControlSettings
from zerodce_rt.curve.working_size import WorkingSize


class Streams:
    """Stands for PyTorch's streams and events, and notes who waits for whom."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.current = ["caller"]

    def current_stream(self, device: torch.device) -> Stream:
        return Stream(self, self.current[-1])

    @contextmanager
    def stream(self, stream: Stream) -> Iterator[None]:
        self.current.append(stream.name)
        yield
        self.current.pop()


class Stream:
    def __init__(self, streams: Streams, name: str) -> None:
        self.streams, self.name = streams, name

    def wait_stream(self, other: Stream) -> None:
        self.streams.notes.append(f"{self.name} waits for {other.name}")

    def wait_event(self, event: Event) -> None:
        self.streams.notes.append(f"{self.name} waits for the {event.of}")


class Event:
    of = ""

    def record(self, stream: Stream) -> None:
        self.of = f"end of {stream.name}"


@pytest.mark.skipif(agreement.HAS_GPU, reason="stands for PyTorch's streams")
@pytest.mark.parametrize("on_device", [("source", "target"), ("source",), ("target",), ()])
def test_frames_on_the_device_are_ordered_with_the_callers_stream(
    monkeypatch: pytest.MonkeyPatch, on_device: tuple[str, ...]
) -> None:
    frame = agreement.dark_frame("nv12", 18, 4)
    network = TritonNetwork(random_checkpoint("plus"), agreement.DEVICE)
    step = CUDAStep(network, frame, frame, WorkingSize(16), max_level=0.5)
    slot, streams = step.take_slot(), Streams()
    step._streams = [Stream(streams, name) for name in ("upload", "compute", "download")]
    slot.events = [Event() for _ in range(3)]
    monkeypatch.setattr(torch.cuda, "current_stream", streams.current_stream)
    monkeypatch.setattr(torch.cuda, "stream", streams.stream)
    frames: dict[str, Any] = {name: agreement.upload(blank(frame)) for name in on_device}
    step.launch(slot, ControlSettings(), None, **frames)
    chain = ["compute waits for the end of upload", "download waits for the end of compute"]
    if on_device:
        chain.insert(0, "upload waits for caller")
        chain.insert(2, "caller waits for the end of upload")
    assert streams.notes == chain
