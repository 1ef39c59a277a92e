"""What the host does for a frame on a card: the calls, in their order, and no more of them."""

from __future__ import annotations

import runpy
from importlib.util import find_spec
from pathlib import Path

import pytest

if find_spec("triton") is None:  # not imported before conftest.py has chosen the interpreter
    pytest.skip("Triton is not installed (it is for Linux)", allow_module_level=True)

from tests.support.stand_in_streams import stand_in_step
from zerodce_rt.curve.control import ControlSettings

BENCHMARK = Path(__file__).resolve().parents[3] / "benchmarks" / "launch_overhead.py"
A_FRAME = [
    "upload", "end of upload recorded on upload", "compute waits for end of upload",
    "replay", "end of compute recorded on compute", "download waits for end of compute",
    "download", "end of download recorded on download",
]  # fmt: skip


def test_a_frame_is_one_upload_one_graph_and_one_download() -> None:
    notes: list[str] = []
    with stand_in_step(notes.append) as (step, slot):
        step.launch(slot, ControlSettings(), 0.0)
        assert notes == A_FRAME
        step.wait(slot)
    assert notes == [*A_FRAME, "host waits for end of download"]


def test_the_benchmark_prints_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    benchmark = runpy.run_path(str(BENCHMARK))
    benchmark["main"](["--frames", "20", "--rounds", "2"])
    printed = capsys.readouterr().out
    assert "launch and wait" in printed
    assert "us" in printed
