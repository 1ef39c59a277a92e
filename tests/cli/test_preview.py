"""Contact sheets: which places and settings they show, upright, and where they are written."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import VideoMaker, assert_nothing_left
from zerodce_rt import preview
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.media.picture_writer import write_picture
from zerodce_rt.media.pictures import Picture, read_picture
from zerodce_rt.media.reader import Span
from zerodce_rt.preview import PLACES, preview_sheet, write_preview

COLUMNS = 5
WIDTH = COLUMNS * (preview._CELL_WIDTH + preview._GAP) + preview._GAP


@pytest.fixture(scope="module")
def enhancer() -> Any:
    with Enhancer.for_video(backend="openvino", strength=0.3, denoise=0.0) as made:
        yield made


def numbered(path: Path, *, frames: int = 40, size: tuple[int, int] = (96, 64)) -> None:
    """A dark clip, a frame a second, each brighter than the one before: level 2 + 2 * number."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=1)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number in range(frames):
            image = np.full((size[1], size[0], 3), 2 + 2 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def cells(sheet: NDArray[Any], row: int, height: int = 320) -> list[NDArray[Any]]:
    """The pictures of a row, of cells of this height."""
    top = preview._BAR + row * (preview._BAR + height)
    lefts = [preview._GAP + n * (preview._CELL_WIDTH + preview._GAP) for n in range(COLUMNS)]
    return [sheet[top : top + height, left : left + preview._CELL_WIDTH] for left in lefts]


def test_four_places_at_two_strengths_with_and_without_denoising(
    tmp_path: Path, enhancer: Enhancer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = tmp_path / "a.mkv"
    numbered(clip)
    titles: list[str] = []
    strip = preview._strip

    def noted(labels: Any, images: Any) -> Any:
        titles.extend(labels)
        return strip(labels, images)

    monkeypatch.setattr(preview, "_strip", noted)
    sheet = preview_sheet(clip, enhancer=enhancer)
    assert sheet.dtype == np.uint8
    assert sheet.shape == (PLACES * (preview._BAR + 320) + preview._GAP, WIDTH, 3)
    assert titles == [
        text for at in ("5.0 s", "15.0 s", "25.0 s", "35.0 s") for text in (
            f"at {at}: as it is", "--strength 0.5 --denoise 0", "--strength 0.5 --denoise 1",
            "--strength 1 --denoise 0", "--strength 1 --denoise 1",
        )
    ]  # fmt: skip
    for row, number in enumerate((5, 15, 25, 35)):
        levels = [cell.mean() for cell in cells(sheet, row)]
        assert levels[0] == pytest.approx(2 + 2 * number, abs=2)
        assert levels[0] < levels[1] < levels[3], "strengths of 0, 0.5 and 1"
    assert (enhancer.strength, enhancer.denoise) == (0.3, 0.0), "its settings are as before"


def test_one_place_and_a_part(tmp_path: Path, enhancer: Enhancer) -> None:
    clip = tmp_path / "a.mkv"
    numbered(clip)
    sheet = preview_sheet(clip, enhancer=enhancer, at=20.5)
    assert sheet.shape[0] == preview._BAR + 320 + preview._GAP
    assert cells(sheet, 0)[0].mean() == pytest.approx(42, abs=2)
    part = preview_sheet(clip, enhancer=enhancer, span=Span(start=10, end=14))
    shown = [cells(part, row)[0].mean() for row in range(PLACES)]
    assert shown == pytest.approx([22, 24, 26, 28], abs=2)
    with pytest.raises(ZeroDCEError, match=r"`preview=99` is after its end, at 40.0 s"):
        preview_sheet(clip, enhancer=enhancer, at=99)


def noise_of(image: NDArray[Any]) -> float:
    return float(cv2.Laplacian(image[20:-20, 20:-20].astype(np.float32), cv2.CV_32F).std())


def test_the_noise_shows_pixel_by_pixel_and_is_removed(tmp_path: Path, enhancer: Enhancer) -> None:
    clip, rng = tmp_path / "a.mkv", np.random.default_rng(0)
    with av.open(str(clip), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 960, 540, "yuv420p"
        for _ in range(14):
            noisy = np.clip(rng.normal(30, 4, (540, 960, 3)), 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noisy, format="rgb24")))
        container.mux(stream.encode(None))
    sheet = preview_sheet(clip, enhancer=enhancer, at=0.5)
    part = cells(sheet, 1, 270)
    assert sheet.shape[0] == 2 * (preview._BAR + 270) + preview._GAP
    assert noise_of(part[3]) > noise_of(part[0]), "brightening makes it visible"
    assert noise_of(part[4]) < 0.6 * noise_of(part[3])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_picture_of_either_depth(dtype: type, tmp_path: Path, enhancer: Enhancer) -> None:
    unit = 257 if dtype is np.uint16 else 1
    rgb: NDArray[Any] = np.full((64, 96, 3), 30 * unit, dtype)
    write_picture(tmp_path / "a.png", Picture(rgb))
    sheet = preview_sheet(tmp_path / "a.png", enhancer=enhancer)
    assert sheet.shape == (preview._BAR + 320 + preview._GAP, WIDTH, 3)
    levels = [cell.mean() for cell in cells(sheet, 0)]
    assert levels[0] == 30
    with pytest.raises(ZeroDCEError, match="is a picture, which has no times"):
        preview_sheet(tmp_path / "a.png", enhancer=enhancer, at=1.0)
    assert levels[0] < levels[1] < levels[3]


def test_pictures_are_upright(tmp_path: Path, enhancer: Enhancer) -> None:
    rgb = np.zeros((64, 96, 3), np.uint8)
    rgb[:16] = 200  # the sensor's top, which is the right of the picture
    write_picture(tmp_path / "plain.jpg", Picture(rgb))
    plain = read_picture(tmp_path / "plain.jpg")
    plain.header.set_type(type_of_int(), "orientation", 6)
    write_picture(tmp_path / "a.jpg", plain)
    assert read_picture(tmp_path / "a.jpg").header.get("orientation") == 6
    sheet = preview_sheet(tmp_path / "a.jpg", enhancer=enhancer)
    assert sheet.shape[0] == preview._BAR + 480 + preview._GAP
    shown = cells(sheet, 0, 480)[0][:, 80:400]  # 320 x 480, in the middle of its cell
    assert shown[:, -60:].mean() > 150
    assert shown[:, :60].mean() < 20


def test_videos_are_upright_and_of_their_shape(make_video: VideoMaker, enhancer: Enhancer) -> None:
    plain = make_video("plain.mkv", frames=2)
    turned = make_video("turned.mkv", frames=2, rotation=90)
    upright = cells(preview_sheet(plain, enhancer=enhancer, at=0.0), 0)[0]
    shown = cells(preview_sheet(turned, enhancer=enhancer, at=0.0), 0, 480)[0][:, 80:400]
    difference = np.rot90(upright, round(rotation_of(turned) / 90)).astype(int) - shown
    assert np.abs(difference).mean() < 2
    wide = make_video("wide.mkv", frames=2, aspect=Fraction(4, 3))
    sheet = preview_sheet(wide, enhancer=enhancer, at=0.0)
    assert sheet.shape[0] == preview._BAR + 240 + preview._GAP, "128 x 64 in square pixels"


def rotation_of(path: Path) -> int:
    """By how many degrees a player turns the picture, against the clock."""
    with av.open(str(path)) as container:
        return next(container.decode(video=0)).rotation


@pytest.mark.parametrize("transfer", [16, 18])  # PQ, HLG
def test_hdr_is_shown_as_sdr(transfer: int, make_video: VideoMaker, enhancer: Enhancer) -> None:
    clip = make_video(
        "hdr.mkv", frames=3, codec="libx265", pix_fmt="yuv420p10le", tags=(1, 9, 9, transfer),
        level=0.4, options={"x265-params": "log-level=error"},
    )  # fmt: skip
    for sdr in (False, True):
        sheet = preview_sheet(clip, enhancer=enhancer, at=0.05, sdr=sdr)
        levels = [cell.mean() for cell in cells(sheet, 0)]
        assert 5 < levels[0] < levels[1] < levels[3] < 250


def type_of_int() -> int:
    import pyvips

    return int(pyvips.GValue.gint_type)


def test_it_is_written_beside_the_input_and_replaces_nothing(
    make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer
) -> None:
    clip = make_video(frames=4)
    path = write_preview(clip, enhancer=enhancer)
    assert path == tmp_path / "night_preview.png"
    assert read_picture(path).rgb.shape[1] == WIDTH
    with pytest.raises(ZeroDCEError, match="exists already"):
        write_preview(clip, enhancer=enhancer)
    other = write_preview(clip, tmp_path / "x.jpg", enhancer=enhancer, at=0.0)
    assert write_preview(clip, enhancer=enhancer, at=0.0, overwrite=True) == path
    with pytest.raises(ZeroDCEError, match="may end in"):
        write_preview(clip, tmp_path / "x.mp4", enhancer=enhancer)
    (tmp_path / "sheets").mkdir()
    assert write_preview(clip, tmp_path / "sheets", enhancer=enhancer).parent.name == "sheets"
    assert_nothing_left(tmp_path, clip.name, path.name, other.name, "sheets")
