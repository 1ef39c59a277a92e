"""One frame in memory, stage by stage."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.backends.cpu.runner import CPURunner
from zerodce_rt.bench.baselines import gamma_lookup, pass_through, published_plus
from zerodce_rt.bench.timing import Timing, measure
from zerodce_rt.curve.maps import CurveMaps
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.frame import FORMATS, Colour, Frame, plane_shapes
from zerodce_rt.network.checkpoint import load_bundled

STREAM, _UNDER_WAY = 32, 4


@dataclass(frozen=True)
class FrameResult:
    """One combination, frames in memory.

    Attributes:
        stages: thumbnail, estimate, control, apply, and ``whole``, which is all of them as the
            enhancer runs them. On a GPU the first four are one graph and cannot be told apart;
            there is ``stream`` instead, ``STREAM`` frames that are under way together.
        baselines: pass-through, gamma look-up, and the published design in PyTorch.
        estimate_gflops: arithmetic of the network, in 10^9 operations a second; None on a GPU.
        apply_gbs: bytes of the frame read and written by the kernel, in 10^9 a second; None on a
            GPU.
    """

    size: str
    width: int
    height: int
    format: str
    model: str
    backend: str
    stages: dict[str, Timing]
    baselines: dict[str, Timing]
    estimate_gflops: float | None
    apply_gbs: float | None

    @property
    def fps(self) -> float:
        """Frames a second, as many under way as the device takes."""
        if "stream" in self.stages:
            return 1000 * STREAM / self.stages["stream"].median_ms
        return 1000 / self.stages["whole"].median_ms

    @property
    def times_published(self) -> float:
        """How many times as fast as the published design."""
        return self.baselines["published"].median_ms / self.stages["whole"].median_ms


def measure_frame(
    enhancer: Enhancer, name: str, size: tuple[int, int], format: str, seconds: float
) -> FrameResult:
    """Time an enhancer and the baselines on a dark, noisy frame."""
    width, height = size
    source = dark_noise(format, width, height)
    target = source.empty_like()
    cases = stages(enhancer, source, target)
    baselines = {
        "pass-through": pass_through(source, target),
        "gamma": gamma_lookup(source, target),
        "published": published_plus(width, height),
    }
    timings = measure(cases | baselines, seconds=seconds)
    gflops = gbs = None
    if isinstance(enhancer.runner, CPURunner):
        thumbnail = enhancer.working_size.of(height, width)
        operations = 2 * load_bundled(enhancer.model).parameters * thumbnail[0] * thumbnail[1]
        gflops = round(operations / timings["estimate"].median_ms / 1e6, 1)
        moved = 2 * sum(plane.nbytes for plane in source.planes)
        gbs = round(moved / timings["apply"].median_ms / 1e6, 2)
    return FrameResult(
        name, width, height, format, enhancer.model, enhancer.runner.name,
        {n: timings[n] for n in cases}, {n: timings[n] for n in baselines}, gflops, gbs,
    )  # fmt: skip


def stages(enhancer: Enhancer, source: Frame, target: Frame) -> dict[str, Callable[[], object]]:
    """The steps of ``Enhancer.enhance`` one by one, as far as they can be, and the whole."""
    runner = enhancer.runner
    whole = partial(enhancer.enhance, source, target)
    if not isinstance(runner, CPURunner):
        return {"whole": whole, "stream": partial(stream, partial(enhancer.begin, source, target))}
    applier, estimator = runner.applier, runner.estimator
    size = enhancer.working_size.of(source.height, source.width)
    thumbnail: NDArray[np.float32] = applier.thumbnail(source, *size)
    maps = CurveMaps(estimator.estimate(thumbnail))
    return {
        "thumbnail": partial(applier.thumbnail, source, *size),
        "estimate": partial(estimator.estimate, thumbnail),
        "control": partial(runner.control.update, lambda: maps, thumbnail, None),
        "apply": partial(applier.apply, source, maps, target),
        "whole": whole,
    }


def stream(begin: Callable[[], Callable[[], None]]) -> None:
    """Begin a frame again and again, with as many under way as between a pipeline's threads."""
    waiting: deque[Callable[[], None]] = deque()
    for _ in range(STREAM):
        if len(waiting) == _UNDER_WAY:
            waiting.popleft()()
        waiting.append(begin())
    for finish in waiting:
        finish()


def dark_noise(format_name: str, width: int, height: int) -> Frame:
    """A dark frame without any structure that could spare a stage work."""
    rng, format = np.random.default_rng(0), FORMATS[format_name]
    planes = []
    for index, shape in enumerate(plane_shapes(format, width, height)):
        if format.bits == 32:
            planes.append(rng.random(shape, np.float32) * np.float32(0.2))
            continue
        unit = 2 ** (format.bits - 8)
        low, high = (16, 60) if index == 0 else (118, 138)
        planes.append(rng.integers(low * unit, high * unit, shape, format.dtype))
    return Frame(format, tuple(planes), width, height, Colour("bt709"))
