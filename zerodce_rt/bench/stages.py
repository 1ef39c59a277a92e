"""Measure one frame in memory, stage by stage."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.backends.cpu.runner import CPURunner
from zerodce_rt.bench.baselines import gamma_lookup, pass_through, published_plus
from zerodce_rt.bench.load import LoadMeter
from zerodce_rt.bench.timing import Timing, measure
from zerodce_rt.curve.maps import CurveMaps
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.frame import FORMATS, Colour, Frame, plane_shapes
from zerodce_rt.network.checkpoint import load_bundled

STREAM = 32
"""Frames in one measurement of a stream."""

IN_FLIGHT = 4
"""Frames of a stream that are begun and not finished, at most; about as in a file's pipeline."""


@dataclass(frozen=True)
class FrameResult:
    """What one combination takes, with frames in memory.

    Attributes:
        size: as it was asked for, such as ``"1080p"``.
        width, height: of the frame in pixels.
        format: pixel format.
        model, backend: that did the work.
        stages: times of ``thumbnail``, ``estimate``, ``control``, ``denoise`` and ``apply``, and
            of ``whole``, which is all of them in one call. On a GPU they are one CUDA graph, and
            cannot be timed apart; there is ``stream`` instead: ``STREAM`` frames, several in
            flight.
        baselines: times of ``pass-through``, ``gamma`` (a look-up table) and ``published`` (the
            published design in PyTorch).
        estimate_gflops: 10^9 operations per second of the network; None on a GPU.
        apply_gbs: 10^9 bytes per second that the curve's kernel reads and writes; None on a GPU.
        load: share of CPU time that other programs took meanwhile; None where it is not known.
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
    load: float | None

    @property
    def fps(self) -> float:
        """Frames per second: of the stream on a GPU, of one frame after another on the CPU."""
        if "stream" in self.stages:
            return 1000 * STREAM / self.stages["stream"].median_ms
        return 1000 / self.stages["whole"].median_ms

    @property
    def times_published(self) -> float:
        """How many times as fast as the published design."""
        return self.baselines["published"].median_ms / self.stages["whole"].median_ms

    @property
    def times_published_range(self) -> tuple[float, float]:
        """The same with the quartiles of both times: the lowest and the highest ratio."""
        published, whole = self.baselines["published"], self.stages["whole"]
        return published.p25_ms / whole.p75_ms, published.p75_ms / whole.p25_ms

    @property
    def spread(self) -> float:
        """How much the times of the whole and of the published design vary; the larger."""
        return max(self.stages["whole"].spread, self.baselines["published"].spread)


def measure_frame(
    enhancer: Enhancer, name: str, size: tuple[int, int], format: str, seconds: float
) -> FrameResult:
    """Time an enhancer and the baselines on a dark, noisy frame.

    Args:
        name: of the size, for the result.
        size: width and height in pixels.
        format: a key of ``frame.FORMATS``.
        seconds: for all measurements together, warm-up not counted.
    """
    width, height = size
    source = dark_noise(format, width, height)
    target = source.empty_like()
    cases = stages(enhancer, source, target)
    baselines = {
        "pass-through": pass_through(source, target),
        "gamma": gamma_lookup(source, target),
        "published": published_plus(width, height),
    }
    meter = LoadMeter()
    timings = measure(cases | baselines, seconds=seconds)
    load = meter.others()
    gflops = gbs = None
    if isinstance(enhancer.runner, CPURunner):
        thumbnail = enhancer.working_size.of(height, width)
        operations = 2 * load_bundled(enhancer.model).multiplications(*thumbnail)
        gflops = round(operations / timings["estimate"].median_ms / 1e6, 1)
        moved = 2 * sum(plane.nbytes for plane in source.planes)
        gbs = round(moved / timings["apply"].median_ms / 1e6, 2)
    return FrameResult(
        name, width, height, format, enhancer.model, enhancer.backend,
        {n: timings[n] for n in cases}, {n: timings[n] for n in baselines}, gflops, gbs, load,
    )  # fmt: skip


def stages(enhancer: Enhancer, source: Frame, target: Frame) -> dict[str, Callable[[], object]]:
    """Calls to time, by the names in ``FrameResult.stages``."""
    runner = enhancer.runner
    moments = count()

    def whole() -> None:
        enhancer.enhance(source, target, seconds=next(moments) / 30)

    if not isinstance(runner, CPURunner):
        return {"whole": whole, "stream": partial(stream, partial(enhancer.begin, source, target))}
    applier, estimator = runner.applier, runner.estimator
    size = enhancer.working_size.of(source.height, source.width)
    thumbnail: NDArray[np.float32] = applier.thumbnail(source, *size)
    maps = CurveMaps(estimator.estimate(thumbnail), knots=estimator.knots)
    denoiser, effort = applier.denoiser(), enhancer.denoise_effort
    return {
        "thumbnail": partial(applier.thumbnail, source, *size),
        "estimate": partial(estimator.estimate, thumbnail),
        "control": partial(runner.control.update, lambda: maps, thumbnail, None),
        "denoise": partial(denoiser, source, 1.0, effort),
        "apply": partial(applier.apply, source, maps, target),
        "whole": whole,
    }


def stream(begin: Callable[[], Callable[[], None]]) -> None:
    """Process ``STREAM`` frames with up to ``IN_FLIGHT`` of them in flight.

    Args:
        begin: begins a frame; returns the call that waits until it is finished.
    """
    in_flight: deque[Callable[[], None]] = deque()
    for _ in range(STREAM):
        if len(in_flight) == IN_FLIGHT:
            in_flight.popleft()()
        in_flight.append(begin())
    for finish in in_flight:
        finish()


def dark_noise(format_name: str, width: int, height: int) -> Frame:
    """A dark frame of noise, which has no flat areas that would make a stage faster."""
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
