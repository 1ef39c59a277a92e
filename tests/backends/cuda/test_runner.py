"""The class that people use, the file pipeline and the command line on the CUDA path.

In Triton's interpreter unless there is a card: the code is the same, but for graphs and streams.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

if find_spec("triton") is None:  # not imported: how it is depends on what agreement.py sets
    pytest.skip("Triton is not installed (it is for Linux)", allow_module_level=True)

from tests.conftest import VideoMaker, assert_nothing_left, one_line, run
from tests.support import agreement, interpreted
from tests.support.media import Probe
from tests.support.noise import gap
from zerodce_rt.backends import BACKENDS, Backend
from zerodce_rt.backends.cuda import check as cuda_check
from zerodce_rt.backends.cuda.fastest import FastestNetwork
from zerodce_rt.backends.cuda.runner import CUDARunner
from zerodce_rt.backends.cuda.step import CUDAStep, Slot
from zerodce_rt.backends.interfaces import DeviceEstimate
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.errors import DeviceError
from zerodce_rt.files import enhance_video
from zerodce_rt.frame import Frame

# Small, since the interpreter takes its time.
WIDTH, HEIGHT, WORKING_SIZE = 32, 8, 16


@pytest.fixture(autouse=True)
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """``auto`` finds the CUDA path, and PyTorch on the processor after it."""
    found = {
        "gpu": Backend("gpu", "tests.support.interpreted", on_gpu=True),
        "torch": BACKENDS["torch"],
    }
    monkeypatch.setattr("zerodce_rt.backends.BACKENDS", found)
    monkeypatch.setattr(cuda_check, "WIDTH", 20)
    monkeypatch.setattr(cuda_check, "HEIGHT", 4)
    monkeypatch.setattr(cuda_check, "LONG_SIDE", WORKING_SIZE)
    yield
    interpreted.before_estimate.clear()
    interpreted.before_prepare.clear()
    interpreted.before_create.clear()


def enhancer(backend: str = "gpu", **options: Any) -> Enhancer:
    return Enhancer(backend=backend, working_size=WORKING_SIZE, threads=1, **options)


def dark(seed: int = 0, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Frame:
    return agreement.dark_frame("yuv420p", *size, seed)


def enhanced(enhancer: Enhancer, frame: Frame, seconds: float | None = None) -> Frame:
    target = frame.empty_like()
    enhancer.enhance(frame, target, seconds=seconds)
    return target


def test_arrays_become_what_the_processor_makes_of_them() -> None:
    picture = np.random.default_rng(0).integers(0, 60, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    auto = enhancer("auto")
    got, expected = auto(picture, order="bgr"), enhancer("torch")(picture, order="bgr")
    assert isinstance(auto.runner, CUDARunner)
    assert auto.runner.name == "gpu"
    assert expected.mean() > 1.5 * picture.mean()
    assert np.abs(got.astype(int) - expected).max() <= 2


def test_several_frames_under_way_follow_one_another_in_time() -> None:
    frames = [dark(seed) for seed in range(3)]
    options: dict[str, Any] = {"smoothing_seconds": 0.1}
    card, processor = enhancer(**options), enhancer("torch", **options)
    targets = [frame.empty_like() for frame in frames]
    waiting = [
        card.begin(frame, target, seconds=number / 30)
        for number, (frame, target) in enumerate(zip(frames, targets, strict=True))
    ]
    for finish in waiting:
        finish()
    for number, (frame, target) in enumerate(zip(frames, targets, strict=True)):
        assert gap(enhanced(processor, frame, number / 30), target) <= 2


def test_a_reset_or_another_size_forgets_the_past() -> None:
    frame, brighter = dark(), dark()
    brighter.planes[0][:] += 15  # not enough for a cut
    fresh, calm = enhanced(enhancer(), frame), enhancer(smoothing_seconds=10)
    enhanced(calm, brighter, 0.0)
    assert gap(enhanced(calm, frame, 0.1), fresh) > 0
    calm.reset()
    assert gap(enhanced(calm, frame, 0.2), fresh) == 0
    calm.reset()
    enhanced(calm, brighter, 0.3)
    enhanced(calm, dark(size=(20, 6)), 0.4)
    assert gap(enhanced(calm, frame, 0.5), fresh) == 0


def test_memory_is_kept_for_a_few_sizes_only() -> None:
    made = enhancer()
    assert isinstance(made.runner, CUDARunner)
    for width in range(17, 23):
        enhanced(made, dark(size=(width, 2)))
    assert len(made.runner._steps) == 4


def test_a_gpu_that_computes_nonsense_is_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tests.support.interpreted.scale", -3.0)
    with pytest.raises(DeviceError, match=r"gpu: its picture differs from the CPU's by [0-9.]+"):
        enhancer()
    assert enhancer("auto").runner.name == "torch"
    assert "going on with backend torch" in caplog.text


def test_strength_may_change_between_frames() -> None:
    from dataclasses import replace

    frame, made = dark(), enhancer()
    full = enhanced(made, frame)
    made.settings = replace(made.settings, strength=0)
    assert gap(enhanced(made, frame), frame) == 0
    made.settings = replace(made.settings, strength=1)
    assert gap(enhanced(made, frame), full) == 0


# Files


def test_a_whole_file(make_video: VideoMaker, tmp_path: Path) -> None:
    source = make_video(frames=6, size=(WIDTH, HEIGHT), audio=1)
    results = []
    for backend in ("gpu", "torch"):
        output = tmp_path / f"{backend}.mp4"
        enhance_video(source, output, enhancer=enhancer(backend, smoothing_seconds=0.1))
        results.append(Probe(output))
    card, processor = results
    assert card.pts == processor.pts
    assert card.packets == processor.packets
    assert card.level() > 1.5 * Probe(source).level()
    assert card.level() == pytest.approx(processor.level(), abs=1)


# A device that gives up


def test_out_of_memory_is_told_in_one_line() -> None:
    made = enhancer()
    interpreted.before_estimate.append(interpreted.run_out_of_memory)
    with pytest.raises(DeviceError, match=f"out of memory for frames of {WIDTH}x{HEIGHT}") as error:
        enhanced(made, dark())
    assert "--working-size" in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_a_size_may_have_the_memory_of_others() -> None:
    made, frame = enhancer(), dark(size=(20, 2))
    expected = enhanced(made, frame)
    enhanced(made, dark())
    interpreted.before_prepare.append(interpreted.run_out_of_memory)
    assert gap(enhanced(made, dark(size=(22, 2))), dark(size=(22, 2))) > 0
    assert isinstance(made.runner, CUDARunner)
    assert len(made.runner._steps) == 1
    assert gap(enhanced(made, frame), expected) == 0


def test_a_gpu_that_gives_up_at_the_start_is_told() -> None:
    interpreted.before_create += 2 * [interpreted.lose_the_device]
    with pytest.raises(DeviceError, match="illegal memory access"):
        enhancer()
    assert enhancer("auto").runner.name == "torch"


def test_doctor_says_whether_a_gpu_passes_its_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("doctor") == 0
    assert "yes gpu             Triton's interpreter; its picture agrees" in capsys.readouterr().out
    monkeypatch.setattr("tests.support.interpreted.scale", -3.0)
    assert run("doctor") == 0
    assert "no  gpu             backend gpu: its picture differs" in capsys.readouterr().out


def test_auto_tries_the_next_way_to_the_gpu(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    backends = {n: Backend(n, "tests.support.interpreted", on_gpu=True) for n in ("engine", "gpu")}
    backends["torch"] = BACKENDS["torch"]
    monkeypatch.setattr("zerodce_rt.backends.BACKENDS", backends)
    interpreted.before_create.append(interpreted.reject)
    made = enhancer("auto")
    assert made.runner.name == "gpu"
    assert "its maps differ" in caplog.text
    assert "going on with backend gpu" in caplog.text
    interpreted.before_create.append(interpreted.reject)
    with pytest.raises(DeviceError, match="its maps differ"):
        enhancer("engine")


def test_a_lost_device_is_told_in_one_line() -> None:
    made = enhancer()
    interpreted.before_estimate.append(interpreted.lose_the_device)
    with pytest.raises(DeviceError, match="illegal memory access") as error:
        enhanced(made, dark())
    assert "More advice" not in str(error.value)


@pytest.mark.parametrize("failure", ["run_out_of_memory", "lose_the_device"])
def test_auto_goes_on_with_the_processor_and_says_so(
    failure: str, caplog: pytest.LogCaptureFixture
) -> None:
    auto, processor = enhancer("auto"), enhancer("torch")
    enhanced(auto, dark())
    interpreted.before_estimate.append(getattr(interpreted, failure))
    with caplog.at_level(logging.WARNING, logger="zerodce_rt"):
        second = enhanced(auto, dark(1))
    assert gap(enhanced(processor, dark(1)), second) == 0
    assert auto.runner.name == "torch"
    (warning,) = caplog.records
    assert "going on with backend torch" in warning.getMessage()
    assert len(warning.getMessage().splitlines()) == 1
    assert gap(enhanced(processor, dark(2)), enhanced(auto, dark(2))) == 0


def test_frames_under_way_are_not_lost_with_the_device(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def lost(step: CUDAStep, slot: Slot) -> None:
        del step, slot
        interpreted.lose_the_device()

    auto, processor = enhancer("auto"), enhancer("torch")
    monkeypatch.setattr(CUDAStep, "wait", lost)
    frames = [dark(seed) for seed in range(3)]
    targets = [frame.empty_like() for frame in frames]
    waiting = [auto.begin(f, t) for f, t in zip(frames, targets, strict=True)]
    assert auto.runner.name == "gpu"
    with caplog.at_level(logging.WARNING, logger="zerodce_rt"):
        for finish in waiting:
            finish()
    for frame, target in zip(frames, targets, strict=True):
        assert gap(enhanced(processor, frame), target) == 0
    assert len(caplog.records) == 1


def test_a_command_that_asked_for_the_gpu_fails_and_leaves_nothing(
    make_video: VideoMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make_video(frames=4, size=(WIDTH, HEIGHT))
    options = (source, "--working-size", WORKING_SIZE, "--quiet", "-o", tmp_path / "out.mp4")
    # The check before all else and the first frame are well.
    failing = [interpreted.succeed, interpreted.succeed, interpreted.run_out_of_memory]
    interpreted.before_estimate += failing
    assert run("enhance", *options, "--backend", "gpu") == 1
    assert "out of memory" in one_line(capsys.readouterr().err)
    assert_nothing_left(tmp_path, "night.mp4")
    interpreted.before_estimate += failing
    assert run("enhance", *options) == 0
    assert "going on with backend torch" in one_line(capsys.readouterr().err)
    assert len(Probe(tmp_path / "out.mp4").frames) == 4


# Several ways to run a network


class Slow:
    """A network that takes its time, or fails."""

    device, map_count = agreement.DEVICE, 3

    def __init__(self, seconds: float, failure: Exception | None = None) -> None:
        self.seconds, self.failure, self.prepared = seconds, failure, 0

    def prepare(self, height: int, width: int) -> DeviceEstimate:
        del height, width
        self.prepared += 1
        return self._estimate

    def _estimate(self, image: Tensor, out: Tensor) -> None:
        if self.failure is not None:
            raise self.failure
        time.sleep(self.seconds)
        out.fill_(self.seconds)


@pytest.mark.skipif(agreement.HAS_GPU, reason="sleeping takes no time on a card")
def test_the_fastest_network_is_taken_and_remembered() -> None:
    slow, fast = Slow(0.05), Slow(0.01)
    broken = Slow(0, torch.cuda.OutOfMemoryError("2 GiB"))
    network = FastestNetwork({"slow": slow, "broken": broken, "fast": fast})
    image, out = torch.zeros((3, 4, 5)), torch.zeros((3, 4, 5))
    for _ in range(2):
        network.prepare(4, 5)(image, out)
        assert float(out[0, 0, 0]) == pytest.approx(0.01)
    assert slow.prepared == broken.prepared == 1
    network.prepare(8, 5)
    assert slow.prepared == 2
    alone = FastestNetwork({"broken": broken, "lost": Slow(0, RuntimeError("CUDA error"))})
    with pytest.raises(RuntimeError, match="CUDA error"):
        alone.prepare(4, 5)
