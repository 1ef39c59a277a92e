"""Comparisons of the light model's CUDA path with the reference, in the manner of ``agreement``.

Import this, or ``agreement``, before anything that defines Triton's kernels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.support.agreement import (
    DEVICE,
    HAS_GPU,
    SUPPORTED,
    THOROUGH,
    Check,
    dark_frame,
    download,
    maps_gap,
    part_and_whole,
    reference,
    upload,
)
from tests.support.noise import SENTINEL, blank, light_maps, random_frame, visible
from tests.support.published import lifting_checkpoint, random_checkpoint
from zerodce_rt.backends.cuda.applier import fill_thumbnail
from zerodce_rt.backends.cuda.control import LARGEST
from zerodce_rt.backends.cuda.cudnn_network import CuDNNNetwork
from zerodce_rt.backends.cuda.frame_parameters import FrameParameters
from zerodce_rt.backends.cuda.light_applier import apply_light_curve
from zerodce_rt.backends.cuda.light_control import LightControl
from zerodce_rt.backends.cuda.light_network import LightTritonNetwork
from zerodce_rt.curve import floor, light
from zerodce_rt.curve.control import LEAST_DENOISE, ControlSettings, CurveControl
from zerodce_rt.curve.light import KNOTS
from zerodce_rt.curve.maps import CurveMaps, lift_of
from zerodce_rt.curve.working_size import WorkingSize
from zerodce_rt.frame import FORMATS, LUMA_WEIGHTS, Colour, Frame, plane_shapes
from zerodce_rt.network.checkpoint import Checkpoint
from zerodce_rt.network.light_model import LightNet
from zerodce_rt.network.light_wiring import map_size

NetworkKind = type[LightTritonNetwork] | type[CuDNNNetwork]


def half_light_maps(height: int, width: int) -> CurveMaps:
    """Light maps of noise that float16 can hold."""
    maps = light_maps(height, width)
    return replace(maps, values=maps.values.astype(np.float16).astype(np.float32))


def curve(
    frame: Frame, maps: CurveMaps, *, strength: float = 1.0, name: str | None = None,
    dtype: torch.dtype = torch.float16,
) -> float:  # fmt: skip
    """The fused kernel against the float64 reference; the largest difference in sample codes.

    Args:
        name: of the target's format; default: that of the frame.
        dtype: of the maps on the device.
    """
    target = blank(frame if name is None else random_frame(name, *_size(frame), frame.colour))
    expected, got = blank(target), upload(target)
    reference.apply(frame, maps.scaled(strength), expected)
    apply_light_curve(
        upload(frame), torch.from_numpy(maps.values).to(dtype).to(DEVICE), got,
        gain=torch.full((1,), strength, device=DEVICE),
    )  # fmt: skip
    return _compare(expected, download(got))


def _compare(expected: Frame, got: Frame) -> float:
    bits = expected.format.bits
    level = 1 / 255 if bits == 32 else 2.0 ** (bits - 8)
    worst = 0.0
    for a, b in zip(visible(expected), visible(got), strict=True):
        gap = np.abs(a - b)
        worst = max(worst, float(gap.max()))
        assert worst <= (1 if bits <= 10 else level), f"differs by {worst:g}"
        # Of few samples, one more may be rounded otherwise.
        most = (0.05 + 1 / gap.size) * max(1.0, level)
        assert gap.mean() < most, f"mean {gap.mean():g}"
    shapes = plane_shapes(got.format, got.width, got.height)
    for plane, (_, samples) in zip(got.planes, shapes, strict=True):
        assert (plane[:, samples:] == SENTINEL).all(), "padding was touched"
    return worst


def _size(frame: Frame) -> tuple[int, int]:
    return frame.width, frame.height


def unchanged(name: str) -> float:
    """With a gain of 0 every sample stays as it is, also outside of the range of RGB."""
    frame = random_frame(name, 37, 9, Colour())
    if frame.format.bits == 32:
        frame.planes[0][:] = 3 * frame.planes[0] - 1
    got = upload(blank(frame))
    maps = torch.from_numpy(half_light_maps(3, 5).values).half().to(DEVICE)
    apply_light_curve(upload(frame), maps, got, gain=torch.zeros(1, device=DEVICE))
    for a, b in zip(visible(frame), visible(download(got)), strict=True):
        np.testing.assert_array_equal(a, b)
    return 0.0


def filtered_frame(name: str, width: int, height: int) -> Frame:
    """Noise as the denoiser leaves it: planes of 16 bits, more than the format has."""
    format = FORMATS[name]
    if format.layout == "packed":
        work = replace(format, name="cells", bits=16)
    else:
        work = replace(format, name="cells", dropped_bits=16 - format.bits)
    rng = np.random.default_rng(4)
    planes: tuple[NDArray[Any], ...] = tuple(
        rng.integers(0, 2**16, shape).astype(work.dtype)
        for shape in plane_shapes(work, width, height)
    )
    return Frame(work, planes, width, height)


def curve_checks() -> Iterator[Check]:
    sizes = (
        ((35, 17), (6, 16), False),
        ((34, 18), (12, 16), True),
        ((19, 17), (18, 20), False),  # finer than the frame
        ((7, 5), (1, 3), True),
        ((2, 3), (1, 1), False),
        ((1, 1), (1, 1), False),
    )
    most = {"nv12", "yuv422p10le", "yuv444p", "bgr24", "rgbf32le"}
    for name in SUPPORTED if HAS_GPU or THOROUGH else sorted(most):
        for size, grid, full_range in sizes if name in most else sizes[::3]:
            colour = Colour("bt601" if full_range else "bt709", full_range)
            frame = random_frame(name, *size, colour)
            maps = half_light_maps(*grid)
            what = f"light curve {name} {size[0]}x{size[1]} by {grid[1]}x{grid[0]}"
            yield Check(what, partial(curve, frame, maps))
        yield Check(f"light curve {name} gain 0", partial(unchanged, name))
    for size, grid in (((97, 33), (9, 16)), ((260, 18), (3, 5)), ((141, 21), (9, 64))):
        for name in ("nv12", "bgr24"):
            frame = random_frame(name, *size, Colour())
            what = f"light curve {name} {size[0]}x{size[1]} by {grid[1]}x{grid[0]}"
            yield Check(what, partial(curve, frame, half_light_maps(*grid)))
    for matrix in LUMA_WEIGHTS:
        for full_range in (False, True):
            for name in ("yuv420p", "p010le"):
                frame = random_frame(name, 30, 16, Colour(matrix, full_range))
                what = f"light curve {name} {matrix} {'full' if full_range else 'limited'} range"
                yield Check(what, partial(curve, frame, half_light_maps(5, 7)))
    for name in ("nv12", "rgb24"):
        frame = random_frame(name, 40, 30, Colour())
        run = partial(curve, frame, half_light_maps(5, 7), strength=0.4)
        yield Check(f"light curve {name} strength 0.4", run)
        run = partial(curve, frame, light_maps(5, 7), dtype=torch.float32)
        yield Check(f"light curve {name} float32 maps", run)
    for name, result in (
        ("nv12", "nv12"), ("nv12", "yuv420p"), ("p010le", "p010le"), ("yuv420p10le", "p010le"),
        ("yuv422p10le", "yuv422p10le"), ("yuv444p", "yuv444p"), ("yuv420p16le", "yuv420p16le"),
        ("bgr24", "bgr24"), ("rgb48le", "rgb48le"),
    ):  # fmt: skip
        run = partial(curve, filtered_frame(name, 31, 17), half_light_maps(5, 7), name=result)
        yield Check(f"light curve of filtered {name} to {result}", run)


def night(name: str, width: int, height: int) -> Frame:
    """A dark frame: flat black on the left, black with a signal in the middle, light on the right.

    Its chroma is noise.
    """
    frame = random_frame(name, width, height, Colour(), seed=3)
    packed, format = frame.format.layout == "packed", frame.format
    apart = 3 if packed else 1
    samples = apart * width
    x = np.arange(samples) // apart / width
    rng = np.random.default_rng(6)
    steps = rng.random((height, samples)) * np.where(x < 0.4, 0.05, 2.5)
    codes = 3 + steps + np.where(x < 0.7, 0, 40)
    if format.bits == 32:
        frame.planes[0][:, :samples] = codes / 255
    else:
        black = 0 if packed else 16
        level = 2 ** (format.bits - 8)
        values = np.round((codes + black) * level).astype(format.dtype)
        frame.planes[0][:, :samples] = values << format.dropped_bits
    return frame


def _light_control(
    frame: Frame,
    size: tuple[int, int],
    max_level: float,
    *,
    large: bool = False,
    smoothing: bool = True,
) -> tuple[LightControl, Tensor, Tensor]:
    """A control, and the thumbnail and the estimate that it reads."""
    thumbnail = torch.zeros((3, *size), dtype=torch.float16, device=DEVICE)
    estimate = torch.zeros((5, *map_size(*size)), dtype=torch.float16, device=DEVICE)
    control = LightControl(
        thumbnail, estimate, max_level, frame, largest=0 if large else LARGEST, smoothing=smoothing
    )
    return control, thumbnail, estimate


def steep_maps(height: int, width: int, seed: int) -> CurveMaps:
    """Light maps that float16 can hold, of which some curves fall."""
    values = half_light_maps(height, width).values
    noise = np.random.default_rng(seed).random(values.shape) - 0.5
    values = (values + 0.4 * noise.astype(np.float32)).clip(-1, 1)
    return CurveMaps(values.astype(np.float16).astype(np.float32), knots=KNOTS)


def finish(frame: Frame, size: tuple[int, int]) -> float:
    """Floor and rise against the reference, for a thumbnail of some size."""
    control, _, estimate = _light_control(frame, size, 1.0)
    maps = steep_maps(*map_size(*size), seed=1)
    estimate.copy_(torch.from_numpy(maps.values))
    control.look(upload(frame))
    control.finish()
    cells = floor.grid_of(frame.height, frame.width)
    expected_steps = reference.dark_steps(frame, *cells)
    gap = np.abs(control._steps.cpu().numpy() - expected_steps).max()
    assert gap < 2e-3, f"steps differ by {gap:g}"
    got = control._finished.cpu().numpy()
    expected = reference.finished(frame, maps).values
    # A curve that hardly falls may be bent by a tenth more in one of the two.
    gaps = np.abs(got - expected).max(axis=0)
    assert (gaps < 2e-3).mean() >= 0.95, f"{(gaps >= 2e-3).sum()} curves differ"
    assert gaps.max() < 0.15, f"differs by {gaps.max():g}"
    levels = light.RISE_LEVELS[:, None, None, None]
    after = light.luma_curve(levels, got[None, :-1].reshape(1, 4, 1, -1), KNOTS)
    assert np.diff(after, axis=0).min() > -1e-4, "a curve falls"
    return float(np.sort(gaps.ravel())[-max(1, gaps.size // 20)])


def finish_checks() -> Iterator[Check]:
    # Few cells, of which each is a block: the interpreter is slow.
    for name in SUPPORTED:
        yield Check(f"light floor of {name}", partial(finish, night(name, 12, 2), (8, 28)))
    for name, size, thumbnail in (
        ("nv12", (67, 38), (16, 28)), ("bgr24", (300, 20), (4, 64)), ("nv12", (5, 21), (20, 4)),
        ("nv12", (1, 1), (1, 1)),
    ):  # fmt: skip
        frame = night(name, *size)
        yield Check(f"light floor of {size[0]}x{size[1]}", partial(finish, frame, thumbnail))


def _scenes(height: int, width: int) -> Iterator[tuple[NDArray[np.float32], float | None]]:
    """Thumbnails and times: a dark scene, a picture alone, a cut, a step back, black."""
    rng = np.random.default_rng(5)
    dark, bright = (rng.random((3, height, width)) * n for n in (0.1, 0.6))
    bright += 0.2
    dark[:, :3] = 0
    for picture, seconds in (
        (dark, 0.0), (0.9 * dark, 0.04), (bright, None), (dark, 0.08), (bright, 0.12),
        (0.95 * bright, 0.2), (bright, 0.1), (0 * dark, 0.3), (dark, 0.4), (0.9 * dark, 0.44),
    ):  # fmt: skip
        yield picture.astype(np.float16).astype(np.float32), seconds


def control(
    max_level: float, smoothing_seconds: float, estimate_seconds: float, *, large: bool
) -> float:
    """Maps over time, and what the denoiser is told, against the CPU."""
    settings = ControlSettings(
        max_level=max_level, smoothing_seconds=smoothing_seconds,
        estimate_seconds=estimate_seconds, strength=0.9, denoise=0.8,
    )  # fmt: skip
    size = 16, 28
    frame = night("yuv420p", 3, 2)
    device, small, estimate = _light_control(
        frame, size, max_level, large=large, smoothing=smoothing_seconds > 0
    )
    cpu, parameters, after_picture = (
        CurveControl(settings),
        FrameParameters(estimate.numel()),
        False,
    )
    worst = 0.0
    for number, (picture, seconds) in enumerate(_scenes(*size)):
        if number == 6:
            cpu.reset()
            parameters.reset()
        made = half_light_maps(*map_size(*size))
        made = made.scaled((0.8, 0.9, 1.0, 0.0)[number % 4])
        made = replace(made, values=made.values.astype(np.float16).astype(np.float32))
        finished = reference.finished(frame, made)
        expected = cpu.update(lambda finished=finished: finished, picture, seconds)  # type: ignore[misc]
        small.copy_(torch.from_numpy(picture))
        if number == 0:
            estimate.copy_(torch.from_numpy(made.values))
            device.look(upload(frame))
            device.finish()
        else:  # the interpreter takes long for what other checks have checked
            device._finished.copy_(torch.from_numpy(finished.values))
        device.run(torch.tensor(parameters.next(settings, seconds), device=DEVICE))
        got = device.maps.float().cpu().numpy()
        got[:-1] *= float(device.gain)
        worst = max(worst, float(np.abs(got - expected.values).max()))
        assert worst < 2e-3, f"differs by {worst:g} at step {number}"
        assert bool(device.gain) == bool(expected.curves.any()), f"gain at step {number}"
        strength, begins = device.denoise.tolist()
        wanted = 0.8 * lift_of(expected)
        wanted = wanted if wanted >= LEAST_DENOISE else 0.0
        assert abs(strength - wanted) < 5e-3, f"denoise at {number}"
        anew = seconds is None or cpu.new_scene or after_picture
        assert begins == anew, f"scene at {number}"
        after_picture = seconds is None
    return worst


def control_of_a_part(*, large: bool) -> float:
    """Maps over time after the warm-up, and from the start of the video."""

    def make() -> tuple[LightControl, Tensor, Tensor]:
        device, small, _ = _light_control(night("nv12", 3, 2), (5, 8), 1.0, large=large)
        return device, small, device._finished

    return part_and_whole(make)


def unfiltered() -> float:
    """Without an effort there is nothing to filter."""
    frame, size = night("nv12", 3, 2), (16, 28)
    device, small, estimate = _light_control(frame, size, 1.0)
    small.fill_(0.1)
    estimate.copy_(torch.from_numpy(half_light_maps(*map_size(*size)).values))
    device.look(upload(frame))
    device.finish()
    parameters, told = FrameParameters(estimate.numel()), []
    for number, effort in enumerate((3, 0, 1)):
        settings = ControlSettings(denoise=1.0, denoise_effort=effort)
        device.run(torch.tensor(parameters.next(settings, number / 30), device=DEVICE))
        strength, begins = device.denoise.tolist()
        told.append((strength > 0, begins))
    assert told == [(True, 1), (False, 0), (True, 0)], told
    return 0.0


def control_checks() -> Iterator[Check]:
    for max_level in (0.5, 0.3, 1.0) if HAS_GPU or THOROUGH else (0.3,):
        for smoothing, cell in ((0.0, 0.06), (0.1, 0.06)):
            for large in (False, True):
                what = f"light control, level {max_level}, {smoothing} s, large {large}"
                run = partial(control, max_level, smoothing, cell, large=large)
                yield Check(what, run)
    for large in (False, True):
        run = partial(control_of_a_part, large=large)
        yield Check(f"light control of a part, large {large}", run)
    yield Check("light control without denoiser", unfiltered)


def network(kind: NetworkKind, checkpoint: Checkpoint, height: int, width: int) -> float:
    """A network in float16 on the device against the model in PyTorch and float32."""
    model = LightNet()
    model.load_state_dict({n: torch.from_numpy(w) for n, w in checkpoint.weights.items()})
    image = torch.rand((3, height, width), generator=torch.Generator().manual_seed(2)) ** 3
    image = image.half()
    with torch.inference_mode():
        expected = model.eval()(image.float()[None])[0]
    on_device = kind(checkpoint, DEVICE)
    assert map_size(height, width) == expected.shape[1:]
    assert (on_device.map_count, on_device.knots) == (len(expected), KNOTS)
    out = torch.empty(expected.shape, dtype=torch.float16, device=DEVICE)
    estimate = on_device.prepare(height, width)
    estimate(image.to(DEVICE), out)
    return maps_gap(out, expected)


def network_checks() -> Iterator[Check]:
    for kind in (LightTritonNetwork, CuDNNNetwork):
        # The interpreter takes long for large pictures.
        large = ((36, 64), (270, 480)) if HAS_GPU or kind is CuDNNNetwork else ()
        for size in ((18, 32), (5, 7), (1, 1), *large):
            run = partial(network, kind, random_checkpoint("light"), *size)
            yield Check(f"{kind.__name__} {size[1]}x{size[0]}", run)


def whole(name: str, seconds: tuple[float | None, ...]) -> float:
    """All that is done to frames, from the thumbnail on, against the same on the CPU."""
    settings = ControlSettings(strength=0.9, max_level=0.5, smoothing_seconds=0.1, denoise=1.0)
    checkpoint = lifting_checkpoint()
    model = LightNet()
    model.load_state_dict({n: torch.from_numpy(w) for n, w in checkpoint.weights.items()})
    size = WorkingSize(16).of(7, 33)
    frames = [dark_frame(name, 33, 7, seed) for seed in range(len(seconds))]
    on_device = LightTritonNetwork(checkpoint, DEVICE)
    device, small, estimate = _light_control(frames[0], size, settings.max_level)
    run = on_device.prepare(*size)
    cpu, parameters = CurveControl(settings), FrameParameters(estimate.numel())
    worst = 0.0
    for frame, moment in zip(frames, seconds, strict=True):
        source, got = upload(frame), upload(blank(frame))
        fill_thumbnail(source, small)
        run(small, estimate)
        device.look(source)
        device.finish()
        device.run(torch.tensor(parameters.next(settings, moment), device=DEVICE))
        apply_light_curve(source, device.maps, got, gain=device.gain)

        seen = small.float().cpu()
        with torch.inference_mode():
            made = CurveMaps(model.eval()(seen[None])[0].numpy(), knots=KNOTS)
        finished = reference.finished(frame, made)
        maps = cpu.update(lambda finished=finished: finished, seen.numpy(), moment)  # type: ignore[misc]
        expected = blank(frame)
        reference.apply(frame, maps, expected)
        unit = 2.0 ** (min(frame.format.bits, 10) - 8)
        for a, b in zip(visible(expected), visible(download(got)), strict=True):
            worst = max(worst, float(np.abs(a - b).max()))
            # The difference comes from float16 in the network.
            assert np.abs(a - b).mean() < 0.3 * unit, f"mean {np.abs(a - b).mean():g}"
            assert worst <= 3 * unit, f"differs by {worst:g}"
    return worst


def whole_checks() -> Iterator[Check]:
    yield Check("light frames of nv12", partial(whole, "nv12", (0.0, 0.04)))
    yield Check("light picture of bgr24", partial(whole, "bgr24", (None,)))


def light_checks() -> Iterator[Check]:
    """Every check of the light model's path."""
    yield from network_checks()
    yield from finish_checks()
    yield from control_checks()
    yield from curve_checks()
    yield from whole_checks()
