"""One frame in memory, stage by stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.bench.baselines import gamma_lookup, pass_through, published_plus
from zerodce_rt.bench.timing import Timing, measure
from zerodce_rt.checkpoint import load_bundled
from zerodce_rt.curve import CurveMaps
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.frame import FORMATS, Colour, Frame, plane_shapes


@dataclass(frozen=True)
class FrameResult:
    """One combination, frames in memory.

    Attributes:
        stages: thumbnail, estimate, control, apply, and ``whole``, which is all of them as the
            enhancer runs them.
        baselines: pass-through, gamma look-up, and the published design in PyTorch.
        estimate_gflops: arithmetic of the network, in 10^9 operations a second.
        apply_gbs: bytes of the frame read and written by the kernel, in 10^9 a second.
    """

    size: str
    width: int
    height: int
    format: str
    model: str
    backend: str
    stages: dict[str, Timing]
    baselines: dict[str, Timing]
    estimate_gflops: float
    apply_gbs: float

    @property
    def fps(self) -> float:
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
    thumbnail = enhancer.working_size.of(height, width)
    operations = 2 * load_bundled(enhancer.model).parameters * thumbnail[0] * thumbnail[1]
    moved = 2 * sum(plane.nbytes for plane in source.planes)
    return FrameResult(
        name, width, height, format, enhancer.model, enhancer.estimator.name,
        {n: timings[n] for n in cases},
        {n: timings[n] for n in baselines},
        round(operations / timings["estimate"].median_ms / 1e6, 1),
        round(moved / timings["apply"].median_ms / 1e6, 2),
    )  # fmt: skip


def stages(enhancer: Enhancer, source: Frame, target: Frame) -> dict[str, Callable[[], object]]:
    """The steps of ``Enhancer.enhance`` one by one, and the whole."""
    applier, estimator = enhancer.applier, enhancer.estimator
    size = enhancer.working_size.of(source.height, source.width)
    thumbnail: NDArray[np.float32] = applier.thumbnail(source, *size)
    maps = CurveMaps(estimator.estimate(thumbnail))
    return {
        "thumbnail": partial(applier.thumbnail, source, *size),
        "estimate": partial(estimator.estimate, thumbnail),
        "control": partial(enhancer.control.update, lambda: maps, thumbnail, None),
        "apply": partial(applier.apply, source, maps, target),
        "whole": partial(enhancer.enhance, source, target),
    }


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
