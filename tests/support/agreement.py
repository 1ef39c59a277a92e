"""Comparisons of the CUDA path with the reference, for the tests and ``scripts/gpu_check.py``.

They run on a card if there is one, else in Triton's interpreter. Triton chooses when kernels are
defined, so import this before anything that defines them. Needs no test framework.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

HAS_GPU = torch.cuda.is_available()
if not HAS_GPU:
    # Unless ``emulated_card`` has chosen that kernels are compiled.
    os.environ.setdefault("TRITON_INTERPRET", "1")
DEVICE = torch.device("cuda" if HAS_GPU else "cpu")

from tests.support.noise import (  # noqa: E402
    SENTINEL,
    blank,
    gap,
    pq_frame,
    random_frame,
    random_maps,
    visible,
)
from tests.support.published import lifting_checkpoint, random_checkpoint  # noqa: E402
from zerodce_rt.backends.cpu import create_applier  # noqa: E402
from zerodce_rt.backends.cpu.reference import ReferenceApplier  # noqa: E402
from zerodce_rt.backends.cpu.runner import CPURunner  # noqa: E402
from zerodce_rt.backends.cpu.torch_network import TorchEstimator  # noqa: E402
from zerodce_rt.backends.cuda.applier import apply_curve, fill_thumbnail, supports  # noqa: E402
from zerodce_rt.backends.cuda.control import LARGEST, DeviceControl  # noqa: E402
from zerodce_rt.backends.cuda.cudnn_network import CuDNNNetwork  # noqa: E402
from zerodce_rt.backends.cuda.frame_parameters import FrameParameters  # noqa: E402
from zerodce_rt.backends.cuda.light_network import LightTritonNetwork  # noqa: E402
from zerodce_rt.backends.cuda.pq import PQ  # noqa: E402
from zerodce_rt.backends.cuda.step import CUDAStep  # noqa: E402
from zerodce_rt.backends.cuda.triton_network import TritonNetwork  # noqa: E402
from zerodce_rt.curve.control import LEAST_DENOISE, ControlSettings, CurveControl  # noqa: E402
from zerodce_rt.curve.maps import CurveMaps, lift_of, resize_bilinear  # noqa: E402
from zerodce_rt.curve.working_size import WorkingSize  # noqa: E402
from zerodce_rt.frame import FORMATS, LUMA_WEIGHTS, Colour, Frame, plane_shapes  # noqa: E402
from zerodce_rt.network.checkpoint import Checkpoint  # noqa: E402
from zerodce_rt.network.model import MODELS  # noqa: E402

THOROUGH = bool(os.environ.get("ZERODCE_RT_THOROUGH"))
NetworkKind = type[TritonNetwork] | type[CuDNNNetwork]
SUPPORTED = [name for name, format in FORMATS.items() if supports(format)]
# In the interpreter, of each layout, depth and subsampling one: others differ in constants.
TELLING = (
    SUPPORTED if HAS_GPU or THOROUGH
    else "nv12 p010le yuv420p yuv420p10le yuv422p yuv444p12le bgr24 rgb48le rgbf32le".split()
)  # fmt: skip
reference = ReferenceApplier()


@dataclass(frozen=True)
class Check:
    """One comparison; ``run`` raises ``AssertionError`` if a difference is too large."""

    name: str
    run: Callable[[], object]


def upload(frame: Frame) -> Frame:
    """The frame with planes on the device, padding included."""
    planes: Any = tuple(torch.from_numpy(p).to(DEVICE) for p in frame.planes)
    return replace(frame, planes=planes)


def download(frame: Frame) -> Frame:
    """The frame with planes on the host, padding included."""
    planes: Any = frame.planes
    return replace(frame, planes=tuple(p.cpu().numpy() for p in planes))


def half_maps(count: int, height: int, width: int, *, align_corners: bool = False) -> CurveMaps:
    """Maps that float16 can hold."""
    maps = random_maps(count, height, width, align_corners=align_corners)
    return CurveMaps(maps.values.astype(np.float16).astype(np.float32), align_corners)


def curve(frame: Frame, maps: CurveMaps, *, strength: float = 1.0) -> float:
    """The fused kernel against the float64 reference; the largest difference in sample codes."""
    expected, got = blank(frame), upload(blank(frame))
    reference.apply(frame, maps.scaled(strength), expected)
    apply_curve(
        upload(frame), torch.from_numpy(maps.values).half().to(DEVICE), got,
        gain=torch.full((1,), strength, device=DEVICE), align_corners=maps.align_corners,
    )  # fmt: skip
    result = download(got)
    full = maps.values.shape[1:] == (frame.height, frame.width)
    bits = frame.format.bits
    level = 1 / 255 if bits == 32 else 2.0 ** (bits - 8)
    worst = 0.0
    for a, b in zip(visible(expected), visible(result), strict=True):
        gap = np.abs(a - b)
        worst = max(worst, float(gap.max()))
        assert worst <= (1 if bits <= 10 else level), f"differs by {worst:g}"
        # Maps of the frame's size are not interpolated: only rounding differs.
        assert gap.mean() < (0.002 if full else 0.05) * max(1.0, level), f"mean {gap.mean():g}"
    shapes = plane_shapes(frame.format, frame.width, frame.height)
    for plane, (_, samples) in zip(result.planes, shapes, strict=True):
        assert (plane[:, samples:] == SENTINEL).all(), "padding was touched"
    return worst


def curve_checks() -> Iterator[Check]:
    grids = (
        ((97, 61), (9, 16), False),
        ((33, 35), (35, 33), False),  # maps at the frame's own size
        ((7, 5), (1, 3), True),
        ((1, 1), (1, 1), False),
    )
    for name in TELLING:
        for count in (1, 8):
            for size, grid, align in grids:
                colour = Colour("bt601" if count == 1 else "bt709", full_range=align)
                frame = random_frame(name, *size, colour)
                maps = half_maps(count, *grid, align_corners=align)
                what = f"curve {name} {3 * count} maps {size[0]}x{size[1]} by {grid[1]}x{grid[0]}"
                yield Check(what, partial(curve, frame, maps))
    for size in ((300, 40), (140, 20)):
        for grid in ((3, 5), (9, 64), (20, 139)):
            for align in (False, True):
                for name in ("nv12", "bgr24"):
                    frame = random_frame(name, *size, Colour())
                    maps = half_maps(1, *grid, align_corners=align)
                    what = f"curve {name} {size[0]}x{size[1]} by {grid[1]}x{grid[0]} {align}"
                    yield Check(what, partial(curve, frame, maps))
    for matrix in LUMA_WEIGHTS:
        for full_range in (False, True):
            for name in ("yuv420p", "p010le"):
                frame = random_frame(name, 40, 30, Colour(matrix, full_range))
                what = f"curve {name} {matrix} {'full' if full_range else 'limited'} range"
                yield Check(what, partial(curve, frame, half_maps(1, 5, 7)))
    for name in ("nv12", "rgb24"):
        frame = random_frame(name, 40, 30, Colour())
        run = partial(curve, frame, half_maps(8, 5, 7), strength=0.4)
        yield Check(f"curve {name} strength 0.4", run)


def thumbnail(frame: Frame, height: int, width: int) -> float:
    """The thumbnail kernel against averages of the frame's planes."""
    got = torch.full((3, height, width), -1.0, device=DEVICE)
    fill_thumbnail(upload(frame), got)
    worst = float(np.abs(got.cpu().numpy() - _averages(frame, height, width)).max())
    assert worst < 5e-6, f"differs by {worst:g}"
    half = got.half()
    fill_thumbnail(upload(frame), half)
    assert torch.allclose(half.float(), got, atol=1e-3), "float16 differs"
    return worst


def _averages(frame: Frame, height: int, width: int) -> NDArray[np.float64]:
    """Box averages of each plane, then RGB: a box takes every chroma cell that it touches."""
    format = frame.format
    if format.layout == "packed":
        return reference.thumbnail(frame, height, width).astype(np.float64)
    shift_x, shift_y = format.chroma_shift
    planes = visible(frame)
    if format.layout == "semiplanar":
        planes = [planes[0], planes[1][:, 0::2], planes[1][:, 1::2]]

    def average(plane: NDArray[np.float64], shift_y: int, shift_x: int) -> NDArray[np.float64]:
        out = np.empty((height, width))
        for i in range(height):
            top, bottom = i * frame.height // height, (i + 1) * frame.height // height
            for j in range(width):
                left, right = j * frame.width // width, (j + 1) * frame.width // width
                rows = slice(top >> shift_y, ((bottom - 1) >> shift_y) + 1)
                columns = slice(left >> shift_x, ((right - 1) >> shift_x) + 1)
                out[i, j] = plane[rows, columns].mean()
        return out

    y_offset, y_span, c_offset, c_span = frame.colour.levels(format.bits)
    luma = (average(planes[0], 0, 0) - y_offset) / y_span
    cb, cr = ((average(p, shift_y, shift_x) - c_offset) / c_span for p in planes[1:])
    kr, kb = LUMA_WEIGHTS[frame.colour.matrix]
    red, blue = luma + 2 * (1 - kr) * cr, luma + 2 * (1 - kb) * cb
    green = (luma - kr * red - kb * blue) / (1 - kr - kb)
    return np.stack([red, green, blue]).clip(0, 1)


def thumbnail_checks() -> Iterator[Check]:
    for name in TELLING:
        for size, grid in (((97, 61), (3, 5)), ((40, 90), (1, 1)), ((9, 7), (7, 9))):
            frame = random_frame(name, *size, Colour())
            what = f"thumbnail {name} {size[0]}x{size[1]} to {grid[1]}x{grid[0]}"
            yield Check(what, partial(thumbnail, frame, *grid))


def _in_pytorch(checkpoint: Checkpoint, image: Tensor) -> Tensor:
    """The maps of a picture by the model in PyTorch, in float32."""
    torch_network = MODELS[checkpoint.model]()
    torch_network.load_state_dict({n: torch.from_numpy(w) for n, w in checkpoint.weights.items()})
    with torch.inference_mode():
        maps: Tensor = torch_network(image[None])[0]
    return maps


def network(kind: NetworkKind, model: str, height: int, width: int) -> float:
    """A network in float16 on the device against the model in PyTorch and float32."""
    checkpoint = random_checkpoint(model)
    image = torch.rand((1, 3, height, width), generator=torch.Generator().manual_seed(2))
    expected = _in_pytorch(checkpoint, image[0])
    out = torch.empty(expected.shape, dtype=torch.float16, device=DEVICE)
    estimate = kind(checkpoint, DEVICE).prepare(height, width)
    estimate(image[0].half().to(DEVICE), out)
    return maps_gap(out, expected)


def maps_gap(maps: Tensor, expected: Tensor) -> float:
    """The largest difference of float16 maps on the device to those in float32."""
    difference = (maps.float().cpu() - expected).abs()
    worst = float(difference.max())
    assert worst < 2e-2, f"differs by {worst:g}"
    assert float(difference.mean()) < 2e-3, f"mean {float(difference.mean()):g}"
    return worst


def network_checks() -> Iterator[Check]:
    for kind in (TritonNetwork, CuDNNNetwork):
        for model in MODELS:
            for size in ((18, 32), (7, 5), (1, 1), (5, 70)):
                run = partial(network, kind, model, *size)
                yield Check(f"{kind.__name__} {model} {size[1]}x{size[0]}", run)


def _scenes() -> Iterator[tuple[NDArray[np.float32], float | None]]:
    """Thumbnails and times: a dark scene, a cut to a bright one, a jump back, pictures."""
    rng = np.random.default_rng(5)
    dark, bright = 0.1 * rng.random((3, 18, 32)), 0.2 + 0.6 * rng.random((3, 18, 32))
    dark[:, :3] = 0
    for picture, seconds in (
        (dark, 0.0), (0.9 * dark, 0.04), (dark, 0.08), (bright, 0.12), (0.95 * bright, 0.2),
        (bright, 0.1), (dark, None), (0 * dark, 0.3), (dark, 0.4),
    ):  # fmt: skip
        yield picture.astype(np.float16).astype(np.float32), seconds


def control(
    maps: int, max_level: float, smoothing_seconds: float, estimate_seconds: float, *, large: bool
) -> float:
    """Maps over time against the CPU's control."""
    settings = ControlSettings(
        max_level=max_level, smoothing_seconds=smoothing_seconds,
        estimate_seconds=estimate_seconds, denoise=0.7,
    )  # fmt: skip
    cpu = CurveControl(settings)
    small = torch.zeros((3, 18, 32), dtype=torch.float16, device=DEVICE)
    estimate = torch.zeros((maps, 18, 32), dtype=torch.float16, device=DEVICE)
    device = DeviceControl(
        small, estimate, max_level, largest=0 if large else LARGEST, smoothing=smoothing_seconds > 0
    )
    parameters = FrameParameters(estimate.numel())
    worst = 0.0
    for number, (picture, seconds) in enumerate(_scenes()):
        values = -np.random.default_rng(number).random((maps, 18, 32)).astype(np.float16)
        made = CurveMaps(values.astype(np.float32))
        expected = cpu.update(lambda made=made: made, picture, seconds)  # type: ignore[misc]
        small.copy_(torch.from_numpy(picture))
        estimate.copy_(torch.from_numpy(values))
        device.run(torch.tensor(parameters.next(settings, seconds), device=DEVICE))
        gap = np.abs(device.maps.float().cpu().numpy() - expected.values).max()
        worst = max(worst, float(gap))
        assert worst < 2e-3, f"differs by {worst:g} at step {number}"
        denoise, begins = device.denoise.tolist()
        wanted = 0.7 * lift_of(expected)
        assert abs(denoise - (wanted if wanted >= LEAST_DENOISE else 0)) < 0.02, denoise
        after_picture = number > 0 and list(_scenes())[number - 1][1] is None
        assert begins == (seconds is None or cpu.new_scene or after_picture)
    return worst


def control_checks() -> Iterator[Check]:
    for maps in (3, 24):
        for max_level in (0.5, 0.3, 1.0) if HAS_GPU or THOROUGH else (0.3,):
            for smoothing, cell in ((0.0, 0.06), (0.1, 0.06)):
                for large in (False, True):
                    what = f"control {maps} maps, level {max_level}, {smoothing} s, large {large}"
                    run = partial(control, maps, max_level, smoothing, cell, large=large)
                    yield Check(what, run)
    for large in (False, True):
        yield Check(f"control of a part, large {large}", partial(control_of_a_part, large=large))


def control_of_a_part(*, large: bool) -> float:
    """Maps over time after the warm-up, and from the start of the video."""

    def make() -> tuple[DeviceControl, Tensor, Tensor]:
        small = torch.zeros((3, 5, 8), dtype=torch.float16, device=DEVICE)
        estimate = torch.zeros_like(small)
        made = DeviceControl(small, estimate, 1.0, largest=0 if large else LARGEST)
        return made, small, estimate

    return part_and_whole(make)


def part_and_whole(make: Callable[[], tuple[Any, Tensor, Tensor]]) -> float:
    """A part of a video gets the same bits as the whole, pictures in between leave no trace.

    Args:
        make: a control, and where its thumbnails and estimates are written.
    """
    settings = ControlSettings(smoothing_seconds=0.04, estimate_seconds=0.1)
    rng = np.random.default_rng(7)
    times = np.cumsum(rng.choice([0.017, 0.04, 0.05, 0.08], 24)).round(3)
    # The cut comes before the part begins.
    pictures = [(0.1 if n < 4 else 0.4) * (0.8 + 0.2 * rng.random((3, 5, 8))) for n in range(24)]

    def run(numbers: Iterable[int], *, disturbed: bool = False) -> list[NDArray[np.float16]]:
        device, small, estimate = make()
        parameters, got = FrameParameters(estimate.numel()), []
        for number in numbers:
            alone = [None] if disturbed and number % 9 == 4 else []
            for seconds in (*alone, times[number]):
                seed = number, seconds is None
                values = np.random.default_rng(seed).random(tuple(estimate.shape))
                small.copy_(torch.from_numpy(pictures[number]))
                estimate.copy_(torch.from_numpy(values.astype(np.float16)))
                device.run(torch.tensor(parameters.next(settings, seconds), device=DEVICE))
            got.append(device.maps.cpu().numpy().copy())
        return got

    whole, start = run(range(24)), 7
    first = int(np.argmax(times - times[start + 1] >= settings.warm_up_seconds))
    assert 8 < first < 20
    part = run(range(start, 24), disturbed=True)
    np.testing.assert_array_equal(part[first - start :], whole[first:])
    assert (part[0] != whole[start]).any()
    return 0.0


def step(name: str, result_name: str, working_size: str, model: str) -> float:
    """A whole step against its parts on the CPU, in float32 and float64."""
    size = WorkingSize.parse(working_size)
    planar = dark_frame(_planar_name(name), 33, 9)
    checkpoint = _gentle(random_checkpoint(model))
    settings = ControlSettings(strength=0.8, max_level=1.0 if size.published else 0.5)
    small = size.of(planar.height, planar.width)
    picture = _averages(planar, *(small if size.divisor is None else (planar.height, planar.width)))
    if size.divisor is not None:
        picture = resize_bilinear(picture, *small, scale=float(size.divisor))
    seen = np.ascontiguousarray(picture, np.float32)
    values = _in_pytorch(checkpoint, torch.from_numpy(seen)).numpy()
    maps = CurveControl(settings).update(
        lambda: CurveMaps(values, size.divisor is not None), seen, None
    )
    expected = blank(planar)
    reference.apply(planar, maps, expected)
    source, expected = laid_out(planar, name), laid_out(expected, result_name)
    network = TritonNetwork(checkpoint, DEVICE)
    cuda_step = CUDAStep(network, source, expected, size, settings.max_level)
    worst = 0.0
    for _ in range(2):
        target = blank(expected)
        cuda_step.begin(source, target, settings, None)()
        for a, b in zip(visible(expected), visible(target), strict=True):
            worst = max(worst, float(np.abs(a - b).max()))
            unit = 2.0 ** (min(planar.format.bits, 10) - 8)
            # The difference comes from float16 in the network.
            assert np.abs(a - b).mean() < 0.3 * unit, f"mean {np.abs(a - b).mean():g}"
            assert worst <= 3 * unit, f"differs by {worst:g}"
    return worst


def dark_frame(name: str, width: int, height: int, seed: int = 0) -> Frame:
    """A frame of noise between levels 16 and 67 of 255, with any chroma."""
    frame = random_frame(name, width, height, Colour(), seed=seed)
    dropped, level = frame.format.dropped_bits, 2 ** (frame.format.bits - 8)
    frame.planes[0][:] = (((frame.planes[0] >> dropped) // 5) + 16 * level) << dropped
    return frame


def _planar_name(name: str) -> str:
    """The format with the same samples in planes."""
    names = {"nv12": "yuv420p", "p010le": "yuv420p10le", "yuyv422": "yuv422p"}
    return names.get(name, name)


def laid_out(planar: Frame, name: str) -> Frame:
    """A planar YUV frame in another layout, without padding."""
    format, shapes = FORMATS[name], plane_shapes(FORMATS[name], planar.width, planar.height)
    if format == planar.format:
        return planar
    y, u, v = (p[:, :n] for p, (_, n) in zip(planar.planes, _shapes(planar), strict=True))
    if format.layout == "semiplanar":
        chroma = np.dstack([u, v]).reshape(shapes[1])
        planes = (y << format.dropped_bits, chroma << format.dropped_bits)
        return Frame(format, planes, planar.width, planar.height, planar.colour)
    if planar.width % 2:
        y = np.hstack([y, y[:, -1:]])
    samples = np.dstack([y[:, 0::2], u, y[:, 1::2], v]).reshape(shapes[0])
    return Frame(format, (samples,), planar.width, planar.height, planar.colour)


def _shapes(frame: Frame) -> list[tuple[int, int]]:
    return plane_shapes(frame.format, frame.width, frame.height)


def _gentle(checkpoint: Checkpoint) -> Checkpoint:
    """Weights whose maps are as weak as those of trained ones."""
    weights = {
        name: 0.3 * values if name.startswith("e_conv7.") and "depth" not in name else values
        for name, values in checkpoint.weights.items()
    }
    return replace(checkpoint, weights=weights)


def several(name: str, *, on_device: bool) -> float:
    """Frames in flight together against the same frames one after the other."""
    settings = ControlSettings(smoothing_seconds=0.2, max_level=0.5)
    network = TritonNetwork(random_checkpoint("plus"), DEVICE)
    frames = [dark_frame(name, 18, 4, seed) for seed in range(3)]

    def make() -> CUDAStep:
        return CUDAStep(network, frames[0], frames[0], WorkingSize(16), settings.max_level)

    alone, together = make(), make()
    one_by_one, at_once, in_flight = [blank(f) for f in frames], [blank(f) for f in frames], []
    targets = [upload(f) for f in at_once] if on_device else at_once
    for number, frame in enumerate(frames):
        alone.begin(frame, one_by_one[number], settings, number / 30)()
        source = upload(frame) if on_device else frame
        in_flight.append(together.begin(source, targets[number], settings, number / 30))
    for finish in in_flight:
        finish()
    results = [download(f) for f in targets] if on_device else at_once
    for frame, a, b in zip(frames, one_by_one, results, strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(visible(a), visible(b), strict=True))
        assert any((x != y).any() for x, y in zip(visible(frame), visible(a), strict=True))
    return 0.0


def unchanged(name: str, settings: ControlSettings) -> float:
    """Without a curve every sample stays as it is, also outside of the range of RGB."""
    # Small: Triton's interpreter is slow for each pixel of a thumbnail.
    frame = random_frame(name, 18, 3, Colour())
    network = TritonNetwork(random_checkpoint("plus"), DEVICE)
    target = blank(frame)
    cuda_step = CUDAStep(network, frame, frame, WorkingSize(16), settings.max_level)
    cuda_step.begin(frame, target, settings, None)()
    for a, b in zip(visible(frame), visible(target), strict=True):
        np.testing.assert_array_equal(a, b)
    return 0.0


def pq_tables(name: str, size: tuple[int, int]) -> float:
    """PQ to what curves work in and back, against the CPU's kernels."""
    frame = pq_frame(name, *size, peak_nits=600)
    cpu = create_applier("cpu", threads=1)
    source, target = upload(frame), upload(blank(frame))
    device = PQ(source, target, DEVICE)
    device.to_gamma(source)
    expected = cpu.pq_to_gamma(frame)
    before = gap(expected, download(device.before))
    # Of 65535: rounded otherwise, the next entry of a table may be taken.
    assert before <= 16, f"differs by {before:g}"
    for part, to in zip(expected.planes, device.after.planes, strict=True):
        brighter: Any = (np.sqrt(part / 65535) * 65535).astype(np.uint16)
        part[:] = brighter
        to.copy_(torch.from_numpy(brighter))  # type: ignore[attr-defined]
    result = blank(frame)
    cpu.gamma_to_pq(expected, frame, result)
    device.from_gamma(source, target, torch.ones(1, device=DEVICE))
    unit = 2.0 ** (frame.format.bits - 8)
    worst = gap(result, download(target))
    assert worst <= unit, f"differs by {worst:g}"
    device.from_gamma(source, target, torch.zeros(1, device=DEVICE))
    assert gap(frame, download(target)) == 0, "without a curve, samples change"
    return worst


def pq_step(name: str, result_name: str) -> float:
    """A whole step with PQ frames against the CPU's."""
    size, settings = WorkingSize(16), ControlSettings(strength=0.8, max_level=0.4)
    planar = pq_frame(_planar_name(name), 34, 10)
    checkpoint = _gentle(random_checkpoint("plus"))
    expected = blank(planar)
    cpu = CPURunner(TorchEstimator(checkpoint), create_applier("cpu", threads=1), size)
    cpu.begin(planar, expected, settings, None)()
    source, result = laid_out(planar, name), laid_out(expected, result_name)
    target = blank(result)
    step = CUDAStep(TritonNetwork(checkpoint, DEVICE), source, target, size, settings.max_level)
    step.begin(source, target, settings, None)()
    worst, unit = gap(result, target), 2.0 ** (planar.format.bits - 8)
    assert worst <= 3 * unit, f"differs by {worst:g}"  # by float16 in the network
    assert gap(laid_out(planar, result_name), target) > 3 * unit
    return worst


def everything(frames: list[Frame]) -> float:
    """The default model, denoising and curve over a few frames of a video, against the CPU's."""
    size = WorkingSize(16)
    settings = ControlSettings(smoothing_seconds=0.2, max_level=0.5, denoise=1, denoise_effort=2)
    checkpoint = lifting_checkpoint()
    cpu = CPURunner(TorchEstimator(checkpoint), create_applier("cpu", threads=1), size)
    noisy = replace(settings, denoise=0)
    brightened = CPURunner(TorchEstimator(checkpoint), create_applier("cpu", threads=1), size)
    cuda_step = CUDAStep(
        LightTritonNetwork(checkpoint, DEVICE), frames[0], frames[0], size, settings.max_level,
        denoise=True,
    )  # fmt: skip
    unit = 2.0 ** (frames[0].format.bits - 8)
    worst = 0.0
    for number, frame in enumerate(frames):
        expected, unfiltered, got = blank(frame), blank(frame), blank(frame)
        cpu.begin(frame, expected, settings, number / 30)()
        brightened.begin(frame, unfiltered, noisy, number / 30)()
        cuda_step.begin(frame, got, settings, number / 30)()
        for a, b in zip(visible(expected), visible(got), strict=True):
            gap = np.abs(a - b)
            worst = max(worst, float(gap.max()))
            assert worst <= 6 * unit, f"differs by {worst:g}"
            assert gap.mean() < 0.5 * unit, f"mean {gap.mean():g}"
        removed = np.abs(visible(got)[0] - visible(unfiltered)[0]).mean()
        assert removed > unit, f"hardly any noise was removed: {removed:g}"
    return worst


def everything_checks() -> Iterator[Check]:
    if HAS_GPU or THOROUGH:  # else ``tests/backends/cuda/test_runner.py`` has one like it
        for name in ("bgr24", "p010le", "yuv444p"):
            frames = [dark_frame(name, 64, 32, seed) for seed in range(2)]
            yield Check(f"everything, {name}", partial(everything, frames))
        frames = [pq_frame("yuv420p10le", 64, 32) for _ in range(2)]
        yield Check("everything, PQ", partial(everything, frames))


def pq_checks() -> Iterator[Check]:
    for name in ("yuv420p10le", "yuv422p12le", "p010le", "yuv444p10le"):
        for size in ((37, 23), (1, 1), (150, 20)):
            what = f"PQ tables {name} {size[0]}x{size[1]}"
            yield Check(what, partial(pq_tables, name, size))
    for name, result in (("yuv420p10le", "yuv420p10le"), ("p010le", "yuv420p10le")):
        yield Check(f"PQ step {name} to {result}", partial(pq_step, name, result))


def step_checks() -> Iterator[Check]:
    for model in MODELS:
        for name in ("nv12", "bgr24"):
            for size in ("16", "full", "1/2") if HAS_GPU or THOROUGH or name == "nv12" else ("16",):
                run = partial(step, name, name, size, model)
                yield Check(f"whole step {model} {name} {size}", run)
    for name, result in (
        ("yuyv422", "yuyv422"), ("nv12", "yuv420p"), ("yuv420p", "nv12"),
        ("p010le", "yuv420p10le"), ("yuv420p10le", "p010le"),
    ):  # fmt: skip
        yield Check(f"whole step {name} to {result}", partial(step, name, result, "16", "plus"))
    kinds = [("nv12", False), ("nv12", True), ("p010le", True)]
    for name, on_device in kinds if HAS_GPU or THOROUGH else kinds[1:2]:
        run = partial(several, name, on_device=on_device)
        yield Check(f"several {name} in flight, on device {on_device}", run)
    for name in FORMATS:
        run = partial(unchanged, name, ControlSettings(strength=0.0))
        yield Check(f"strength 0 of {name}", run)
    for name in ("nv12", "yuv420p10le", "rgb24"):
        run = partial(unchanged, name, ControlSettings(max_level=0.01))
        yield Check(f"bright enough in {name}", run)


def all_checks() -> Iterator[Check]:
    """Every check, in the order in which a frame passes the parts."""
    yield from thumbnail_checks()
    yield from network_checks()
    yield from control_checks()
    yield from curve_checks()
    yield from pq_checks()
    yield from everything_checks()
    yield from step_checks()
