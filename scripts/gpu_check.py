"""Check the CUDA path on an NVIDIA GPU against the reference, then measure how fast it is.

    python scripts/gpu_check.py [-o FOLDER] [--seconds 2]

Needs PyTorch, Triton, NumPy and OpenCV; to check video, PyAV and safetensors as well. Runs every
check of ``tests/support/agreement.py``, measures, prints a table, and writes ``gpu_check.json``
and ``gpu_check.png`` to the folder. Exit code 1 if a check fails.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
import triton

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.support import agreement
from tests.support.noise import random_frame, random_maps
from tests.support.published import random_checkpoint
from zerodce_rt.backends.cuda.applier import apply_curve
from zerodce_rt.backends.cuda.backend import create
from zerodce_rt.backends.cuda.buffers import frame_buffer
from zerodce_rt.backends.cuda.cudnn_network import CuDNNNetwork
from zerodce_rt.backends.cuda.driver import this_target
from zerodce_rt.backends.cuda.fastest import graphed, seconds_a_call
from zerodce_rt.backends.cuda.runner import CUDARunner
from zerodce_rt.backends.cuda.step import CUDAStep
from zerodce_rt.backends.cuda.triton_network import TritonNetwork
from zerodce_rt.backends.interfaces import DeviceNetwork
from zerodce_rt.bench.stages import IN_FLIGHT, STREAM, stream
from zerodce_rt.curve.control import ControlSettings
from zerodce_rt.curve.maps import iterate
from zerodce_rt.curve.working_size import WorkingSize
from zerodce_rt.frame import Colour, Frame
from zerodce_rt.network.model import MODELS

if TYPE_CHECKING:
    from zerodce_rt.backends.tensorrt.engines import EngineCache

Run = Callable[[], object]
WIDTH, HEIGHT = 1920, 1080
SETTINGS = ControlSettings(smoothing_seconds=0.25, max_level=0.5)


@dataclass(frozen=True)
class Figure:
    """One measurement, and its goals.

    Attributes:
        value: in ``unit``; times are medians.
        must, want: the value that is required, and a better one to aim for.
        larger: larger values are better.
    """

    what: str
    value: float
    unit: str
    must: float | None = None
    want: float | None = None
    larger: bool = False

    @property
    def verdict(self) -> str:
        for name, bound in (("want", self.want), ("must", self.must)):
            if bound is not None and (self.value >= bound if self.larger else self.value <= bound):
                return f"{name} met"
        return "MISSED" if self.must is not None else ""


@lru_cache(maxsize=1)
def checks() -> list[agreement.Check]:
    return [*agreement.all_checks(), *video_checks()]


def failure_of(number: int) -> str | None:
    """Run one of the checks; returns a line if it fails. Runs in a process of its own."""
    check = checks()[number]
    try:
        check.run()
    except Exception as error:
        if not isinstance(error, AssertionError):
            traceback.print_exc()
        reason = " ".join(str(error).split())
        return f"{check.name}: {type(error).__name__}: {reason}"
    return None


def check_all() -> list[str]:
    """Run every check, in several processes, since most of the time is spent in the compiler.

    Returns:
        The failures, a line each.
    """
    failures, started, count = [], time.monotonic(), len(checks())
    workers = min(8, os.cpu_count() or 1)
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        for number, failure in enumerate(pool.map(failure_of, range(count)), start=1):
            if failure is not None:
                failures.append(failure)
                print(f"FAILED {failure}", flush=True)
            if number % 50 == 0 or number == count:
                rate = number / (time.monotonic() - started)
                print(f"{number}/{count} checks, {rate:.1f} a second", flush=True)
    return failures


def missing_for_video() -> list[str]:
    return [name for name in ("av", "safetensors") if find_spec(name) is None]


def video_checks() -> Iterator[agreement.Check]:
    """Checks of NVDEC and whole files, if the packages for video are installed."""
    if missing_for_video():
        return
    from tests.support import hardware

    for pix_fmt, codec in (("yuv420p", "libx264"), ("yuv420p10le", "libx265")):
        run = partial(hardware.decoded_frames_agree, pix_fmt, codec)
        yield agreement.Check(f"NVDEC {codec} {pix_fmt}", run)

    def whole_files() -> None:
        with tempfile.TemporaryDirectory() as folder:
            hardware.whole_files_agree(Path(folder))

    yield agreement.Check("whole files with and without --hwaccel", whole_files)


def device_us(run: Run, seconds: float, *, calls: int = 20) -> float:
    """Median time of one call on the device, in microseconds; a sample is the mean of a few."""
    for _ in range(3):
        run()
    torch.cuda.synchronize()
    times: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(times) < 5:
        times.append(1e6 * seconds_a_call(run, calls))
    return float(np.median(times))


def measure(seconds: float, remarks: list[str]) -> Iterator[Figure]:
    """All figures; a line for each that cannot be measured is added to ``remarks``."""
    device = agreement.DEVICE
    frame = random_frame("nv12", WIDTH, HEIGHT, Colour())
    source, target = (frame_buffer(frame, device).frame for _ in range(2))
    full = torch.ones(1, device=device)

    maps = torch.rand((24, HEIGHT, WIDTH), device=device).half() * 2 - 1
    kernel = graphed(partial(apply_curve, source, maps, target, gain=full))
    kernel_us = device_us(kernel, seconds)
    yield Figure("curve kernel, 24 full-size maps, NV12", kernel_us, "us", 45, 32)
    image = torch.rand((3, HEIGHT, WIDTH), device=device).half()
    eager_us = device_us(partial(iterate, image, maps), seconds, calls=5)
    yield Figure("the eight iterations in eager PyTorch, RGB", eager_us, "us")
    yield Figure("eager PyTorch to kernel", eager_us / kernel_us, "x", 10, 25, larger=True)
    for count in (3, 24):
        values = torch.from_numpy(random_maps(count // 3, 36, 64).values).half().to(device)
        small = graphed(partial(apply_curve, source, values, target, gain=full))
        yield Figure(f"curve kernel, {count} maps of 64x36, NV12", device_us(small, seconds), "us")
    yield from networks(seconds, remarks)

    for model, size, must, want in (
        ("plus", "64", 100.0, 40.0),
        ("dcenet", "64", None, None),
        ("dcenet", "full", 1600.0, 800.0),
    ):
        network = create(random_checkpoint(model), exact=False)
        step = CUDAStep(network, frame, frame, WorkingSize.parse(size), SETTINGS.max_level)
        took = device_us(step.take_slot().graph.replay, seconds)
        yield Figure(f"{model} at {size}, NV12 to NV12, one graph", took, "us", must, want)
        if (model, size) == ("plus", "64"):
            rate = throughput(step, seconds)
            what = "plus at 64, from and to pinned memory"
            yield Figure(what, rate, "fps", 2000, 5000, larger=True)
    runner = CUDARunner("cuda", create(random_checkpoint("plus"), exact=False), WorkingSize(64))
    yield Figure("plus at 64, from and to any memory", frame_rate(runner, frame, seconds), "fps")


def networks(seconds: float, remarks: list[str]) -> Iterator[Figure]:
    """The networks alone, by everything that can run them on this machine."""
    for model, height, width in (
        ("plus", 36, 64), ("dcenet", 36, 64), ("dcenet", HEIGHT, WIDTH),
        ("plus", HEIGHT, WIDTH), ("dcenet", 2 * HEIGHT, 2 * WIDTH),
    ):  # fmt: skip
        image = torch.rand((3, height, width), device=agreement.DEVICE).half()
        count = random_checkpoint(model).map_count
        out = torch.empty((count, height, width), device=agreement.DEVICE).half()
        for name, make in KINDS.items():
            try:
                took = device_us(graphed(make(model, image, out)), seconds)
            except Exception as error:
                words = " ".join(str(error).split())
                remarks.append(f"{name}, {model} {width}x{height}: {type(error).__name__}: {words}")
                print(remarks[-1], flush=True)
            else:
                yield Figure(f"network {model} {width}x{height}, {name}", took, "us")


def _prepared(network: DeviceNetwork, image: torch.Tensor, out: torch.Tensor) -> Run:
    return partial(network.prepare(*image.shape[1:]), image, out)


def by_triton(model: str, image: torch.Tensor, out: torch.Tensor) -> Run:
    return _prepared(TritonNetwork(random_checkpoint(model), image.device), image, out)


def by_cudnn(model: str, image: torch.Tensor, out: torch.Tensor) -> Run:
    return _prepared(CuDNNNetwork(random_checkpoint(model), image.device), image, out)


def by_tensorrt(model: str, image: torch.Tensor, out: torch.Tensor) -> Run:
    from zerodce_rt.backends.tensorrt.importing import load
    from zerodce_rt.backends.tensorrt.torch_tensorrt_network import TensorRTNetwork

    network = TensorRTNetwork(random_checkpoint(model), image.device, load(), engines())
    return _prepared(network, image, out)


def by_tensorrt_rtx(model: str, image: torch.Tensor, out: torch.Tensor) -> Run:
    """Also on cards that are not among ``TARGETS``, to find out whether it runs there."""
    from zerodce_rt.backends.tensorrt.rtx_engine import TARGETS
    from zerodce_rt.backends.tensorrt.rtx_network import RTXNetwork

    target = this_target() if this_target() in TARGETS else "current"
    network = RTXNetwork(random_checkpoint(model), image.device, target, engines())
    return _prepared(network, image, out)


@lru_cache(maxsize=1)
def engines() -> EngineCache:
    from zerodce_rt.backends.tensorrt.engines import EngineCache

    return EngineCache(Path(tempfile.mkdtemp()))


def by_torch_compile(model: str, image: torch.Tensor, out: torch.Tensor) -> Run:
    del out  # it allocates its own
    network: Any = MODELS[model]().eval().half().to(image.device)
    network = torch.compile(network.to(memory_format=torch.channels_last), dynamic=False)
    pictures = image[None].contiguous(memory_format=torch.channels_last)

    def run() -> None:
        with torch.inference_mode():
            network(pictures)

    return run


KINDS: dict[str, Callable[[str, torch.Tensor, torch.Tensor], Run]] = {
    "Triton": by_triton, "cuDNN": by_cudnn, "torch.compile": by_torch_compile,
    "TensorRT": by_tensorrt, "TensorRT-RTX": by_tensorrt_rtx,
}  # fmt: skip


def throughput(step: CUDAStep, seconds: float) -> float:
    """Frames a second from pinned memory to pinned memory."""
    slots = [step.take_slot() for _ in range(IN_FLIGHT)]
    frames, started = 0, time.monotonic()
    while time.monotonic() - started < seconds:
        for slot in slots:
            step.wait(slot)
            step.launch(slot, SETTINGS, frames / 60)
            frames += 1
    torch.cuda.synchronize()
    return frames / (time.monotonic() - started)


def frame_rate(runner: CUDARunner, frame: Frame, seconds: float) -> float:
    """Frames a second as in the program: with copies to and from pinned memory."""
    begin = partial(runner.begin, frame, frame.empty_like(), SETTINGS, None)
    stream(begin)
    frames, started = 0, time.monotonic()
    while time.monotonic() - started < seconds:
        stream(begin)
        frames += STREAM
    return frames / (time.monotonic() - started)


def draw(figures: list[Figure], path: Path, title: str) -> None:
    """Draw the figures that have a required value as bars: twice as good is twice as long."""
    shown = [f for f in figures if f.must is not None]
    image = np.full((60 + 48 * len(shown), 1000, 3), 255, np.uint8)

    def write(text: str, place: tuple[int, int], scale: float) -> None:
        font = cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(image, text, place, font, scale, (0, 0, 0), 1, cv2.LINE_AA)

    write(title, (10, 28), 0.6)
    for row, figure in enumerate(shown):
        top = 56 + 48 * row
        assert figure.must is not None
        better = figure.value / figure.must if figure.larger else figure.must / figure.value
        length = int(min(1.0, better / 4) * 960)
        colour = (90, 170, 60) if figure.verdict != "MISSED" else (60, 60, 210)
        cv2.rectangle(image, (10, top + 20), (10 + length, top + 38), colour, -1)
        cv2.line(image, (250, top + 16), (250, top + 42), (0, 0, 0), 1)
        text = f"{figure.what}: {figure.value:.4g} {figure.unit} (must {figure.must:g})"
        write(text, (10, top + 12), 0.5)
    cv2.imwrite(str(path), image)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("gpu_check"), metavar="FOLDER")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each measurement")
    options = parser.parse_args()
    if not agreement.HAS_GPU:
        print("PyTorch finds no NVIDIA GPU here; 'pytest tests/backends/cuda' needs none")
        return 1
    options.output.mkdir(parents=True, exist_ok=True)
    card = torch.cuda.get_device_name()
    versions = f"torch {torch.__version__}, Triton {triton.__version__}, CUDA {torch.version.cuda}"
    print(f"{card}; {versions}; Python {platform.python_version()}", flush=True)
    if missing := missing_for_video():
        print(f"video is not checked; pip install {' '.join(missing)}", flush=True)
    failures = check_all()
    figures: list[Figure] = []
    remarks: list[str] = []
    for figure in measure(options.seconds, remarks):
        print(f"{figure.what}: {figure.value:.1f} {figure.unit} {figure.verdict}", flush=True)
        figures.append(figure)
    results = {
        "command": " ".join(["python", *sys.argv]), "card": card, "versions": versions,
        "failures": failures, "remarks": remarks,
        "figures": [asdict(f) | {"verdict": f.verdict} for f in figures],
    }  # fmt: skip
    (options.output / "gpu_check.json").write_text(json.dumps(results, indent=1) + "\n")
    draw(figures, options.output / "gpu_check.png", f"{card}, {WIDTH}x{HEIGHT}; line: must")
    print(f"\n{'':<48}{'':>12}{'must':>8}{'want':>8}")
    for f in figures:
        bounds = "".join(f"{'' if b is None else format(b, 'g'):>8}" for b in (f.must, f.want))
        print(f"{f.what:<48}{f.value:>8.1f} {f.unit:<3}{bounds}  {f.verdict}")
    print(f"agreement: {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
