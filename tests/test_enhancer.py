"""The class people use, on arrays: every dtype and order, and the published programs."""

from __future__ import annotations

import multiprocessing
import pickle
import sys
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from tests.support.published import dcenet_maps, plus_maps, random_pth, zero_dce, zero_dce_plus
from zerodce_rt.backends.cpu.reference_frames import from_rgb, to_rgb
from zerodce_rt.backends.cpu.runner import CPURunner
from zerodce_rt.curve.working_size import WorkingSize
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.frame import FORMATS, Frame, from_array, plane_shapes


def dark(height: int = 45, width: int = 70, seed: int = 0) -> NDArray[np.uint8]:
    """A dark picture with coarse structure, fine detail and all three channels different."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    base = np.dstack([x / width, y / height, 1 - x / width])
    return (10 + 60 * base + random.integers(0, 12, (height, width, 3))).astype(np.uint8)


def enhancer(**options: Any) -> Enhancer:
    defaults: dict[str, Any] = {"backend": "torch", "threads": 2}
    return Enhancer(**(defaults | options))


@pytest.fixture(scope="module")
def plain() -> Enhancer:
    return enhancer(working_size=32)


# Kinds of arrays


def test_it_brightens_a_dark_picture(plain: Enhancer) -> None:
    frame = dark()
    assert plain(frame).mean() > 2 * frame.mean()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("size", [(45, 70), (1, 1), (1, 33), (17, 2)])
def test_shape_and_dtype_are_kept(plain: Enhancer, dtype: str, size: tuple[int, int]) -> None:
    frame = dark(*size).astype(dtype) / (255 if dtype == "float32" else 1)
    frame = frame.astype(dtype)
    before = frame.copy()
    result = plain(frame)
    assert result.shape == frame.shape
    assert result.dtype == frame.dtype
    assert result.flags.c_contiguous
    assert not np.shares_memory(result, frame)
    np.testing.assert_array_equal(frame, before)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_bgr_is_rgb_reversed(plain: Enhancer, dtype: str) -> None:
    frame = (dark() / (255 if dtype == "float32" else 1)).astype(dtype)
    expected = plain(frame)[..., ::-1]
    np.testing.assert_array_equal(plain(frame[..., ::-1], order="bgr"), expected)
    assert not np.array_equal(plain(frame[..., ::-1]), expected)


def test_all_depths_agree(plain: Enhancer) -> None:
    frame = dark()
    exact = plain((frame / 255).astype(np.float32)).astype(np.float64)
    assert np.abs(plain(frame) - exact * 255).max() <= 0.51
    deep = plain(frame.astype(np.uint16) * 257)
    assert np.abs(deep - exact * 65535).max() <= 16  # noise is removed in 16-bit planes
    # More depth than 8 bits can hold is kept.
    assert len(np.unique(deep % 257)) > 200


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("applier", ["cpu", "reference"])
def test_strength_0_returns_the_frame_bit_for_bit(dtype: str, applier: str) -> None:
    if dtype == "float32":
        frame = np.random.default_rng(0).random((128, 171, 3), np.float32)
    else:
        # Every value that there is.
        top = np.iinfo(dtype).max
        frame = np.resize(np.arange(top + 1, dtype=dtype), (128, 171, 3))
    result = enhancer(strength=0, working_size=32, applier=applier)(frame)
    np.testing.assert_array_equal(result, frame)


@pytest.mark.parametrize("name", FORMATS)
def test_strength_0_returns_every_format_bit_for_bit(name: str) -> None:
    format, random = FORMATS[name], np.random.default_rng(0)
    planes = tuple(
        random.random(shape, np.float32) if format.bits == 32
        else random.integers(0, 2**format.bits, shape).astype(format.dtype)
        for shape in plane_shapes(format, 37, 21)
    )  # fmt: skip
    frame = Frame(format, planes, 37, 21)
    target = frame.empty_like()
    enhancer(strength=0, working_size=32).enhance(frame, target)
    for before, after in zip(frame.planes, target.planes, strict=True):
        np.testing.assert_array_equal(before, after)


def test_more_strength_is_brighter() -> None:
    means = [enhancer(strength=s, working_size=32)(dark()).mean() for s in (0, 0.3, 0.7, 1)]
    assert means == sorted(means)
    assert means[0] == dark().mean()
    assert means[1] - means[0] > 1
    assert means[3] - means[2] > 1


def flipped(frame: NDArray[Any]) -> NDArray[Any]:
    return frame[::-1, ::-1]


def every_other(frame: NDArray[Any]) -> NDArray[Any]:
    return frame[::2, 1::3]


def transposed(frame: NDArray[Any]) -> NDArray[Any]:
    return frame.transpose(1, 0, 2)


def planes_apart(frame: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(frame.transpose(2, 0, 1)).transpose(1, 2, 0)


@pytest.mark.parametrize("view", [flipped, every_other, transposed, planes_apart])
def test_any_memory_layout_works(plain: Enhancer, view: Any) -> None:
    frame = view(dark())
    assert not frame.flags.c_contiguous
    np.testing.assert_array_equal(plain(frame), plain(np.ascontiguousarray(frame)))


@pytest.mark.parametrize(
    "shape", [(4, 4), (4, 4, 1), (4, 4, 4), (1, 1, 4, 4, 3), (0, 4, 3), (4, 0, 3)]
)
def test_another_shape_is_refused(plain: Enhancer, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="height, width, 3") as error:
        plain(np.zeros(shape, np.uint8))
    assert str(shape) in str(error.value)


@pytest.mark.parametrize("dtype", ["float64", "int16", "bool", "float16"])
def test_another_dtype_is_refused(plain: Enhancer, dtype: str) -> None:
    with pytest.raises(ValueError, match=f"uint8, uint16 or float32, not {dtype}"):
        plain(np.zeros((4, 4, 3), dtype))


@pytest.mark.parametrize("order", ["RGB", "gbr", ""])
def test_another_order_is_refused(plain: Enhancer, order: str) -> None:
    with pytest.raises(ValueError, match=f"'rgb' or 'bgr', not '{order}'"):
        plain(dark(), order=order)


def test_float_frames_are_held_in_range() -> None:
    frame = (dark() / 255).astype(np.float32)
    frame[0, 0], frame[0, 1] = -0.5, 1.5
    result = enhancer(denoise=0)(frame)
    np.testing.assert_array_equal(result[0, 0], 0)
    np.testing.assert_array_equal(result[0, 1], 1)


# Appliers and threads


@pytest.mark.parametrize("working_size", [32, "full", "1/4"])
@pytest.mark.parametrize("model", ["plus", "dcenet"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_the_fast_applier_equals_the_reference(
    tmp_path: Path, model: str, working_size: int | str, dtype: str
) -> None:
    random_pth(tmp_path / "w.pth", model)
    top = 1.0 if dtype == "float32" else float(np.iinfo(dtype).max)
    frame = (np.random.default_rng(0).random((41, 67, 3)) * top).astype(dtype)
    fast, reference = (
        enhancer(
            weights=tmp_path / "w.pth",
            working_size=working_size,
            applier=applier,
            max_level=1,
            denoise=0,
        )(frame)
        for applier in ("cpu", "reference")
    )
    difference = np.abs(fast.astype(np.float64) - reference) / top
    # One code where a value lies at the edge of rounding; float32 alone for float.
    assert difference.max() <= (2e-5 if dtype != "uint8" else 1 / 255 + 1e-9)
    assert np.abs(reference.astype(np.float64) - frame).max() / top > 0.1


@pytest.mark.parametrize("threads", [1, 3, 7, 100])
def test_the_number_of_threads_changes_nothing(plain: Enhancer, threads: int) -> None:
    frame = dark(23, 31)
    result = enhancer(working_size=32, threads=threads)(frame)
    np.testing.assert_array_equal(result, plain(frame))


def test_unknown_applier_lists_the_valid_ones() -> None:
    with pytest.raises(ValueError, match="'cpu' or 'reference', not 'gpu'"):
        enhancer(applier="gpu")


# Settings


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (160, WorkingSize(long_side=160)),
        ("160", WorkingSize(long_side=160)),
        (16, WorkingSize(long_side=16)),
        ("full", WorkingSize()),
        ("1/12", WorkingSize(divisor=12)),
        ("1/2", WorkingSize(divisor=2)),
        (WorkingSize(divisor=3), WorkingSize(divisor=3)),
    ],
)
def test_working_size_is_parsed(value: int | str | WorkingSize, expected: WorkingSize) -> None:
    assert WorkingSize.parse(value) == expected


@pytest.mark.parametrize(
    "value", [15, 0, -160, "", "Full", "half", "1/1", "1/0", "2/3", "1/", "1/-2", "160.0", "1/2.5"]
)
def test_a_bad_working_size_says_what_is_valid(value: int | str) -> None:
    with pytest.raises(ValueError, match=r"long side.*'full'.*'1/12', not") as error:
        enhancer(working_size=value)
    assert repr(str(value)) in str(error.value)


@pytest.mark.parametrize(
    ("value", "frame", "expected"),
    [
        (160, (1080, 1920), (88, 160)),
        (160, (1920, 1080), (160, 88)),
        (160, (160, 160), (160, 160)),
        (160, (100, 120), (100, 120)),
        (160, (3, 4000), (1, 160)),
        (100, (333, 1000), (32, 100)),
        ("full", (1081, 1921), (1081, 1921)),
        ("1/12", (1080, 1920), (90, 160)),
        ("1/12", (1081, 1931), (90, 160)),
        ("1/12", (5, 30), (1, 2)),
    ],
)
def test_working_sizes(value: int | str, frame: tuple[int, int], expected: tuple[int, int]) -> None:
    assert WorkingSize.parse(value).of(*frame) == expected


def test_fractions_round_like_torch() -> None:
    for divisor in range(2, 60):
        for size in range(divisor, 400, 7):
            expected = F.interpolate(
                torch.zeros(1, 1, 1, size), scale_factor=(1, 1 / divisor), mode="bilinear"
            ).shape[-1] if size * (1 / divisor) >= 1 else 1  # fmt: skip
            assert WorkingSize(divisor=divisor).of(size, size)[1] == expected, (size, divisor)


def test_the_file_decides_the_model_and_a_contradiction_is_refused(tmp_path: Path) -> None:
    random_pth(tmp_path / "w.pth", "dcenet")
    assert enhancer(weights=tmp_path / "w.pth").model == "dcenet"
    assert enhancer(weights=str(tmp_path / "w.pth"), model="dcenet").model == "dcenet"
    with pytest.raises(ZeroDCEError, match="'dcenet', not 'plus'") as error:
        enhancer(weights=tmp_path / "w.pth", model="plus")
    assert str(tmp_path / "w.pth") in str(error.value)


@pytest.mark.parametrize("bad", [{"strength": 1.5}, {"smoothing_seconds": -1}, {"max_level": 0}])
def test_settings_are_validated(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        enhancer(**bad)


def test_frames_with_a_time_are_smoothed_and_others_stand_alone() -> None:
    bright, darker = dark(), (dark() * 0.8).astype(np.uint8)
    calm, plain = enhancer(smoothing_seconds=0.5, denoise=0), enhancer(denoise=0)
    calm(darker, seconds=0.0)
    alone = plain(bright)
    frame = from_array(bright)
    target = frame.empty_like()
    calm.enhance(frame, target)
    np.testing.assert_array_equal(target.planes[0].reshape(bright.shape), alone)
    smoothed = calm(bright, seconds=0.01)
    # It still wears the stronger maps of the darker picture.
    assert smoothed.mean() > alone.mean() + 0.5
    np.testing.assert_allclose(calm(bright, seconds=60.0), alone, atol=1)


@pytest.mark.parametrize("applier", ["cpu", "reference"])
def test_a_part_of_a_video_is_as_in_the_whole_after_the_warm_up(applier: str) -> None:
    options: dict[str, Any] = {"denoise": 0, "smoothing_seconds": 0.1, "applier": applier}
    video = enhancer(estimate_seconds=0.1, **options)
    times = [round(n / 25, 3) for n in range(36)]
    # It grows lighter, with noise; a cut; and darker again.
    light = [0.6 + n / 36 if n < 20 else 2 - n / 36 for n in range(36)]
    frames = [(dark(30, 48, n) * light[n]).astype(np.uint8) for n in range(36)]

    def run(start: int) -> list[NDArray[np.uint8]]:
        video.reset()
        return [video(frames[n], seconds=times[n]) for n in range(start, len(frames))]

    whole, warm_up = run(0), video.settings.warm_up_seconds
    for start in range(5, 22, 1 if applier == "cpu" else 6):
        part = run(start)
        first = next(n for n, t in enumerate(times) if t - times[start + 1] >= warm_up)
        np.testing.assert_array_equal(part[first - start :], whole[first:])
    assert not np.array_equal(part[0], whole[start])


def test_what_may_change_between_images_does_and_is_checked() -> None:
    changing = enhancer(working_size=32)
    full = changing(dark())
    changing.strength = 0.5
    assert changing.strength == changing.settings.strength == 0.5
    np.testing.assert_array_equal(changing(dark()), enhancer(working_size=32, strength=0.5)(dark()))
    assert changing(dark()).mean() < full.mean()
    changing.strength, changing.max_level = 1, 0.2
    np.testing.assert_array_equal(
        changing(dark()), enhancer(working_size=32, max_level=0.2)(dark())
    )
    changing.smoothing_seconds, changing.estimate_seconds = 0.5, 0.1
    assert (changing.smoothing_seconds, changing.estimate_seconds) == (0.5, 0.1)
    for name, bad in (
        ("strength", 7), ("strength", -0.1), ("strength", float("nan")), ("max_level", 0),
        ("smoothing_seconds", -1), ("estimate_seconds", float("inf")),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"{name}` must be"):
            setattr(changing, name, bad)
    assert (changing.strength, changing.max_level) == (1, 0.2)


@pytest.mark.parametrize("name", ["strengh", "model", "backend", "working_size", "runner", "fps"])
def test_what_cannot_change_is_an_error(plain: Enhancer, name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(plain, name, 0.5)


def test_noise_is_removed_unless_a_published_program_is_reproduced() -> None:
    assert enhancer().denoise == Enhancer.for_video().denoise == 1
    assert enhancer(working_size="full").denoise == enhancer(working_size="1/12").denoise == 0
    assert enhancer(working_size="full", denoise=0.5).denoise == 0.5
    changing = enhancer()
    changing.denoise = 0
    np.testing.assert_array_equal(changing(dark()), enhancer(denoise=0)(dark()))
    with pytest.raises(ValueError, match="`denoise` must be between 0 and 1, not 2"):
        changing.denoise = 2
    with pytest.raises(ValueError, match="`denoise_effort` must be"):
        changing.denoise_effort = 4


def test_repr_shows_what_it_is() -> None:
    assert repr(enhancer(strength=0.5)) == (
        "Enhancer(model='light', backend='torch', working_size='64', strength=0.5, max_level=0.5, "
        "denoise=1.0)"
    )
    assert "smoothing_seconds=0.5, estimate_seconds=0.1, fps=30)" in repr(
        Enhancer.for_video(fps=30, backend="torch")
    )


def test_a_closed_enhancer_has_no_threads_and_says_so() -> None:
    others = set(threading.enumerate())
    with enhancer(threads=3) as opened:
        opened(dark())
        started = [t for t in threading.enumerate() if t not in others]
        own = [t for t in started if t.name.startswith("zerodce-apply")]
        assert own
    assert not any(t.is_alive() for t in own)
    with pytest.raises(RuntimeError, match="closed; make another"):
        opened(dark())
    opened.close()
    assert repr(opened).startswith("closed Enhancer(")


def test_a_copy_by_pickle_does_the_same(tmp_path: Path) -> None:
    random_pth(tmp_path / "w.pth", "plus")
    first = enhancer(weights=tmp_path / "w.pth", working_size="1/4", fps=25, strength=0.9)
    first.strength, first.smoothing_seconds = 0.6, 0.3
    other = pickle.loads(pickle.dumps(first))
    assert repr(other) == repr(first)
    for _ in range(2):
        np.testing.assert_array_equal(other(dark()), first(dark()))


def _error_in_child(shared: Enhancer, answers: Any) -> None:
    try:
        shared(dark())
    except RuntimeError as error:
        answers.put(str(error))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_raises_instead_of_waiting_for_ever(plain: Enhancer) -> None:
    plain(dark())
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=_error_in_child, args=(plain, answers), daemon=True)
    child.start()
    try:
        assert "make one in each process" in answers.get(timeout=60)
    finally:
        child.kill()
        child.join()


@pytest.mark.parametrize("name", ["strength", "smoothing_seconds", "max_level", "fps", "threads"])
def test_a_setting_of_a_wrong_type_is_named(name: str) -> None:
    with pytest.raises(TypeError, match=f"`{name}` must be a number, not '0.5'"):
        enhancer(**{name: "0.5"})


def test_options_of_for_video_may_be_replaced() -> None:
    still = Enhancer.for_video(backend="torch", smoothing_seconds=0.0, estimate_seconds=0.0)
    np.testing.assert_array_equal(still(dark()), enhancer()(dark()))


# Light


def lit_person(height: int = 90, width: int = 160) -> NDArray[np.float32]:
    """A smooth picture with a lit ellipse in a dark room, RGB in [0, 1]."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    lit = 1 / (1 + np.exp(12 * (np.hypot((x / width - 0.5) / 0.2, (y / height - 0.5) / 0.4) - 1)))
    colour = np.dstack([0.5 + 0.2 * x / width, 0.45 + 0.1 * y / height, 0.4 + 0 * x])
    return (colour * (0.12 + 0.75 * lit[..., None])).astype(np.float32)


def test_a_lit_person_stays_as_lit_while_the_room_is_lifted() -> None:
    given = lit_person()
    result = enhancer(denoise=0)(given)
    old = enhancer(model="plus", denoise=0)(given)
    person, room = np.s_[35:55, 70:90], np.s_[:15, :30]
    assert result[room].mean() > 2 * given[room].mean()
    assert abs(result[person].mean() - given[person].mean()) < 0.15
    assert old[person].mean() - given[person].mean() > 0.2


@pytest.mark.parametrize("name", ["yuv444p", "yuv420p", "nv12", "yuyv422", "yuv420p10le", "bgr24"])
def test_every_format_shows_the_same_light(name: str) -> None:
    rgb = lit_person()
    expected = enhancer(denoise=0)(rgb)
    frame = blank_frame(name, rgb.shape[1], rgb.shape[0])
    from_rgb(rgb.transpose(2, 0, 1).astype(np.float64), frame)
    out = frame.empty_like()
    enhancer(denoise=0).enhance(frame, out)
    got = to_rgb(out).transpose(1, 2, 0)
    assert np.abs(got - expected).mean() < 0.01
    assert np.quantile(np.abs(got - expected), 0.99) < 0.04


def blank_frame(name: str, width: int, height: int) -> Frame:
    format = FORMATS[name]
    planes = tuple(np.zeros(s, format.dtype) for s in plane_shapes(format, width, height))
    return Frame(format, planes, width, height)


def test_strength_is_smooth() -> None:
    given = lit_person()
    pictures = [enhancer(denoise=0, strength=s)(given) for s in np.linspace(0, 1, 11)]
    assert (pictures[0] == given).all()
    assert max(float(np.abs(b - a).max()) for a, b in pairwise(pictures)) < 0.12
    means = [float(p.mean()) for p in pictures]
    assert means == sorted(means)


def test_the_published_working_sizes_are_for_the_networks_of_the_papers() -> None:
    assert enhancer(working_size="full").model == "plus"
    assert enhancer(working_size="1/12").model == "plus"
    with pytest.raises(ValueError, match=r"`working_size='full'`.*plus and dcenet"):
        enhancer(model="light", working_size="full")


@pytest.mark.parametrize("model", ["plus", "dcenet"])
def test_a_well_lit_picture_is_left_as_it_is(model: str) -> None:
    bright = dark() + np.uint8(100)
    assert bright.mean() > 128
    np.testing.assert_array_equal(enhancer(model=model)(bright), bright)
    assert enhancer(model=model, max_level=1)(bright).mean() > 180


@pytest.mark.parametrize("model", ["plus", "dcenet"])
def test_no_picture_is_lifted_above_the_level(model: str) -> None:
    limited, free = enhancer(model=model), enhancer(model=model, max_level=1)
    means = []
    for share in (0.1, 0.3, 1, 1.8, 2.2):
        frame = (dark() * share).astype(np.uint8)
        means.append(limited(frame).mean() / 255)
        if free(frame).mean() / 255 < 0.5:
            np.testing.assert_array_equal(limited(frame), free(frame))
        else:
            assert means[-1] == pytest.approx(0.5, abs=0.02)
    assert means[0] < 0.4
    assert means == pytest.approx(sorted(means), abs=0.02)


def test_the_published_working_sizes_know_no_level() -> None:
    bright = dark() + np.uint8(100)
    for working_size in ("full", "1/2"):
        free = enhancer(working_size=working_size)(bright)
        assert free.mean() > bright.mean() + 20
        np.testing.assert_array_equal(
            enhancer(working_size=working_size, max_level=1)(bright), free
        )
        held = enhancer(working_size=working_size, max_level=0.5)(bright)
        np.testing.assert_array_equal(held, bright)


# The published programs


def random_image(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(5))


def as_frame(image: Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(image[0].permute(1, 2, 0).numpy())


def assert_reproduces(result: NDArray[np.float32], expected: Tensor, image: Tensor) -> None:
    assert float((expected - image).abs().mean()) > 0.1, "the program must do something"
    np.testing.assert_allclose(result, as_frame(expected), atol=1e-5)


@pytest.mark.parametrize("size", [(48, 64), (37, 53)])
@pytest.mark.parametrize("applier", ["cpu", "reference"])
def test_published_zero_dce(tmp_path: Path, size: tuple[int, int], applier: str) -> None:
    state, image = random_pth(tmp_path / "Epoch99.pth", "dcenet"), random_image(*size)
    assert float(dcenet_maps(state, image).abs().mean()) > 0.2
    published = enhancer(weights=tmp_path / "Epoch99.pth", working_size="full", applier=applier)
    assert_reproduces(published(as_frame(image)), zero_dce(state, image), image)


@pytest.mark.parametrize(
    ("divisor", "size"),
    [(12, (96, 144)), (12, (24, 12)), (4, (36, 92)), (7, (49, 70)), (2, (2, 6))],
)
@pytest.mark.parametrize("applier", ["cpu", "reference"])
def test_published_zero_dce_plus(
    tmp_path: Path, divisor: int, size: tuple[int, int], applier: str
) -> None:
    state, image = random_pth(tmp_path / "Epoch99.pth", "plus"), random_image(*size)
    small = F.interpolate(image, scale_factor=1 / divisor, mode="bilinear")
    assert float(plus_maps(state, small).abs().mean()) > 0.2
    published = enhancer(
        weights=tmp_path / "Epoch99.pth", working_size=f"1/{divisor}", applier=applier
    )
    assert_reproduces(published(as_frame(image)), zero_dce_plus(state, image, divisor), image)


@pytest.mark.parametrize("size", [(97, 150), (13, 12), (5, 40)])
def test_a_fraction_works_for_any_size(tmp_path: Path, size: tuple[int, int]) -> None:
    random_pth(tmp_path / "w.pth", "plus")
    image = random_image(*size)
    bright = enhancer(weights=tmp_path / "w.pth", working_size="1/12")
    assert isinstance(bright.runner, CPURunner)
    maps = bright.runner.curve_maps(from_array(as_frame(image)), None)
    assert maps.values.shape == (3, max(1, size[0] // 12), max(1, size[1] // 12))
    assert maps.align_corners
    result = bright(as_frame(image))
    assert np.isfinite(result).all()
    assert result.min() >= 0
    assert result.max() <= 1
