"""The enhancer, the file pipeline and the command line on the CUDA path.

In Triton's interpreter unless there is a card: the same code without graphs and streams.
"""

from __future__ import annotations

import gc
import logging
import subprocess
import time
import weakref
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

if find_spec("triton") is None:  # not imported before agreement.py has chosen the interpreter
    pytest.skip("Triton is not installed (it is for Linux)", allow_module_level=True)

from tests.conftest import VideoMaker, assert_nothing_left, one_line, run
from tests.support import agreement, interpreted
from tests.support.media import Probe
from tests.support.noise import gap, random_frame
from tests.support.published import random_checkpoint
from zerodce_rt.backends import BACKENDS, Backend
from zerodce_rt.backends.cuda import check as cuda_check
from zerodce_rt.backends.cuda.fastest import FastestNetwork
from zerodce_rt.backends.cuda.runner import CUDARunner
from zerodce_rt.backends.cuda.step import CUDAStep, Slot
from zerodce_rt.backends.cuda.winners import Winners
from zerodce_rt.backends.interfaces import DeviceEstimate, DeviceNetwork
from zerodce_rt.curve.control import ControlSettings
from zerodce_rt.curve.working_size import WorkingSize
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.errors import DeviceError, ZeroDCEError
from zerodce_rt.files import enhance_video
from zerodce_rt.frame import Colour, Frame

# Small, since the interpreter is slow.
WIDTH, HEIGHT, WORKING_SIZE = 32, 4, 16


@pytest.fixture(autouse=True)
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """``auto`` finds the CUDA path, and after it PyTorch on the CPU."""
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
    settings: dict[str, Any] = {"model": "plus", "working_size": WORKING_SIZE, "denoise": 0}
    return Enhancer(backend=backend, threads=1, **(settings | options))


def dark(seed: int = 0, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Frame:
    return agreement.dark_frame("yuv420p", *size, seed)


def enhanced(enhancer: Enhancer, frame: Frame, seconds: float | None = None) -> Frame:
    target = frame.empty_like()
    enhancer.enhance(frame, target, seconds=seconds)
    return target


def test_arrays_and_tensors_become_what_the_cpu_makes_of_them() -> None:
    picture = np.random.default_rng(0).integers(0, 60, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    auto = enhancer("auto")
    got, expected = auto(picture, order="bgr"), enhancer("torch")(picture, order="bgr")
    assert isinstance(auto.runner, CUDARunner)
    assert auto.runner.name == "gpu"
    assert expected.mean() > 1.5 * picture.mean()
    assert np.abs(got.astype(int) - expected).max() <= 2
    tensor = torch.from_numpy(picture).movedim(-1, 0).to(auto.runner.device)
    bright = auto(tensor, order="bgr")
    assert bright.device == tensor.device
    np.testing.assert_array_equal(bright.movedim(0, -1).cpu(), got)


def test_several_frames_in_flight_follow_one_another_in_time() -> None:
    frames = [dark(seed) for seed in range(3)]
    options: dict[str, Any] = {"smoothing_seconds": 0.1}
    gpu, cpu = enhancer(**options), enhancer("torch", **options)
    targets = [frame.empty_like() for frame in frames]
    in_flight = [
        gpu.begin(frame, target, seconds=number / 30)
        for number, (frame, target) in enumerate(zip(frames, targets, strict=True))
    ]
    for finish in in_flight:
        finish()
    for number, (frame, target) in enumerate(zip(frames, targets, strict=True)):
        assert gap(enhanced(cpu, frame, number / 30), target) <= 2


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


def test_closing_frees_the_memory_of_every_size() -> None:
    network = interpreted.create(random_checkpoint("plus"), exact=False)
    runner = CUDARunner("gpu", network, WorkingSize(WORKING_SIZE))
    assert runner.device == agreement.DEVICE
    for frame in (dark(), dark(size=(20, 2))):
        runner.begin(frame, frame.empty_like(), ControlSettings(), None)()
    steps = [weakref.ref(step) for step in runner._steps.values()]
    assert len(steps) == 2
    runner.close()
    runner.close()
    gc.collect()
    assert not any(step() for step in steps)


def test_closing_waits_for_frames_in_flight_and_survives_a_lost_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[str] = []

    def lost(step: CUDAStep) -> None:
        calls.append("synchronise")
        interpreted.lose_the_device()

    monkeypatch.setattr(CUDAStep, "synchronise", lost)
    with enhancer() as made:
        enhanced(made, dark())
    assert calls == ["synchronise"]


def test_a_gpu_that_computes_nonsense_is_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tests.support.interpreted.scale", -3.0)
    with pytest.raises(DeviceError, match=r"gpu: its picture differs from the CPU's by [0-9.]+"):
        enhancer()
    assert enhancer("auto").runner.name == "torch"
    assert "falling back to backend torch" in caplog.text


def test_strength_may_change_between_frames() -> None:
    frame, made = dark(), enhancer()
    full = enhanced(made, frame)
    made.strength = 0
    assert gap(enhanced(made, frame), frame) == 0
    made.strength = 1
    assert gap(enhanced(made, frame), full) == 0


# Files


def test_a_whole_file(make_video: VideoMaker, tmp_path: Path) -> None:
    source = make_video(frames=6, size=(WIDTH, HEIGHT), audio=1)
    results = []
    for backend in ("gpu", "torch"):
        output = tmp_path / f"{backend}.mp4"
        enhance_video(source, output, enhancer=enhancer(backend, smoothing_seconds=0.1))
        results.append(Probe(output))
    gpu, cpu = results
    assert gpu.pts == cpu.pts
    assert gpu.packets == cpu.packets
    assert gpu.level() > 1.5 * Probe(source).level()
    assert gpu.level() == pytest.approx(cpu.level(), abs=1)


def test_a_file_that_fails_between_two_good_ones_takes_no_slots_with_it(
    make_video: VideoMaker, tmp_path: Path
) -> None:
    """All have one size, and so share a step."""
    good = make_video(frames=4, size=(WIDTH, HEIGHT))
    made = enhancer(smoothing_seconds=0.1)
    enhance_video(good, tmp_path / "first.mkv", enhancer=made)
    assert isinstance(made.runner, CUDARunner)
    [step] = made.runner._steps.values()
    slots = len(step._free)
    written = 0

    def fail(done: int, expected: int | None) -> None:
        nonlocal written
        del expected
        written = done
        if done == 2:
            raise ZeroDCEError("the disk is full")

    with pytest.raises(ZeroDCEError, match="the disk is full"):
        enhance_video(good, tmp_path / "second.mkv", enhancer=made, progress=fail)
    assert written == 2
    enhance_video(good, tmp_path / "third.mkv", enhancer=made)
    assert [*made.runner._steps.values()] == [step]
    assert len(step._free) == slots
    first, third = (Probe(tmp_path / f"{name}.mkv") for name in ("first", "third"))
    assert first.pts == third.pts
    assert third.level() == pytest.approx(first.level(), abs=0.1)


# A device that fails


def test_out_of_memory_is_reported_in_one_line() -> None:
    made = enhancer()
    interpreted.before_estimate.append(interpreted.run_out_of_memory)
    with pytest.raises(DeviceError, match=f"out of memory for frames of {WIDTH}x{HEIGHT}") as error:
        enhanced(made, dark())
    assert "`working_size`" in str(error.value)
    assert len(str(error.value).splitlines()) == 1


FAILURES = [
    subprocess.CalledProcessError(1, ["gcc"]), PermissionError(13, "Permission denied"),
    AssertionError("libcuda.so cannot found!"), ImportError("no launcher"),
]  # fmt: skip


@pytest.mark.parametrize("failure", FAILURES, ids=[type(f).__name__ for f in FAILURES])
def test_whatever_the_start_raises_is_a_reason_not_to_use_the_gpu(
    failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise failure

    interpreted.before_create.append(fail)
    assert enhancer("auto").runner.name == "torch"
    assert "falling back to backend torch" in caplog.text


def test_so_is_what_the_first_frame_of_a_size_raises(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise PermissionError(13, "Permission denied")

    made = enhancer("auto")
    interpreted.before_prepare.append(fail)
    assert gap(enhanced(made, dark()), enhanced(enhancer("torch"), dark())) == 0
    assert "Permission denied" in caplog.text
    assert "falling back to backend torch" in caplog.text


def test_nothing_of_a_first_attempt_is_kept_while_memory_is_sought() -> None:
    made, kept = enhancer(), []
    enhanced(made, dark())

    def run_out() -> None:
        buffer = torch.zeros(8)
        kept.append(weakref.ref(buffer))
        interpreted.run_out_of_memory()

    def look() -> None:
        assert kept[0]() is None

    interpreted.before_prepare += [run_out, look]
    enhanced(made, dark(size=(22, 2)))
    assert len(kept) == 1


def test_more_frames_than_slots_are_finished_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zerodce_rt.backends.cuda.step._MOST_SLOTS", 2)
    made, cpu = enhancer(), enhancer("torch")
    frames = [dark(seed) for seed in range(4)]
    targets = [frame.empty_like() for frame in frames]
    in_flight = [made.begin(f, t) for f, t in zip(frames, targets, strict=True)]
    for finish in reversed(in_flight):
        finish()
    for frame, target in zip(frames, targets, strict=True):
        assert gap(enhanced(cpu, frame), target) <= 2


def test_frames_that_nobody_waits_for_give_their_slots_back() -> None:
    made = enhancer()
    enhanced(made, dark())
    assert isinstance(made.runner, CUDARunner)
    [step] = made.runner._steps.values()
    slots = len(step._free)
    targets = [dark(seed).empty_like() for seed in range(3)]
    for seed, target in enumerate(targets):
        made.begin(dark(seed), target)
    assert len(step._free) == slots - 3
    made.reset()
    assert len(step._free) == slots
    assert gap(targets[2], enhanced(made, dark(2))) == 0


def test_large_frames_have_fewer_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = dark()
    monkeypatch.setattr("zerodce_rt.backends.cuda.step._MOST_PINNED_BYTES", 4096)
    network = interpreted.create(random_checkpoint("plus"), exact=False)
    step = CUDAStep(network, frame, frame, WorkingSize(WORKING_SIZE), max_level=0.5)
    assert len(step._free) == 2  # 521 and 513 bytes, rounded up to 1024 each


def test_a_new_size_may_take_the_memory_of_others() -> None:
    made, frame = enhancer(), dark(size=(20, 2))
    expected = enhanced(made, frame)
    enhanced(made, dark())
    interpreted.before_prepare.append(interpreted.run_out_of_memory)
    assert gap(enhanced(made, dark(size=(22, 2))), dark(size=(22, 2))) > 0
    assert isinstance(made.runner, CUDARunner)
    assert len(made.runner._steps) == 1
    assert gap(enhanced(made, frame), expected) == 0


def test_a_gpu_that_fails_at_the_start_is_reported() -> None:
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


def test_auto_falls_back_to_the_next_backend_of_the_gpu(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    backends = {n: Backend(n, "tests.support.interpreted", on_gpu=True) for n in ("engine", "gpu")}
    backends["torch"] = BACKENDS["torch"]
    monkeypatch.setattr("zerodce_rt.backends.BACKENDS", backends)
    interpreted.before_create.append(interpreted.reject)
    made = enhancer("auto")
    assert made.runner.name == "gpu"
    assert "its maps differ" in caplog.text
    assert "falling back to backend gpu" in caplog.text
    interpreted.before_create.append(interpreted.reject)
    with pytest.raises(DeviceError, match="its maps differ"):
        enhancer("engine")


def test_a_lost_device_is_reported_in_one_line() -> None:
    made = enhancer()
    interpreted.before_estimate.append(interpreted.lose_the_device)
    with pytest.raises(DeviceError, match="illegal memory access") as error:
        enhanced(made, dark())
    assert "More advice" not in str(error.value)


@pytest.mark.parametrize("failure", ["run_out_of_memory", "lose_the_device"])
def test_auto_falls_back_to_the_cpu_and_says_so(
    failure: str, caplog: pytest.LogCaptureFixture
) -> None:
    auto, cpu = enhancer("auto"), enhancer("torch")
    enhanced(auto, dark())
    interpreted.before_estimate.append(getattr(interpreted, failure))
    with caplog.at_level(logging.WARNING, logger="zerodce_rt"):
        second = enhanced(auto, dark(1))
    assert gap(enhanced(cpu, dark(1)), second) == 0
    assert auto.runner.name == "torch"
    (warning,) = caplog.records
    assert "falling back to backend torch" in warning.getMessage()
    assert len(warning.getMessage().splitlines()) == 1
    assert gap(enhanced(cpu, dark(2)), enhanced(auto, dark(2))) == 0


def test_pq_in_rgb_goes_to_the_cpu(caplog: pytest.LogCaptureFixture) -> None:
    frame = random_frame("rgb48le", 64, 48, Colour("bt2020", transfer="pq"))
    frame.planes[0][:] //= 4  # dark
    auto, cpu = enhancer("auto"), enhancer("torch")
    with caplog.at_level(logging.WARNING, logger="zerodce_rt"):
        assert gap(enhanced(auto, frame), enhanced(cpu, frame)) == 0
    assert "does not enhance PQ (HDR10) frames of format rgb48le" in caplog.text
    assert "falling back to backend torch" in caplog.text
    with pytest.raises(DeviceError, match="`backend='openvino'` does"):
        enhanced(enhancer(), frame)


def test_frames_in_flight_are_not_lost_with_the_device(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def lost(step: CUDAStep, slot: Slot) -> None:
        del step, slot
        interpreted.lose_the_device()

    auto, cpu = enhancer("auto"), enhancer("torch")
    monkeypatch.setattr(CUDAStep, "wait", lost)
    frames = [dark(seed) for seed in range(3)]
    targets = [frame.empty_like() for frame in frames]
    in_flight = [auto.begin(f, t) for f, t in zip(frames, targets, strict=True)]
    assert auto.runner.name == "gpu"
    with caplog.at_level(logging.WARNING, logger="zerodce_rt"):
        for finish in in_flight:
            finish()
    for frame, target in zip(frames, targets, strict=True):
        assert gap(enhanced(cpu, frame), target) == 0
    assert len(caplog.records) == 1


def test_a_command_that_asked_for_the_gpu_fails_and_leaves_nothing(
    make_video: VideoMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make_video(frames=4, size=(WIDTH, HEIGHT))
    options = (source, "--working-size", WORKING_SIZE, "--denoise", 0, "--quiet",
               "--model", "plus", "-o", tmp_path / "out.mp4")  # fmt: skip
    # The check at the start and the first frame pass.
    failing = [interpreted.succeed, interpreted.succeed, interpreted.run_out_of_memory]
    interpreted.before_estimate += failing
    assert run("enhance", *options, "--backend", "gpu") == 1
    error = one_line(capsys.readouterr().err)
    assert "out of memory" in error
    assert "--working-size" in error
    assert "--backend openvino" in error
    assert_nothing_left(tmp_path, "night.mp4")
    interpreted.before_estimate += failing
    assert run("enhance", *options) == 0
    assert "falling back to backend torch" in one_line(capsys.readouterr().err)
    assert len(Probe(tmp_path / "out.mp4").frames) == 4


def test_the_default_model_and_its_denoiser_run_on_the_card(
    caplog: pytest.LogCaptureFixture,
) -> None:
    options: dict[str, Any] = {"model": None, "denoise": 1, "smoothing_seconds": 0.1}
    frames = [agreement.dark_frame("yuyv422", 48, 24, seed) for seed in range(2)]
    with caplog.at_level(logging.WARNING, logger="zerodce_rt"):
        gpu, cpu = enhancer(**options), enhancer("torch", **options)
        noisy = enhancer("torch", **(options | {"denoise": 0}))
        for number, frame in enumerate(frames):
            got = enhanced(gpu, frame, number / 30)
            assert gap(enhanced(cpu, frame, number / 30), got) <= 4
            assert gap(enhanced(noisy, frame, number / 30), got) > 20, "no noise was removed"
    assert gpu.model == "light"
    assert gpu.device is not None
    assert not caplog.records


@pytest.mark.skipif(not agreement.THOROUGH, reason="takes a minute each; test_denoiser has fields")
@pytest.mark.parametrize("name", ["yuyv422", "yuv420p", "nv12", "yuv422p10le"])
def test_fields_of_interlaced_video_are_cleaned_as_on_the_cpu(name: str) -> None:
    """Several frames in flight, then a cut, and a reset."""
    options: dict[str, Any] = {"model": None, "denoise": 1, "smoothing_seconds": 0.1}
    gpu, cpu = enhancer(**options), enhancer("torch", **options)
    noisy = enhancer("torch", **(options | {"denoise": 0}))
    frames = [
        replace(agreement.dark_frame(name, 47, 46, seed), interlaced=True) for seed in range(3)
    ]
    frames[1].planes[0][:] = frames[1].planes[0] // 4 * 7  # brighter: a cut
    unit = 2 ** (frames[0].format.bits - 8)

    def check(number: int, got: Frame) -> None:
        expected, unfiltered = (enhanced(e, frames[number], number / 30) for e in (cpu, noisy))
        assert gap(expected, got) <= 4 * unit
        assert gap(unfiltered, got) > 20 * unit, "no noise was removed"

    targets = [frame.empty_like() for frame in frames]
    in_flight = [gpu.begin(frames[n], targets[n], seconds=n / 30) for n in range(2)]
    for number, finish in enumerate(in_flight):
        finish()
        check(number, targets[number])
    for made in (gpu, cpu, noisy):
        made.reset()
    check(2, enhanced(gpu, frames[2], 2 / 30))


@pytest.mark.skipif(not agreement.THOROUGH, reason="takes half a minute")
def test_progressive_frames_of_a_video_are_not_taken_for_fields() -> None:
    options: dict[str, Any] = {"model": None, "denoise": 1}
    gpu, cpu = enhancer(**options), enhancer("torch", **options)
    for number in range(3):
        frame = replace(dark(number), interlaced=number == 1)
        got = enhanced(gpu, frame, number / 30)
        assert gap(enhanced(cpu, frame, number / 30), got) <= 4


@pytest.mark.parametrize(
    ("size", "working_size"), [((96, 48), "full"), ((48, 24), "full"), ((48, 25), "1/2")]
)
def test_noise_is_removed_at_published_working_sizes(
    size: tuple[int, int], working_size: str
) -> None:
    options: dict[str, Any] = {"working_size": working_size, "denoise": 1}
    gpu, cpu = enhancer(**options), enhancer("torch", **options)
    noisy = enhancer("torch", **(options | {"denoise": 0}))
    for number in range(2):
        frame = dark(number, size)
        got, expected, unfiltered = (
            enhanced(e, frame, number / 30) for e in (gpu, cpu, noisy)
        )  # fmt: skip
        assert gap(expected, got) <= 4
        assert gap(unfiltered, got) > 20, "no noise was removed"


# Several networks to choose from


class Slow:
    """A network that sleeps, or fails."""

    def __init__(self, seconds: float, failure: Exception | None = None) -> None:
        self.device, self.map_count = agreement.DEVICE, 3
        self.knots: tuple[float, ...] = ()
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
def test_the_fastest_network_is_chosen_and_remembered(tmp_path: Path) -> None:
    slow, fast = Slow(0.05), Slow(0.01)
    broken = Slow(0, torch.cuda.OutOfMemoryError("2 GiB"))
    winners = Winners(tmp_path, "a card")
    networks: dict[str, DeviceNetwork] = {"slow": slow, "broken": broken, "fast": fast}
    network = FastestNetwork(networks, winners, small=0)
    image, out = torch.zeros((3, 4, 5)), torch.zeros((3, 4, 5))
    for _ in range(2):
        network.prepare(4, 5)(image, out)
        assert float(out[0, 0, 0]) == pytest.approx(0.01)
    assert slow.prepared == broken.prepared == 1
    network.prepare(8, 5)
    assert slow.prepared == 2
    assert network.chosen == {(4, 5): "fast", (8, 5): "fast"}
    FastestNetwork(networks, winners, small=0).prepare(8, 5)
    assert slow.prepared == 2, "another process need not time them again"
    FastestNetwork(networks, Winners(tmp_path, "another card"), small=0).prepare(8, 5)
    assert slow.prepared == 3
    lost: dict[str, DeviceNetwork] = {
        "broken": broken, "lost": Slow(0, RuntimeError("CUDA error"))
    }  # fmt: skip
    alone = FastestNetwork(lost, Winners(None), small=0)
    with pytest.raises(RuntimeError, match="CUDA error"):
        alone.prepare(4, 5)
