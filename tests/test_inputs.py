"""What people hold goes in and comes out as the same kind of thing, and brighter."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from zerodce_rt import Enhancer


@pytest.fixture(scope="module")
def enhancer() -> Enhancer:
    return Enhancer(working_size=32, backend="torch", threads=1)


def dark(height: int = 24, width: int = 40, seed: int = 0) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    base = np.dstack([x / width, y / height, 1 - x / width])
    return (8 + 50 * base + rng.integers(0, 8, (height, width, 3))).astype(np.uint8)


# Arrays


def test_a_batch_is_its_images_one_by_one(enhancer: Enhancer) -> None:
    batch = np.stack([dark(seed=n) for n in range(3)])
    result = enhancer(batch)
    assert (result.shape, result.dtype) == (batch.shape, batch.dtype)
    for one, image in zip(result, batch, strict=True):
        np.testing.assert_array_equal(one, enhancer(image))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_out_is_filled_and_returned(enhancer: Enhancer, dtype: str) -> None:
    image = (dark() / (255 if dtype == "float32" else 1)).astype(dtype)
    expected = enhancer(image)
    out = np.zeros_like(image)
    assert enhancer(image, out=out) is out
    np.testing.assert_array_equal(out, expected)
    strided = np.zeros((24, 80, 3), dtype)[:, ::2]
    assert enhancer(image, out=strided) is strided
    np.testing.assert_array_equal(strided, expected)


def test_an_image_may_be_its_own_out(enhancer: Enhancer) -> None:
    image = dark()
    expected = enhancer(image)
    enhancer(image, out=image)
    np.testing.assert_array_equal(image, expected)
    memory = np.zeros(24 * 40 * 3 + 7, np.uint8)
    before, after = (memory[n : n + 24 * 40 * 3].reshape(24, 40, 3) for n in (0, 7))
    before[:] = dark()
    enhancer(before, out=after)  # they overlap
    np.testing.assert_array_equal(after, expected)


@pytest.mark.parametrize(
    "out", [np.zeros((24, 41, 3), np.uint8), np.zeros((24, 40, 3), np.uint16), [1], torch.zeros(3)]
)
def test_an_out_that_does_not_fit_is_refused(enhancer: Enhancer, out: Any) -> None:
    with pytest.raises(ValueError, match=r"`out` must be .* \(24, 40, 3\) and uint8"):
        enhancer(dark(), out=out)


def test_an_out_that_is_read_only_stays_as_it_is(enhancer: Enhancer) -> None:
    out = np.zeros((24, 40, 3), np.uint8)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="cannot be written to"):
        enhancer(dark(), out=out)
    assert not out.any()


@pytest.mark.parametrize("worst", [255.0, 1.6, -1.0, np.nan, np.inf])
def test_floats_in_another_range_are_refused(enhancer: Enhancer, worst: float) -> None:
    image = (dark() / 255).astype(np.float32)
    image[3, 3, 1] = worst
    with pytest.raises(ValueError, match=r"must be in \[0, 1\].*(reaches from|contains NaN)"):
        enhancer(image)
    with pytest.raises(ValueError, match=r"must be in \[0, 1\]"):
        enhancer(torch.from_numpy(image).permute(2, 0, 1))


# Tensors

TOLERANCES = {
    torch.uint8: 0.0, torch.uint16: 0.0, torch.float16: 2e-3, torch.bfloat16: 1e-2,
    torch.float32: 0.0, torch.float64: 1e-6,
}  # fmt: skip


def as_tensor(image: NDArray[np.uint8], dtype: torch.dtype) -> torch.Tensor:
    planar = torch.from_numpy(image).permute(2, 0, 1)
    if dtype == torch.uint16:
        return torch.from_numpy(image.astype(np.uint16) * 257).permute(2, 0, 1)
    return planar if dtype == torch.uint8 else (planar.double() / 255).to(dtype)


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_tensors_come_back_as_they_went_in(enhancer: Enhancer, dtype: torch.dtype) -> None:
    image = as_tensor(dark(), dtype)
    before = image.clone()
    result = enhancer(image)
    assert (result.shape, result.dtype, result.device) == (image.shape, dtype, image.device)
    assert result.is_contiguous()
    assert torch.equal(image, before)
    work = {torch.uint8: np.uint8, torch.uint16: np.uint16}.get(dtype, np.float32)
    packed = image if dtype in (torch.uint8, torch.uint16) else image.float()
    expected = enhancer(np.ascontiguousarray(packed.permute(1, 2, 0).numpy()).astype(work))
    gap = np.abs(result.double().permute(1, 2, 0).numpy() - expected.astype(np.float64))
    assert gap.max() <= TOLERANCES[dtype]
    assert result.double().mean() > 1.5 * image.double().mean()


def test_a_batch_of_tensors_with_out(enhancer: Enhancer) -> None:
    batch = torch.stack([as_tensor(dark(seed=n), torch.float32) for n in range(2)])
    out = torch.zeros_like(batch)
    assert enhancer(batch, order="bgr", out=out) is out
    for one, image in zip(out, batch, strict=True):
        assert torch.equal(one, enhancer(image, order="bgr"))
    with pytest.raises(ValueError, match="`out` must be a tensor"):
        enhancer(batch, out=out[0])


def test_a_tensor_that_wants_a_gradient(enhancer: Enhancer) -> None:
    image = as_tensor(dark(), torch.float32).requires_grad_()
    result = enhancer(image)
    assert not result.requires_grad
    assert torch.equal(result, enhancer(image.detach()))


@pytest.mark.parametrize("shape", [(24, 40, 3), (24, 40), (1, 24, 40), (2, 4, 24, 40), (3, 0, 4)])
def test_a_tensor_of_another_shape_is_refused(enhancer: Enhancer, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\(3, height, width\)") as error:
        enhancer(torch.zeros(shape))
    assert str(shape) in str(error.value)


@pytest.mark.parametrize("dtype", [torch.int32, torch.bool, torch.complex64])
def test_a_tensor_of_another_dtype_is_refused(enhancer: Enhancer, dtype: torch.dtype) -> None:
    with pytest.raises(ValueError, match=f"uint8, uint16 or float, not {dtype}"):
        enhancer(torch.zeros((3, 4, 4), dtype=dtype))


# PIL


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA"])
def test_pil_images_keep_mode_alpha_and_metadata(enhancer: Enhancer, mode: str) -> None:
    image = Image.fromarray(dark()).convert(mode)
    if mode[-1] == "A":
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    image.info["icc_profile"] = b"a profile"
    result = enhancer(image)
    assert isinstance(result, Image.Image)
    assert (result.mode, result.size) == (mode, image.size)
    assert result.info == image.info
    if mode[-1] == "A":
        np.testing.assert_array_equal(
            np.asarray(result.getchannel("A")), np.asarray(image.getchannel("A"))
        )
    if mode == "RGB":
        np.testing.assert_array_equal(np.asarray(result), enhancer(np.asarray(image)))
    grey = np.asarray(result.convert("RGB").convert("L"), float)
    assert grey.mean() > 1.5 * np.asarray(image.convert("RGB").convert("L"), float).mean()


@pytest.mark.parametrize("mode", ["P", "CMYK", "I", "F", "1", "HSV"])
def test_a_pil_image_of_another_mode_is_refused(enhancer: Enhancer, mode: str) -> None:
    image = Image.fromarray(dark()).convert("RGB" if mode != "1" else "L").convert(mode)
    with pytest.raises(ValueError, match=rf"not {mode}; image.convert\('RGB'\)"):
        enhancer(image)


# PyAV


def video_frame(pix_fmt: str, *, seconds: Fraction | None = None) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(dark(), "rgb24").reformat(format=pix_fmt)
    if seconds is not None:
        frame.pts, frame.time_base = int(seconds * 1000), Fraction(1, 1000)
    return frame


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "nv12", "yuv422p10le", "rgb24", "gbrp", "gray"])
def test_video_frames_keep_format_and_time(enhancer: Enhancer, pix_fmt: str) -> None:
    frame = video_frame(pix_fmt, seconds=Fraction(1, 4))
    result = enhancer(frame)
    assert isinstance(result, av.VideoFrame)
    assert (result.format.name, result.pts, result.time) == (pix_fmt, 250, 0.25)
    before, after = (f.to_ndarray(format="gray").mean() for f in (frame, result))
    assert after > 1.4 * before


# DLPack


class Foreign:
    """An array of another library, which knows DLPack and, if asked, the array API."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()


class Namespaced(Foreign):
    def __array_namespace__(self) -> Any:
        return Namespaced

    @staticmethod
    def from_dlpack(array: Any) -> Namespaced:
        return Namespaced(np.from_dlpack(array))


def test_what_has_dlpack_comes_back_by_it(enhancer: Enhancer) -> None:
    expected = enhancer(dark())
    np.testing.assert_array_equal(enhancer(Foreign(dark())), expected)
    result = enhancer(Namespaced(dark()))
    assert isinstance(result, Namespaced)
    np.testing.assert_array_equal(result.array, expected)


# What is no image


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        (None, "this is None, which OpenCV's read"),
        ("night.jpg", "enhance_picture"),
        (Path("night.mp4"), "enhance_video"),
        ([dark()], "one by one"),
        (3, "not int"),
        (object(), "not object"),
    ],
)
def test_a_wrong_kind_says_what_is_taken(enhancer: Enhancer, thing: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words) as error:
        enhancer(thing)
    assert "NumPy array (H, W, 3), a torch tensor (3, H, W)" in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_the_end_of_a_video_in_opencv(enhancer: Enhancer, tmp_path: Path) -> None:
    ok, image = cv2.VideoCapture(str(tmp_path / "none.mp4")).read()
    assert not ok
    with pytest.raises(TypeError, match="at the end of a video"):
        enhancer(image)


@pytest.mark.parametrize("kind", ["pil", "av"])
def test_what_only_arrays_have_is_refused_elsewhere(enhancer: Enhancer, kind: str) -> None:
    image: Any = Image.fromarray(dark()) if kind == "pil" else video_frame("yuv420p")
    with pytest.raises(ValueError, match="`order` is for arrays and tensors"):
        enhancer(image, order="bgr")
    with pytest.raises(TypeError, match="`out` is for arrays and tensors"):
        enhancer(image, out=image)


# Times


def flicker(count: int = 6) -> NDArray[np.uint8]:
    """A scene whose light jumps up and down, less than at a cut."""
    return np.stack([(dark() * (1.0 - 0.2 * (n % 2))).astype(np.uint8) for n in range(count)])


def following(**options: Any) -> Enhancer:
    return Enhancer.for_video(working_size=32, backend="torch", threads=1, **options)


def test_fps_gives_images_the_times_that_they_lack() -> None:
    counted, given, batched = following(fps=25), following(), following(fps=25)
    clip = flicker()
    results = [counted(image) for image in clip]
    for number, (image, result) in enumerate(zip(clip, results, strict=True)):
        np.testing.assert_array_equal(given(image, seconds=number / 25), result)
    np.testing.assert_array_equal(batched(clip), np.stack(results))
    counted.reset()
    np.testing.assert_array_equal(counted(clip[0]), results[0])
    assert not np.array_equal(Enhancer(working_size=32, backend="torch")(clip[-1]), results[-1])


def test_a_batch_takes_as_many_times() -> None:
    clip = flicker(3)
    one_by_one, at_once = following(), following()
    expected = [one_by_one(image, seconds=n / 10) for n, image in enumerate(clip)]
    np.testing.assert_array_equal(at_once(clip, seconds=[0, 0.1, 0.2]), np.stack(expected))
    for wrong in (0.5, [0, 1]):
        with pytest.raises(ValueError, match="a sequence of 3 numbers"):
            at_once(clip, seconds=wrong)
    with pytest.raises(ValueError, match="one number for one image"):
        at_once(clip[0], seconds=[0, 1, 2])


def test_a_missing_time_is_reported_where_it_matters(enhancer: Enhancer) -> None:
    enhancer(dark())  # stands alone
    for options in ({"smoothing_seconds": 0.2}, {"estimate_seconds": 0.1}):
        calm = Enhancer(working_size=32, backend="torch", **options)  # type: ignore[arg-type]
        for image in (dark(), as_tensor(dark(), torch.float32), video_frame("yuv420p")):
            with pytest.raises(ValueError, match="give `seconds`, or make the enhancer with `fps`"):
                calm(image)
        calm(video_frame("yuv420p", seconds=Fraction(1, 2)))
        for bad in (float("nan"), float("inf")):
            with pytest.raises(ValueError, match="finite"):
                calm(dark(), seconds=bad)
        with pytest.raises(ValueError, match="one number for one image"):
            calm(video_frame("yuv420p"), seconds=[1.0])


@pytest.mark.parametrize("fps", [0, -25, float("inf"), float("nan")])
def test_fps_must_be_a_rate(fps: float) -> None:
    with pytest.raises(ValueError, match="`fps` must be above 0"):
        following(fps=fps)
