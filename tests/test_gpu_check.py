"""``scripts/gpu_check.py`` without a card: what it keeps when figures and checks go wrong."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
# As when the script is run; processes that it starts have the same path.
sys.path.append(str(ROOT / "scripts"))

import gpu_check  # noqa: E402
from gpu_checking.plan import Plan  # noqa: E402
from gpu_checking.report import Fact, Figure, Report, draw  # noqa: E402

from tests.support.worker_pool import Job, NotRunError  # noqa: E402

HAS_TRITON = importlib.util.find_spec("triton") is not None
needs_triton = pytest.mark.skipif(not HAS_TRITON, reason="Triton is not installed")

MARK = "ZERODCE_TEST_MARK"


def good_figures() -> Iterator[Figure | Fact]:
    yield Fact("network", "Triton")
    yield Figure("quick", 30.0, "us", 45, 32, l2="flushed")
    yield Figure("quick", 40.0, "us", 45, 32, l2="hot")


def spoiled_figures() -> Iterator[Figure]:
    yield Figure("before the failure", 1.0, "us")
    raise RuntimeError("CUDA error: operation not permitted when stream is capturing")


def dying_figures() -> Iterator[Figure]:
    yield Figure("before the death", 2.0, "us")
    os._exit(1)


def lacking_figures() -> Iterator[Figure]:
    raise NotRunError("torch_tensorrt is not installed")
    yield


def late_figures() -> Iterator[Figure]:
    yield Figure("rate", 1000.0, "fps", 2000, 5000, larger=True)


def succeed() -> None:
    pass


def differ() -> None:
    raise AssertionError("differs by 3")


def fail_once() -> None:
    mark = Path(os.environ[MARK])
    if not mark.exists():
        mark.touch()
        raise RuntimeError("Triton Error [CUDA]: an illegal memory access was encountered")


def wait() -> None:
    time.sleep(600)


def fake_figures(seconds: float) -> list[Job]:
    assert seconds == 0.5
    return [
        Job("good", good_figures), Job("spoiled", spoiled_figures), Job("dying", dying_figures),
        Job("TensorRT", lacking_figures), Job("late", late_figures),
    ]  # fmt: skip


def fake_checks() -> list[Job]:
    fine = [Job(f"fine {n}", succeed) for n in range(12)]
    return [
        *fine,
        Job("differs", differ),
        Job("dies", partial(os._exit, 1)),
        Job("once", fail_once),
    ]


def fake_plan() -> Plan:
    facts = {"card": "a card of paper", "versions": "torch 0"}
    return Plan(None, facts, ("video is not checked",), fake_figures, fake_checks)


def slow_plan() -> Plan:
    checks = [Job("fine", succeed), Job("slow", wait), Job("too late", succeed)]
    return Plan(facts={"card": "a card of paper"}, checks=lambda: checks)


def run_script(folder: Path, plan: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / "gpu_check.py", "-o", folder, "--seconds", "0.5",
         "--workers", "2", "--plan", f"tests.test_gpu_check:{plan}", *options],
        capture_output=True, text=True, timeout=120, check=False, cwd=folder.parent,
        env=os.environ | {MARK: str(folder.parent / "mark")},
    )  # fmt: skip


def kept(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "gpu_check.json").read_text())


def test_figures_and_checks_that_fail_leave_the_others(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    done = run_script(folder, "fake_plan")
    assert done.returncode == 1, done.stderr
    found = kept(folder)
    assert found["finished"]
    assert found["facts"] == {
        "card": "a card of paper", "versions": "torch 0", "network": "Triton",
    }  # fmt: skip
    assert [(f["what"], f["l2"], f["verdict"]) for f in found["figures"]] == [
        ("quick", "flushed", "want met"), ("quick", "hot", "must met"),
        ("before the failure", "", ""), ("before the death", "", ""), ("rate", "", "MISSED"),
    ]  # fmt: skip
    assert found["counts"] == {"passed": 13, "failed": 2}
    assert sorted(found["failures"]) == [
        "dies: its process died (exit code 1)", "differs: AssertionError: differs by 3",
    ]  # fmt: skip
    assert found["not_run"] == ["TensorRT: torch_tensorrt is not installed"]
    video, spoiled, dying, once = found["remarks"]
    assert video == "video is not checked"
    assert spoiled.startswith("not measured: spoiled: RuntimeError: CUDA error: operation not")
    assert dying == "not measured: dying: its process died (exit code 1)"
    assert once.startswith("once: passed in a fresh process")
    assert "[5/5 groups of figures" in done.stdout
    assert "[15/15 checks, 2 failed" in done.stdout
    assert sorted(p.name for p in folder.iterdir()) == [
        "gpu_check.json", "gpu_check.log", "gpu_check.png",
    ]  # fmt: skip
    assert "operation not permitted" in (folder / "gpu_check.log").read_text()


def test_what_does_not_fit_into_the_limit_is_listed(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    done = run_script(folder, "slow_plan", "--only", "checks", "--limit", "5", "--workers", "1")
    assert done.returncode == 0, done.stderr
    found = kept(folder)
    assert found["counts"] == {"passed": 1, "not run": 2}
    assert found["not_run"] == [
        "slow: the time was up while it ran", "too late: the time was up",
    ]  # fmt: skip
    assert "not run:\n  slow" in done.stdout


def test_each_addition_is_on_the_disk_at_once(tmp_path: Path) -> None:
    report = Report(tmp_path, "command")
    for value, expected in ((10.0, [10.0]), (11.0, [11.0])):  # the second time instead
        report.add(Figure("time", value, "us", 45, 32))
        assert [f["value"] for f in kept(tmp_path)["figures"]] == expected
        assert not kept(tmp_path)["finished"]
    report.remark("a remark")
    assert kept(tmp_path)["remarks"] == ["a remark"]
    report.add(Fact("card", "paper"))
    assert kept(tmp_path)["facts"] == {"card": "paper"}
    draw(report.figures, tmp_path / "chart.png", "title")
    assert (tmp_path / "chart.png").stat().st_size > 1000


def test_without_a_card_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available() or not HAS_TRITON:
        pytest.skip("is for machines with Triton and without a card")
    assert gpu_check.main(["-o", str(tmp_path / "results")]) == 1
    printed = capsys.readouterr().out.splitlines()
    assert printed == ["PyTorch finds no NVIDIA GPU here; 'pytest tests/backends/cuda' needs none"]
    assert not (tmp_path / "results").exists()


@needs_triton
def test_the_real_lists_can_be_made() -> None:
    from gpu_checking.checks import check_jobs, checks
    from gpu_checking.figures import figure_jobs

    names = [job.name for job in check_jobs()]
    assert len(names) == len(set(names)) == len(checks()) > 300
    assert names[0] == "plus at full size, 69 megapixels"
    assert names[-1] == "dcenet at full size, 95 megapixels"
    figures = [job.name for job in figure_jobs(1.0)]
    assert len(figures) == len(set(figures)) > 30


@needs_triton
def test_the_checks_that_only_a_card_can_fail_run_in_the_interpreter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from gpu_checking import checks

    from tests.support import agreement

    if agreement.HAS_GPU:
        pytest.skip("a recording that fails is the end of a process on a card")
    monkeypatch.setattr(checks, "_BORDER", 8)
    checks.last_rows("plus", 8, 80, 1)
    checks.second_thread("plus", 20, 4)
    checks.chained_and_not(20, 4, 2)
    checks.after_others(20, 4)
    calls = iter(range(1))

    def spoil() -> None:
        if next(calls, None) is not None:
            raise RuntimeError("CUDA error: operation not permitted when stream is capturing")

    checks.after_own(20, 4, spoil)


@needs_triton
def test_the_figures_are_made_in_the_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock that only calls what it times, and frames of a few pixels."""
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("stands for a card")
    from gpu_checking import figures, networks

    from tests.support.published import random_checkpoint
    from zerodce_rt.backends.cuda.driver import nvidia_smi
    from zerodce_rt.backends.cuda.step import CUDAStep
    from zerodce_rt.backends.cuda.triton_network import TritonNetwork

    def timed_runs(runs: list[Any], seconds: float, calls: int = 1) -> float:
        for run in runs:
            run()
        return 2.0

    def timed_run(run: Any, seconds: float, calls: int = 1) -> float:
        return timed_runs([run], seconds)

    class Step(CUDAStep):
        def take_slot(self) -> Any:
            slot = super().take_slot()
            slot.graph = SimpleNamespace(replay=lambda: None)
            return slot

    def network(model: str) -> Any:
        made: Any = TritonNetwork(random_checkpoint(model), torch.device("cpu"))
        made.chosen = {(36, 64): "Triton"}
        return made

    for name, value in {
        "WIDTH": 12, "HEIGHT": 4, "MAP_SIZE": (2, 3), "recorded_us": timed_runs,
        "turns_us": timed_runs, "device_us": timed_run, "flushed_us": timed_run,
        "copies_beyond_l2": lambda bytes_a_call: 2, "CUDAStep": Step, "fastest": network,
        "STREAM": 1, "stream": lambda begin: begin()(),
    }.items():  # fmt: skip
        monkeypatch.setattr(figures, name, value)
    monkeypatch.setattr(networks, "recorded_us", timed_runs)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    made = [
        *figures.full_maps(0), *figures.small_maps(0), *figures.thumbnails(0),
        *figures.whole_graph("plus", "16", 100.0, 40.0, 0),
        *figures.whole_graph("plus", "full", 100.0, 40.0, 0),
        *figures.rates(0.01), *networks.network("Triton", "plus", 2, 3, 0),
        *networks.network("cuDNN", "dcenet", 2, 3, 0),
    ]  # fmt: skip
    assert {f.value for f in made if isinstance(f, Fact)} == {"Triton for 64x36"}
    numbers = [f for f in made if isinstance(f, Figure)]
    assert len({(f.what, f.l2) for f in numbers}) == len(numbers) == 23
    assert nvidia_smi("name") == []
    assert dict(figures._reported(("name", "power.draw"))) == {
        "name": "unknown", "power.draw": "unknown",
    }  # fmt: skip
