"""What is measured, as jobs: one that fails leaves the others as they are."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch

from gpu_checking import networks, program
from gpu_checking.checks import unchained
from gpu_checking.report import L2, Fact, Figure
from gpu_checking.timing import (
    Run,
    copies_beyond_l2,
    device_us,
    flushed_us,
    recorded_us,
    turns_us,
)
from tests.support import agreement
from tests.support.noise import random_frame, random_maps
from tests.support.published import random_checkpoint
from tests.support.worker_pool import Job
from zerodce_rt.backends.cuda.applier import apply_curve, fill_thumbnail
from zerodce_rt.backends.cuda.backend import candidates
from zerodce_rt.backends.cuda.buffers import frame_buffer
from zerodce_rt.backends.cuda.driver import current_device, nvidia_smi
from zerodce_rt.backends.cuda.fastest import FastestNetwork
from zerodce_rt.backends.cuda.runner import CUDARunner
from zerodce_rt.backends.cuda.step import CUDAStep
from zerodce_rt.backends.cuda.winners import Winners
from zerodce_rt.bench.stages import IN_FLIGHT, STREAM, stream
from zerodce_rt.curve.control import ControlSettings
from zerodce_rt.curve.maps import iterate
from zerodce_rt.curve.working_size import WorkingSize
from zerodce_rt.frame import Colour, Frame
from zerodce_rt.names import DEFAULT_MODEL

WIDTH, HEIGHT = 1920, 1080
MAP_SIZE = 36, 64
# After so long at work, a card's clocks are what they stay at.
_BUSY_SECONDS = 1.0
SETTINGS = ControlSettings(smoothing_seconds=0.25, max_level=0.5, denoise=1)
# What the card reports of itself, to judge the figures by.
_CARD = "name", "driver_version", "memory.total", "power.limit", "pcie.link.gen.max"
_STATE = (
    "clocks.sm", "clocks.max.sm", "clocks.mem", "clocks.max.mem", "temperature.gpu", "power.draw",
    "pcie.link.gen.current", "pcie.link.width.current",
)  # fmt: skip


def figure_jobs(seconds: float) -> list[Job]:
    """All figures, the promised ones first.

    Args:
        seconds: for each measurement.
    """
    limit = 60 + 10 * seconds
    jobs = [
        Job("the card", card_facts, 60),
        Job("curve kernel, full-size maps", partial(full_maps, seconds), limit),
    ]
    for model, size, must, want in (
        (DEFAULT_MODEL, "64", 100.0, 40.0),
        ("plus", "64", 100.0, 40.0),
        ("dcenet", "full", 1600.0, 800.0),
        ("dcenet", "64", None, None),
        ("plus", "full", None, None),
    ):
        run = partial(whole_graph, model, size, must, want, seconds)
        jobs.append(Job(f"{model} at {size}, one graph", run, limit))
    jobs += [
        Job("frames a second", partial(rates, seconds), limit),
        Job("curve kernel, small maps", partial(small_maps, seconds), limit),
        Job("thumbnail kernels", partial(thumbnails, seconds), limit),
        Job("PCIe", partial(program.pcie, seconds), limit),
        Job("time to the first frame", program.first_frames, 240),
        *networks.jobs(seconds),
    ]
    return jobs


def card_facts() -> Iterator[Fact]:
    """The card, and its clocks while it is busy."""
    properties: Any = torch.cuda.get_device_properties(torch.cuda.current_device())
    yield Fact("compute capability", f"{properties.major}.{properties.minor}")
    yield Fact("multiprocessors", str(properties.multi_processor_count))
    yield Fact("L2 cache, bytes", str(getattr(properties, "L2_cache_size", "unknown")))
    for field, value in _reported(_CARD):
        yield Fact(field, value)
    for field, value in _reported(_STATE):
        yield Fact(f"idle: {field}", value)
    matrix = torch.ones((4096, 4096), device=agreement.DEVICE, dtype=torch.float16)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(_busy_state)
        while not asked.done():
            for _ in range(20):
                matrix @ matrix
            torch.cuda.synchronize()
    for field, value in asked.result():
        yield Fact(f"busy: {field}", value)


def _busy_state() -> list[tuple[str, str]]:
    time.sleep(_BUSY_SECONDS)
    return list(_reported(_STATE))


def _reported(fields: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """What ``nvidia-smi`` says of the cards that it lists: those of several are divided by |."""
    cards = [line.split(", ") for line in nvidia_smi(*fields)]
    for number, field in enumerate(fields):
        yield field, " | ".join(c[number] for c in cards if len(c) == len(fields)) or "unknown"


def frames_on_card(count: int) -> list[tuple[Frame, Frame]]:
    """Sources of noise and targets, each with memory of its own."""
    noise = random_frame("nv12", WIDTH, HEIGHT, Colour())
    pairs = []
    for _ in range(count):
        source, target = (frame_buffer(noise, agreement.DEVICE).frame for _ in range(2))
        for plane in source.planes:
            plane.random_(0, 256)  # type: ignore[attr-defined]
        pairs.append((source, target))
    return pairs


def full_maps(seconds: float) -> Iterator[Figure]:
    """The promised speed of the curve. Its maps are read from memory: 106 MB in all."""
    gain = torch.ones(1, device=agreement.DEVICE)
    count = copies_beyond_l2(24 * WIDTH * HEIGHT * 2)
    maps = [
        torch.rand((24, HEIGHT, WIDTH), device=agreement.DEVICE).half() * 2 - 1
        for _ in range(count)
    ]
    runs: list[Run] = [
        partial(apply_curve, source, values, target, gain=gain)
        for values, (source, target) in zip(maps, frames_on_card(count), strict=True)
    ]
    kernel = recorded_us(runs, seconds)
    yield Figure("curve kernel, 24 full-size maps, NV12", kernel, "us", 45, 32, l2="flushed")
    moved = 2 * 24 * WIDTH * HEIGHT + 2 * 1.5 * WIDTH * HEIGHT
    yield Figure("the same, memory read and written", moved / kernel / 1000, "GB/s", l2="flushed")
    image = torch.rand((3, HEIGHT, WIDTH), device=agreement.DEVICE).half()
    eager = turns_us([partial(iterate, image, values) for values in maps], seconds, calls=count)
    yield Figure("the eight iterations in eager PyTorch, RGB", eager, "us", l2="flushed")
    ratio = eager / kernel
    yield Figure("eager PyTorch to kernel", ratio, "x", 10, 25, larger=True, l2="flushed")


def small_maps(seconds: float) -> Iterator[Figure]:
    gain = torch.ones(1, device=agreement.DEVICE)
    pairs = frames_on_card(copies_beyond_l2(3 * WIDTH * HEIGHT))
    for count in (3, 24):
        values = torch.from_numpy(random_maps(count // 3, *MAP_SIZE).values).half()
        maps = values.to(agreement.DEVICE)
        runs: list[Run] = [partial(apply_curve, a, maps, b, gain=gain) for a, b in pairs]
        yield from _both(f"curve kernel, {count} maps of 64x36, NV12", runs, seconds)


def thumbnails(seconds: float) -> Iterator[Figure]:
    pairs = frames_on_card(copies_beyond_l2(3 * WIDTH * HEIGHT // 2))
    for what, size in (("64x36", MAP_SIZE), ("full size", (HEIGHT, WIDTH))):
        out = torch.empty((3, *size), dtype=torch.float16, device=agreement.DEVICE)
        runs: list[Run] = [partial(fill_thumbnail, a, out) for a, _ in pairs]
        yield from _both(f"thumbnail of {what}, NV12", runs, seconds)


def _both(what: str, runs: list[Run], seconds: float) -> Iterator[Figure]:
    """A kernel's time with its frame in the L2 cache, and with another one in turn."""
    yield Figure(what, recorded_us(runs[:1], seconds), "us", l2="hot")
    yield Figure(what, recorded_us(runs, seconds), "us", l2="flushed")


def fastest(model: str) -> FastestNetwork:
    """As the backend makes it, but it remembers nothing of other runs."""
    return FastestNetwork(candidates(random_checkpoint(model), current_device()), Winners(None))


def new_step(model: str, size: str) -> tuple[CUDAStep, Any]:
    """A step for 1080p NV12 and its network."""
    network = fastest(model)
    frame = random_frame("nv12", WIDTH, HEIGHT, Colour())
    working_size = WorkingSize.parse(size)
    step = CUDAStep(
        network, frame, frame, working_size, SETTINGS.max_level,
        denoise=not working_size.published,
    )  # fmt: skip
    return step, network


def whole_graph(
    model: str, size: str, must: float | None, want: float | None, seconds: float
) -> Iterator[Figure | Fact]:
    """From frame to frame on the card: what one graph takes."""
    step, network = new_step(model, size)
    chosen: dict[tuple[int, int], str] = getattr(network, "chosen", {})
    named = ", ".join(f"{name} for {w}x{h}" for (h, w), name in chosen.items())
    yield Fact(f"network of {model} at {size}", named or "not told")
    what = f"{model} at {size}, NV12 to NV12, one graph"
    slot = step.take_slot()  # whose memory the graph uses
    replay = slot.graph.replay
    cache: L2 = "exceeded" if size == "full" else "hot"
    yield Figure(what, device_us(replay, seconds), "us", must, want, l2=cache)
    if cache == "hot":
        yield Figure(what, flushed_us(replay, seconds), "us", l2="flushed")
        with unchained():
            step, _ = new_step(model, size)
        slot = step.take_slot()
        alone = device_us(slot.graph.replay, seconds)
        yield Figure(f"{what}, each kernel after the other", alone, "us", l2="hot")


def rates(seconds: float) -> Iterator[Figure]:
    """Frames a second, and what the host does for one."""
    step, _ = new_step("plus", "64")
    slots = [step.take_slot() for _ in range(IN_FLIGHT)]
    for slot in slots:
        step.launch(slot, SETTINGS, 0.0)
    frames, started, cpu = 0, time.monotonic(), time.process_time()
    while time.monotonic() - started < seconds:
        for slot in slots:
            step.wait(slot)
            step.launch(slot, SETTINGS, frames / 60)
            frames += 1
    torch.cuda.synchronize()
    wall, cpu = time.monotonic() - started, time.process_time() - cpu
    what = "plus at 64, from and to pinned memory"
    yield Figure(what, frames / wall, "fps", 2000, 5000, larger=True)
    yield Figure("the same, CPU time of a frame", 1e6 * cpu / frames, "us")

    # One at a time: what a frame takes until it is back, of which most is waiting.
    times = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        before = time.perf_counter()
        step.launch(slots[0], SETTINGS, frames / 60)
        step.wait(slots[0])
        times.append(1e6 * (time.perf_counter() - before))
    yield Figure("the same, one frame alone, from launch to result", float(np.median(times)), "us")

    runner = CUDARunner("cuda", fastest("plus"), WorkingSize(64))
    frame = random_frame("nv12", WIDTH, HEIGHT, Colour())
    begin = partial(runner.begin, frame, frame.empty_like(), SETTINGS, None)
    stream(begin)
    frames, started, cpu = 0, time.monotonic(), time.process_time()
    while time.monotonic() - started < seconds:
        stream(begin)
        frames += STREAM
    wall, cpu = time.monotonic() - started, time.process_time() - cpu
    yield Figure("plus at 64, from and to any memory", frames / wall, "fps")
    yield Figure("the same, CPU time of a frame from any memory", 1e6 * cpu / frames, "us")
