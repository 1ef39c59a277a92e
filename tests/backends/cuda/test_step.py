"""Which of a step's streams waits for which, and for the caller's; without a card."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
from zerodce_rt.backends.cuda.light_network import LightTritonNetwork
from zerodce_rt.backends.cuda.step import CUDAStep
from zerodce_rt.backends.cuda.triton_network import TritonNetwork
from zerodce_rt.curve.control import ControlSettings
from zerodce_rt.curve.working_size import WorkingSize
from zerodce_rt.network.checkpoint import load_bundled


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


@pytest.mark.skipif(agreement.HAS_GPU, reason="stands for PyTorch's streams")
def test_what_runs_beside_something_else_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frame, streams = agreement.dark_frame("nv12", 18, 4), Streams()
    network = LightTritonNetwork(load_bundled("light"), agreement.DEVICE)
    step = CUDAStep(network, frame, frame, WorkingSize(16), max_level=0.5, denoise=True)

    assert step._denoiser is not None

    def noted(name: str) -> Callable[..., Any]:
        return lambda *_: streams.notes.append(f"{name} on {streams.current[-1]}")

    monkeypatch.setattr(torch.cuda, "current_stream", streams.current_stream)
    monkeypatch.setattr(torch.cuda, "stream", streams.stream)
    step._side = Stream(streams, "side")
    monkeypatch.setattr(step, "_estimate_maps", noted("network"))
    monkeypatch.setattr(step._control, "look", noted("look"))
    monkeypatch.setattr(step._control, "finish", noted("finish"))
    monkeypatch.setattr("zerodce_rt.backends.cuda.step.stretch", noted("stretch"))
    for name in ("load", "filter_all_but_luma", "filter_luma_and_enhance"):
        monkeypatch.setattr(step._denoiser, name, noted(name))
    step._run(step.take_slot())
    assert streams.notes == [
        "side waits for caller", "look on side", "load on side", "network on caller",
        "caller waits for side", "finish on caller",
        "side waits for caller", "stretch on side", "filter_all_but_luma on caller",
        "caller waits for side", "filter_luma_and_enhance on caller",
    ]  # fmt: skip
