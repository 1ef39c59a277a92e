"""Two processes train as one would: the same losses and weights, one writer, one message."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torch import Tensor

from tests.conftest import assert_nothing_left
from tests.support import train_together
from tests.support.train_together import SAVED, SETTINGS, train_and_note
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.training.distributed import ALONE, Processes, launched
from zerodce_rt.training.settings import TrainingSettings

needs_torchrun = pytest.mark.skipif(
    sys.platform == "win32", reason="PyTorch's wheels for Windows lack what torchrun needs"
)
VARIABLES = {
    "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1",
    "MASTER_ADDR": "localhost", "MASTER_PORT": "29500",
}  # fmt: skip


def start(*arguments: object) -> subprocess.Popen[str]:
    """Start a program in two processes, which meet on this machine."""
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--standalone")
    return subprocess.Popen(
        [*torchrun, "--nproc-per-node", "2", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def start_training(*arguments: object) -> subprocess.Popen[str]:
    return start("-m", "zerodce_rt", "train", *arguments)


def finish(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    """Exit code, and the lines of all processes without torchrun's own."""
    try:
        output, _ = process.communicate(timeout=120)
    finally:
        process.kill()
    # Its log's lines begin with a level and a date. At the end comes its traceback.
    ours = output.split("Traceback")[0].replace("\r", "\n").splitlines()
    return process.returncode, [
        line for line in ours if line.strip() and not re.match(r"\[?[EIW]\d{4} ", line)
    ]


def losses(output: Path) -> list[list[float]]:
    return json.loads(output.with_suffix(".json").read_text())


def assert_close(values: dict[str, Any], expected: dict[str, Any], relative: float = 1e-5) -> None:
    """Numbers of the same names differ by rounding only; a step moves a weight by up to 0.002."""
    assert values.keys() == expected.keys()
    for name, value in values.items():
        np.testing.assert_allclose(value, expected[name], relative, 1e-6, err_msg=name)


def gradients(state: dict[str, Any]) -> dict[str, Tensor]:
    """Adam's running means of them: if all are off by a factor, weights do not show it."""
    return {str(i): kept["exp_avg"] for i, kept in state["optimiser"]["state"].items()}


@needs_torchrun
@pytest.mark.parametrize(
    "model", ["plus", "light"] if os.environ.get("ZERODCE_RT_THOROUGH") else ["plus"]
)
def test_two_processes_train_like_one_which_can_go_on(
    tmp_path: Path, photos: Path, model: str
) -> None:
    one, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    code, lines = finish(start(train_together.__file__, model, photos, two, 1))
    assert code != 0
    # The second process fails. What the first one meets with then is a consequence.
    assert lines == ["this process fails"]
    assert sorted(p.name for p in tmp_path.glob("two*")) == [
        "two.csv", "two.json", "two.png", "two.resume.pt",
    ]  # fmt: skip

    with pytest.raises(ZeroDCEError, match="this process fails"):
        train_and_note(model, photos, one, failing=0)
    assert len(losses(one)) == SAVED
    np.testing.assert_allclose(losses(two), losses(one), 1e-5, 1e-6)
    saved, expected = (torch.load(p.with_suffix(".resume.pt")) for p in (two, one))
    assert_close(saved["model"], expected["model"])
    assert_close(saved.get("average", {}), expected.get("average", {}))
    assert_close(gradients(saved), gradients(expected))

    for output in (one, two):
        train_and_note(model, photos, output, resume=True)
        assert len(losses(output)) == SETTINGS[model].steps - SAVED
    np.testing.assert_allclose(losses(two), losses(one), 1e-5, 1e-6)
    # Those of ``light`` are rounded to 16 bits.
    assert_close(load_file(two), load_file(one), 1e-3 if model == "light" else 1e-5)


@needs_torchrun
def test_the_command_goes_on_in_two_processes(tmp_path: Path, photos: Path) -> None:
    one, two = tmp_path / "one" / "x.safetensors", tmp_path / "two" / "x.safetensors"
    for output in (one, two):
        output.parent.mkdir()
        with pytest.raises(ZeroDCEError, match="this process fails"):
            train_and_note("plus", photos, output, failing=0)
        output.with_suffix(".json").unlink()
    train_and_note("plus", photos, one, resume=True)
    settings = SETTINGS["plus"]
    assert isinstance(settings, TrainingSettings)
    code, lines = finish(start_training(
        photos, "-o", two, "--model", "plus", "--steps", settings.steps, "--resume",
        "--batch-size", settings.batch_size, "--size", settings.size, "--device", "cpu",
    ))  # fmt: skip
    assert code == 0, lines
    # One of the processes reports, and writes.
    assert [line for line in lines if "|" not in line] == [str(two)]
    assert_nothing_left(two.parent, "x.csv", "x.png", "x.safetensors")
    assert_close(load_file(two), load_file(one))
    header, *rows = (p.with_suffix(".csv").read_text().splitlines() for p in (two, one))
    assert len(rows[0]) == len(header)


@needs_torchrun
def test_a_batch_that_cannot_be_shared_is_refused_once(tmp_path: Path, photos: Path) -> None:
    code, lines = finish(start_training(photos, "-o", tmp_path / "x.safetensors",
                                        "--batch-size", 3))  # fmt: skip
    assert code != 0
    says = "--batch-size must be divisible by the number of processes, 2; it is 3"
    assert lines == [f"zerodce-rt: {says}"]
    assert_nothing_left(tmp_path, photos.name)


@needs_torchrun
def test_control_c_ends_all_processes_with_one_line(tmp_path: Path, photos: Path) -> None:
    output = tmp_path / "x.safetensors"
    process = start_training(photos, "-o", output, "--batch-size", 2, "--sheet-every", 2,
                             "--device", "cpu", "--quiet")  # fmt: skip
    end = time.monotonic() + 90
    while not (tmp_path / "x.resume.pt").exists() and time.monotonic() < end:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    code, lines = finish(process)
    assert code != 0
    assert lines == ["stopped; nothing was left half-written"]
    assert_nothing_left(tmp_path, photos.name, "x.csv", "x.png", "x.resume.pt")


def test_without_torchrun_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert launched() == ALONE
    # Clusters set some of them.
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert launched() == ALONE
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    assert launched() == Processes(rank=3, number=4, local_rank=1)


def test_each_process_has_a_device_of_its_own() -> None:
    processes = Processes(rank=5, number=8, local_rank=1)
    assert processes.own_device("cuda") == "cuda:1"
    assert processes.own_device("cpu") == "cpu"
    for device in ("cuda:0", "mps"):
        assert ALONE.own_device(device) == device
        with pytest.raises(ValueError, match="`device` must be cpu or cuda with several processes"):
            processes.own_device(device)
