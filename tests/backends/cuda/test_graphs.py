"""What a CUDA graph that cannot be recorded leaves behind; without a card."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import partial
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import pytest
import torch

if find_spec("triton") is None:  # not imported before agreement.py has chosen the interpreter
    pytest.skip("Triton is not installed (it is for Linux)", allow_module_level=True)

from tests.support import agreement
from zerodce_rt.backends.cuda import graphs

pytestmark = pytest.mark.skipif(agreement.HAS_GPU, reason="stands for PyTorch's graphs")
STREAM = SimpleNamespace(device="cuda:0")


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """PyTorch's functions, whose recording ends in an error if ``broken``; notes streams."""
    state: dict[str, Any] = {"broken": False, "current": "caller"}

    @contextmanager
    def graph(_: object, **options: Any) -> Iterator[None]:
        state["options"] = options
        state["current"] = options["stream"]
        try:
            yield
        finally:
            if state["broken"]:
                raise RuntimeError("CUDA error: operation failed due to a previous error")
            state["current"] = "caller"

    monkeypatch.setattr(torch.cuda, "CUDAGraph", object)
    monkeypatch.setattr(torch.cuda, "graph", graph)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: state["current"])
    monkeypatch.setattr(torch.cuda, "set_stream", lambda stream: state.update(current=stream))
    monkeypatch.setattr(graphs, "_failures", [])
    return state


def failing(error: Exception) -> Callable[[], None]:
    def run() -> None:
        raise error

    return run


def test_other_threads_may_use_the_device_meanwhile(stand_ins: dict[str, Any]) -> None:
    runs: list[int] = []
    graphs.record(lambda: runs.append(1), STREAM, "pool")
    assert runs == [1]
    assert stand_ins["options"] == {
        "pool": "pool", "stream": STREAM, "capture_error_mode": "thread_local"
    }  # fmt: skip


def test_the_cause_is_told_and_the_stream_restored(stand_ins: dict[str, Any]) -> None:
    stand_ins["broken"] = True
    with pytest.raises(graphs.RecordingFailed, match=r"recorded: cudaErrorStreamCapture\w+$"):
        graphs.record(failing(RuntimeError("cudaErrorStreamCaptureUnsupported\nAdvice")), STREAM)
    assert stand_ins["current"] == "caller"


def test_nothing_more_is_recorded_in_that_process(stand_ins: dict[str, Any]) -> None:
    stand_ins["broken"] = True
    with pytest.raises(graphs.RecordingFailed):
        graphs.record(failing(RuntimeError("a synchronisation")), STREAM)
    stand_ins["broken"] = False
    for call in (graphs.check_recording, lambda: graphs.record(lambda: None, STREAM)):
        with pytest.raises(graphs.RecordingFailed, match="before: a synchronisation"):
            call()


def test_threads_record_one_after_the_other(stand_ins: dict[str, Any]) -> None:
    """PyTorch waits for the whole device first, which breaks off what another thread records."""
    under_way: list[int] = []
    most: list[int] = []

    def run() -> None:
        assert not gc.isenabled()
        under_way.append(1)
        time.sleep(0.02)
        most.append(len(under_way))
        under_way.pop()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: graphs.record(run, STREAM), range(4)))
    assert most == [1] * 4
    assert gc.isenabled()


def test_what_replays_a_graph_keeps_the_memory_that_it_uses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """``FastestNetwork`` replays one network's graph after another's was recorded."""
    replayed: list[int] = []
    graph = SimpleNamespace(replay=lambda: replayed.append(1))
    stream = SimpleNamespace(wait_stream=lambda _: None, synchronize=lambda: None)
    monkeypatch.setattr(graphs, "record", lambda run, stream: graph)
    monkeypatch.setattr(torch.cuda, "Stream", lambda: stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: "caller")
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    tensor = torch.ones(4)
    memory = weakref.ref(tensor)
    replay = graphs.graphed(partial(tensor.mul_, 2))
    del tensor
    gc.collect()
    assert memory() is not None
    replay()
    assert replayed == [1]


def test_an_error_that_ends_the_recording_in_order_harms_nothing() -> None:
    error = torch.cuda.OutOfMemoryError("2 GiB")
    with pytest.raises(torch.cuda.OutOfMemoryError) as raised:
        graphs.record(failing(error), STREAM)
    assert raised.value is error
    graphs.record(lambda: None, STREAM)
