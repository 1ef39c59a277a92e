"""Comparisons of the denoiser on the device with the plain one, as ``agreement`` has them.

Like there, import this before anything that defines Triton's kernels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.support.agreement import DEVICE, HAS_GPU, SUPPORTED, THOROUGH, Check, download, upload
from tests.support.agreement_light import half_light_maps
from tests.support.noise import blank, noisy_video, random_frame
from zerodce_rt.backends.cpu.bands import Bands
from zerodce_rt.backends.cpu.denoiser import CPUDenoiser
from zerodce_rt.backends.cpu.motion import MotionSearch
from zerodce_rt.backends.cpu.motion_kernels import choose_vectors, move, quarter
from zerodce_rt.backends.cpu.reference import ReferenceApplier
from zerodce_rt.backends.cpu.reference_denoiser import ReferenceDenoiser
from zerodce_rt.backends.cpu.slow_start import SlowStart
from zerodce_rt.backends.cuda import denoise_kernels as kernels
from zerodce_rt.backends.cuda import denoise_motion_kernels as moving
from zerodce_rt.backends.cuda.denoiser import DeviceDenoiser, denoiser_for
from zerodce_rt.backends.cuda.light_applier import apply_light_curve, stretch
from zerodce_rt.curve.maps import CurveMaps, resize_bilinear
from zerodce_rt.denoise import rules
from zerodce_rt.denoise.noise import hinges
from zerodce_rt.frame import FORMATS, Colour, Frame, plane_shapes

_EFFORT = 2  # time and space, but no motion
Planes = list[NDArray[np.float64]]


def parameters(strength: float, *, new_scene: bool = False) -> Tensor:
    return torch.tensor([strength, float(new_scene)], device=DEVICE)


def codes_of(filtered: Frame) -> Planes:
    """Samples of a filtered frame of the device, in 8-bit codes: Y, Cb and Cr, or packed ones."""
    frame = download(filtered)
    if frame.format.layout == "packed":
        unit = 255.0 if frame.format.bits == 32 else 1 / 257
        return [frame.planes[0].astype(np.float64) * unit]
    planes = list(frame.planes)
    if frame.format.layout == "semiplanar":
        columns = 2 * -(-frame.width // 2)
        planes = [planes[0], planes[1][:, 0:columns:2], planes[1][:, 1:columns:2]]
    shapes = plane_shapes(replace(frame.format, layout="planar"), frame.width, frame.height)
    return [p[:, :n].astype(np.float64) / 256 for p, (_, n) in zip(planes, shapes, strict=True)]


def codes_of_plain(filtered: Frame, source: Frame) -> Planes:
    """The same of ``ReferenceDenoiser``, which filters packed pixels as YUV 4:4:4, or of YUV of
    ``CPUDenoiser``."""
    if source.format.layout != "packed":
        shapes = _shapes(filtered)
        planes = zip(filtered.planes, shapes, strict=True)
        return [plane[:, :n].astype(np.float64) / 256 for plane, (_, n) in planes]
    plane = np.zeros((source.height, 3 * source.width), np.float32)
    name = "bgrf32le" if source.format.bgr else "rgbf32le"
    out = Frame(FORMATS[name], (plane,), source.width, source.height)
    ReferenceApplier().apply(filtered, CurveMaps(np.zeros((3, 4, 4), np.float32)), out)
    return [255 * plane.astype(np.float64)]


def largest(a: Planes, b: Planes) -> float:
    """Largest difference of samples."""
    return float(max(np.abs(p - q).max() for p, q in zip(a, b, strict=True)))


def filtering(
    name: str, size: tuple[int, int], colour: Colour, strengths: list[float], *,
    interlaced: bool = False,
) -> float:  # fmt: skip
    """Some frames of a video, each with its strength, against the plain denoiser."""
    frames = _video(name, size, colour, len(strengths), interlaced)
    device, plain = denoiser_for(frames[0], DEVICE), ReferenceDenoiser()
    worst, results = 0.0, set()
    # From floats, single blocks may be told apart by rounding, when the noise is learned.
    allowed = 1.0 if FORMATS[name].bits == 32 else 0.25
    for number, (frame, strength) in enumerate(zip(frames, strengths, strict=True)):
        result = device.run(upload(frame), parameters(strength))
        results.add(result.planes[0].data_ptr())  # type: ignore[attr-defined]
        got = codes_of(result)
        expected = codes_of_plain(plain(frame, strength, _EFFORT), frame)
        worst = max(worst, largest(got, expected))
        assert worst < allowed, f"differs by {worst:g} codes at frame {number}"
    assert len(results) == 1, "the result does not stay in place"
    return worst


def _video(
    name: str, size: tuple[int, int], colour: Colour, frames: int, interlaced: bool
) -> list[Frame]:
    """``noisy_video``; if it is interlaced, the odd fields are brighter than the even ones."""
    video = [replace(f, interlaced=interlaced) for f in noisy_video(name, *size, colour, frames)]
    for frame in video:
        if interlaced:
            luma = frame.planes[0][1::2]
            luma += 9 << (frame.format.bits - 8 + frame.format.dropped_bits)
    return video


def ramp_video(frames: int) -> list[Frame]:
    """Luma of all codes with more noise where it is brighter, a patch that moves, and blocks that
    an encoder has repeated."""
    rng = np.random.default_rng(3)
    made: list[Frame] = []
    height, width = 128, 128
    ramp = np.linspace(10, 230, width)
    for index in range(frames):
        noise = rng.normal(0, 1, (height, width)) * (1 + ramp / 60)
        luma = (ramp + noise).round().clip(0, 255).astype(np.uint8)
        left = 10 * index
        luma[60:90, left : left + 30] = rng.integers(0, 60, luma[60:90, left : left + 30].shape)
        if made:
            luma[:40] = made[-1].planes[0][:40]
        chroma = rng.normal(128, 1.5, (2, height // 2, width // 2)).round().astype(np.uint8)
        made.append(Frame(FORMATS["yuv420p"], (luma, *chroma), width, height))
    return made


def learning(frames: int) -> float:
    """The noise that is learned of a video, by code, against that of the plain learner."""
    video = ramp_video(frames)
    device, plain, worst = DeviceDenoiser(video[0], DEVICE), ReferenceDenoiser(), 0.0
    for number, frame in enumerate(video):
        strength = 1.0 if number % 3 else 0.6
        device.run(upload(frame), parameters(strength))
        # Its effort is less, which makes no difference to what it learns.
        plain(frame, strength, 1)
        expected = plain._fields[0]._learner.noise(strength)
        found = device._noise.cpu().numpy()
        for first, values in ((0, expected.variances), (8, 1 / np.sqrt(expected.variances))):
            gap = float(np.abs(found[first : first + 8] - hinges(values)).max())
            worst = max(worst, gap / float(values.max()))
        worst = max(worst, abs(float(found[17]) - expected.chroma_share))
        worst = max(worst, abs(float(found[18]) / expected.sigma - 1))
        assert worst < 1e-4, f"differs by a share of {worst:g} at frame {number}"
    return worst


def off(name: str, *, interlaced: bool = False) -> float:
    """With the strength 0 every sample stays as it is."""
    frame = random_frame(name, 35, 21, Colour(full_range=True))
    frame = replace(frame, interlaced=interlaced)
    got = codes_of(denoiser_for(frame, DEVICE).run(upload(frame), parameters(0.0)))
    unit = 1 / 255 if frame.format.bits == 32 else 2.0 ** (frame.format.bits - 8)
    if frame.format.layout == "packed" and frame.format.bits < 32:
        unit = (2.0**frame.format.bits - 1) / 255
    gap = largest(got, codes_of_own(frame, unit))
    assert gap < 1e-6, f"differs by {gap:g} codes"
    return gap


def codes_of_own(frame: Frame, unit: float) -> Planes:
    """Samples of a frame that was not filtered, in 8-bit codes."""
    planes = [p[:, :n] for p, (_, n) in zip(frame.planes, _shapes(frame), strict=True)]
    if frame.format.layout == "semiplanar":
        planes = [planes[0], planes[1][:, 0::2], planes[1][:, 1::2]]
    scale = unit * 2.0**frame.format.dropped_bits
    return [plane.astype(np.float64) / scale for plane in planes]


def _shapes(frame: Frame) -> list[tuple[int, int]]:
    return plane_shapes(frame.format, frame.width, frame.height)


def anew(name: str, *, interlaced: bool = False) -> float:
    """A new scene, ``reset``, or a frame that is not filtered leaves nothing of what was before."""
    frames = _video(name, (50, 34), Colour(), 2, interlaced)
    old, new = (denoiser_for(frames[0], DEVICE) for _ in range(2))
    expected = codes_of(new.run(upload(frames[1]), parameters(1.0)))
    old.run(upload(frames[0]), parameters(1.0))
    for how in ("new scene", "reset", "off"):
        if how == "reset":
            old.reset()
        elif how == "off":
            old.run(upload(frames[0]), parameters(0.0))
        again = old.run(upload(frames[1]), parameters(1.0, new_scene=how == "new scene"))
        gap = largest(codes_of(again), expected)
        assert gap == 0, f"differs by {gap:g} codes: {how}"
    return 0.0


def scene(height: int, width: int, seed: int) -> NDArray[np.float64]:
    """8-bit codes of a dark picture with detail of all sizes."""
    rng, picture = np.random.default_rng(seed), np.zeros((height, width))
    for size in (2, 4, 8, 16, 32, 64):
        grid = rng.normal(0, 1, (1, height // size + 2, width // size + 2)).astype(np.float32)
        picture += resize_bilinear(grid, height, width)[0] * size**0.7
    return np.clip(40 + picture / picture.std() * 8, 16, 235)


def noisy(name: str, luma: NDArray[np.float64], seed: int) -> Frame:
    """A planar 4:2:0 frame of such luma, with noise in it."""
    format, rng, (height, width) = FORMATS[name], np.random.default_rng(seed), luma.shape
    chroma = rng.normal(128, 2, (2, height // 2, width // 2))
    unit = 2.0 ** (format.bits - 8)
    planes = (luma + rng.normal(0, 5, luma.shape), *chroma)
    samples = tuple(np.rint(p.clip(0, 255) * unit).astype(format.dtype) for p in planes)
    return Frame(format, samples, width, height)


def motion_found(device: DeviceDenoiser, *, is_cut: bool = False) -> bool:
    """What was found of motion in the last frame, which was searched, and how the state has been
    carried along, against the CPU's; whether it has been. At a cut, what moves is chance."""
    flags, counters = device._flags.tolist(), device._counters.tolist()
    assert flags[kernels.SEARCHED.value], "the frame was not searched"
    now = flags[kernels.NOW.value]
    raw, state, chroma, left, small, found, vectors, noise = (
        tensor.cpu().numpy()
        for tensor in (
            device._raw, device._state, device._state_chroma, device._left, device._small,
            device._found, device._vectors, device._noise,
        )
    )  # fmt: skip
    sigma, scale = float(noise[kernels.SIGMA.value]), np.float32(1 / device._unit)
    cells = left.shape[1:]
    rows, columns = cells[0] // 2, cells[1] // 2
    pictures = [np.empty((rows, columns), np.float32) for _ in range(2)]
    quarter(raw[now], scale, pictures[0], 0, rows)
    quarter(state[1 - now], np.float32(1 / 256), pictures[1], 0, rows)
    got = small[:, : rows * columns].reshape(2, rows, columns)
    gap = float(np.abs(got - np.stack(pictures)).max())
    assert gap < 1e-4, f"small pictures differ by {gap:g} codes"

    # The CPU's choice among the vectors that were found here. Its last blocks are whole.
    down, across = (-(-n // rules.BLOCK_CELLS) for n in cells)
    vectors = np.ascontiguousarray(vectors.reshape(2, down, across)[::-1].transpose(1, 2, 0))
    mean = _with_neighbours(found.reshape(3, down, across))
    flow = mean.repeat(4, 0).repeat(4, 1)[:rows, :columns]
    chosen = np.empty_like(vectors)
    margin = np.float32(rules.MARGIN * sigma)
    choose_vectors(*pictures, np.ascontiguousarray(flow), np.float32(rules.BETTER), margin, chosen)
    differs = (chosen != vectors).any(-1)[: rows // 4, : columns // 4]
    assert differs.mean() < 0.03, f"{differs.sum()} blocks are chosen otherwise"

    # Its own search.
    search = MotionSearch((cells[0], cells[1]), Bands(threads=1))
    search._still_for = 0
    own = search.find(raw[now], scale, state[1 - now], sigma)
    own = np.zeros_like(vectors) if own is None else own
    moves, moves_there = vectors.any(-1), own.any(-1)
    counts = int(moves.sum()), int(moves_there.sum())
    both = moves & moves_there
    if not is_cut:
        assert abs(counts[0] - counts[1]) <= 0.2 * moves.size, f"{counts} blocks move"
    if both.any() and not is_cut:
        near = np.abs(vectors - own)[both].max(-1) <= 1
        assert near.mean() > 0.9, f"{near.mean():.0%} of the vectors are like the CPU's"

    assert counters[kernels.MOVED.value] == counts[0]
    carried = flags[kernels.OLD.value] == kernels.CARRIED.value
    goes_on = counters[kernels.MOVING_FOR.value] > 1
    many = counts[0] > rules.MOVING_SHARE * moves.size
    assert carried == (counts[0] > 0 and (many or goes_on))
    if carried:
        planes = [(state, 2), *((chroma[:, k], 1) for k in range(2)), (left, 1)]
        for plane, size in planes:
            expected = np.empty_like(plane[0])
            side = size * rules.BLOCK_CELLS
            move(np.ascontiguousarray(plane[1 - now]), vectors, side, 3 - size, expected, 0, down)
            np.testing.assert_array_equal(plane[2], expected)
    return carried


def _with_neighbours(found: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means ``(rows, columns, 2)`` of the vectors that were found near each block."""
    _, rows, columns = found.shape
    reach, apart = moving.NEIGHBOURS.value, moving.APART.value
    total, weight = np.zeros((2, rows, columns), np.float32), np.zeros((rows, columns), np.float32)
    steps = apart * np.arange(-reach, reach + 1)
    for y in steps:
        for x in steps:
            near = found[:, (np.arange(rows) + y).clip(0, rows - 1)]
            near = near[:, :, (np.arange(columns) + x).clip(0, columns - 1)]
            total += near[1::-1] * near[2]
            weight += near[2]
    return (total / weight).transpose(1, 2, 0)


def error(planes: Planes, clean: NDArray[np.float64]) -> float:
    """Of filtered luma, as root mean square."""
    return float(np.sqrt(np.mean((planes[0] - clean) ** 2)))


def following() -> float:
    """A camera that moves, a cut that nobody has noticed, and one that was: against the CPU."""
    height, width, frames = 100, 132, 4
    wide, other = scene(height + frames, width + 3 * frames, 0), scene(height, width, 1)
    seen = [wide[i : i + height, 3 * i : 3 * i + width] for i in range(frames)] + [other]
    video = [noisy("yuv420p", picture, i) for i, picture in enumerate(seen)]
    device = DeviceDenoiser(video[0], DEVICE)
    followed, without = (CPUDenoiser(Bands(threads=1), SlowStart()) for _ in range(2))
    ratio = 1.0
    with patch.object(rules, "PROBE_EVERY", 2):
        for number, (frame, clean) in enumerate(zip(video, seen, strict=True)):
            got = error(codes_of(device.run(upload(frame), parameters(1.0))), clean)
            expected, plain = (
                error(codes_of_plain(filter(frame, 1.0, effort), frame), clean)
                for filter, effort in ((followed, 3), (without, 2))
            )
            is_cut = number == frames
            carried = number > 0 and motion_found(device, is_cut=is_cut)
            assert carried == (number > 0) or is_cut
            ratio = got / expected
            assert 0.9 < ratio < 1.05, f"error {got:g}, on the CPU {expected:g}, frame {number}"
            if carried and not is_cut:
                assert got < 0.95 * plain, f"error {got:g}, without motion {plain:g}"
        again = codes_of(device.run(upload(video[0]), parameters(1.0, new_scene=True)))
    moving_for = device._counters.tolist()[kernels.MOVING_FOR.value]
    assert moving_for == 0, "the camera of a new scene moves"
    new = codes_of(DeviceDenoiser(video[0], DEVICE).run(upload(video[0]), parameters(1.0)))
    assert largest(again, new) == 0, "the old scene has left something"
    return ratio


def standing() -> float:
    """A camera that stands still, but is searched, changes nothing."""
    picture, worst = scene(98, 120, 2), 0.0
    video = [noisy("yuv420p10le", picture, i) for i in range(3)]
    device, plain = DeviceDenoiser(video[0], DEVICE), CPUDenoiser(Bands(threads=1), SlowStart())
    with patch.object(rules, "PROBE_EVERY", 2):
        for number, frame in enumerate(video):
            got = codes_of(device.run(upload(frame), parameters(1.0)))
            worst = max(worst, largest(got, codes_of_plain(plain(frame, 1.0, _EFFORT), frame)))
            assert worst < 0.25, f"differs by {worst:g} codes at frame {number}"
            if number % 2:
                assert not motion_found(device), "a camera that stands still is followed"
            else:
                assert not device._flags.tolist()[kernels.SEARCHED.value], "searched too often"
    return worst


def recorded_motion() -> float:
    """``recorded`` with a camera that moves."""
    wide = scene(190, 360, 0)
    frames = [noisy("yuv420p", wide[i : i + 178, 3 * i : 3 * i + 322], i) for i in range(12)]
    with patch.object(rules, "PROBE_EVERY", 2):
        return recorded(frames)


def recorded(frames: list[Frame]) -> float:
    """A recorded graph, replayed for each frame, against the same kernels one by one."""
    eager, replayed = (denoiser_for(frames[0], DEVICE) for _ in range(2))
    source, how = upload(frames[0]), parameters(1.0)
    stream: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        replayed.run(source, how)
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        out = replayed.run(source, how)
    replayed.reset()
    for number, frame in enumerate(frames):
        for plane, new in zip(source.planes, upload(frame).planes, strict=True):
            plane[:] = new
        how[1] = float(number == 8)
        graph.replay()
        expected = codes_of(eager.run(upload(frame), parameters(1.0, new_scene=number == 8)))
        assert largest(codes_of(out), expected) == 0, f"differs at frame {number}"
    return 0.0


def in_one_pass(
    name: str, out: str, size: tuple[int, int], colour: Colour, *, gain: float = 1.0,
    strength: float = 1.0, map_size: tuple[int, int] = (4, 5),
) -> float:  # fmt: skip
    """The last filter and the curve of light maps as one kernel, against the two of them."""
    frames = noisy_video(name, *size, colour, 2)
    apart, together = (DeviceDenoiser(frames[0], DEVICE, fused=fused) for fused in (False, True))
    maps = torch.from_numpy(half_light_maps(*map_size).values).half().to(DEVICE)
    lines = torch.empty((*maps.shape[:2], together.line_width), device=DEVICE)
    stretch(maps, lines, size[0])
    lit, worst = torch.tensor([gain], device=DEVICE), 0.0
    for frame in frames:
        kind = FORMATS[out]
        expected, got = (upload(blank(random_frame(out, *size, colour))) for _ in range(2))
        apply_light_curve(apart.run(upload(frame), parameters(strength)), maps, expected, gain=lit)
        together.load(upload(frame))
        together.filter_all_but_luma(parameters(strength))
        together.filter_luma_and_enhance(lines, map_size[0], lit, got)
        pairs = zip(download(got).planes, download(expected).planes, strict=True)
        gaps = [np.abs(a.astype(np.int64) - b.astype(np.int64)) >> kind.dropped_bits
                for a, b in pairs]  # fmt: skip
        allowed = 1 if gain * strength else 0
        worst = max(worst, *(float(gap.max()) for gap in gaps))
        assert worst <= allowed << max(0, kind.bits - 8), f"differs by {worst:g} codes"
        share = max(float((gap > 0).mean()) for gap in gaps)
        assert share < 0.02 or kind.bits > 8, f"{share:.1%} differ"
    return worst


def denoise_checks() -> Iterator[Check]:
    """Every check of the denoiser; without a card, where they take long, of fewer formats."""
    some = "nv12 p010le yuv422p bgr24".split()
    if THOROUGH:
        some += "yuv420p10le yuv444p rgb24 rgbf32le".split()
    for number, name in enumerate(SUPPORTED if HAS_GPU else some):
        size, colour = (101, 67), Colour("bt601", full_range=True)
        if number % 2:
            size, colour = (90, 63), Colour()
        strengths = [1.0, 1.0, 0.4, 1.0] if HAS_GPU or name == "nv12" else [1.0, 1.0]
        yield Check(f"denoise {name}", partial(filtering, name, size, colour, strengths))
    for name, size in (
        ("nv12", (1, 1)), ("nv12", (300 if HAS_GPU else 140, 21)),
        *([("yuv420p", (7, 150))] if HAS_GPU or THOROUGH else []),
    ):  # fmt: skip
        run = partial(filtering, name, size, Colour(), [1.0, 1.0])
        yield Check(f"denoise {name} {size[0]}x{size[1]}", run)
    full, limited = Colour("bt601", full_range=True), Colour()
    kinds: list[tuple[str, str, tuple[int, int], Colour, dict[str, Any]]] = [
        ("p010le", "p010le", (34, 67), limited, {"map_size": (16, 9)}),
        ("nv12", "yuv420p", (67, 21), full, {"gain": 0.0}),
        ("nv12", "nv12", (1, 1), limited, {}),
        ("nv12", "nv12", (90, 63), limited, {}), ("yuv420p", "nv12", (141, 26), full, {}),
        ("yuv420p10le", "yuv420p10le", (66, 22), limited, {"gain": 0.0, "strength": 0.0}),
    ]  # fmt: skip
    for name, out, size, colour, how in kinds if HAS_GPU or THOROUGH else kinds[:3]:
        run = partial(in_one_pass, name, out, size, colour, **how)
        words = " ".join(f"{key} {value}" for key, value in how.items())
        what = f"denoise {name} {size[0]}x{size[1]} and enhance to {out} {words}"
        yield Check(what.rstrip(), run)
    yield from _field_checks()
    yield Check("denoise learning", partial(learning, 26 if HAS_GPU else 10))
    for name in SUPPORTED if HAS_GPU else ("nv12", "yuv422p10le", "bgr24"):
        yield Check(f"denoise {name} strength 0", partial(off, name))
    yield Check("denoise nv12 anew", partial(anew, "nv12"))
    yield Check("denoise following motion", following)
    yield Check("denoise standing still", standing)
    if HAS_GPU:
        for name in ("nv12", "yuv444p", "bgr24"):
            frames = noisy_video(name, 322, 178, Colour(), 12)
            yield Check(f"denoise {name} recorded", partial(recorded, frames))
        frames = _video("nv12", (322, 178), Colour(), 12, interlaced=True)
        yield Check("denoise nv12 interlaced recorded", partial(recorded, frames))
        yield Check("denoise motion recorded", recorded_motion)


def _field_checks() -> Iterator[Check]:
    """Interlaced frames: heights after whose division by four 0 to 3 rows remain, since a field's
    chroma may have a row less than its luma needs, and heights with hardly any fields."""
    sizes = ("yuv420p", (43, 45)), ("nv12", (20, 4)), ("nv12", (20, 3))
    more = [
        ("nv12", (90, 70)), ("yuv422p10le", (35, 31)), ("p010le", (50, 39)), ("yuv444p", (37, 46)),
        ("yuv420p10le", (50, 44)),
    ]  # fmt: skip
    for name, size in (*sizes, *(more if HAS_GPU or THOROUGH else [])):
        strengths = [1.0, 1.0, 0.4, 1.0] if size == (90, 70) else [1.0, 1.0]
        run = partial(filtering, name, size, Colour(), strengths, interlaced=True)
        yield Check(f"denoise {name} {size[0]}x{size[1]} interlaced", run)
    if HAS_GPU or THOROUGH:
        yield Check("denoise nv12 interlaced anew", partial(anew, "nv12", interlaced=True))
    for name in ("nv12", "yuv422p10le") if HAS_GPU or THOROUGH else ("nv12",):
        run = partial(off, name, interlaced=True)
        yield Check(f"denoise {name} interlaced strength 0", run)
