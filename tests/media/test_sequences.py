"""Numbered pictures in and out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import VideoMaker, assert_nothing_left, run
from tests.support.media import Probe, dark_scene
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.files import enhance_video
from zerodce_rt.media.paths import is_sequence
from zerodce_rt.media.picture_writer import write_picture
from zerodce_rt.media.pictures import Picture, read_picture
from zerodce_rt.media.sequences import numbered, numbers_of


@pytest.fixture(scope="module")
def enhancer() -> Enhancer:
    return Enhancer.for_video()


def write_pictures(pattern: Path, numbers: range | list[int], *, deep: bool = False) -> None:
    for number in numbers:
        rgb = dark_scene(number, 96, 64, level=0.12)
        picture = Picture(rgb.astype(np.uint16) * 257 if deep else rgb)
        write_picture(numbered(pattern, number), picture)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("f_%04d.png", True), ("f%d.jpg", True), ("f_%04d.mp4", False), ("%d_%d.png", False),
     ("100%.png", False), ("plain.png", False)],
)  # fmt: skip
def test_names(name: str, expected: bool) -> None:
    assert is_sequence(Path(name)) is expected


def test_only_the_right_names_are_found(tmp_path: Path) -> None:
    for name in ("f_0003.png", "f_0010.png", "f_12345.png", "f_7.png", "g_0004.png", "f_0005.jpg"):
        (tmp_path / name).touch()
    assert numbers_of(tmp_path / "f_%04d.png") == [3, 10, 12345]
    assert numbers_of(tmp_path / "f_%d.png") == [7, 12345]
    assert numbers_of(tmp_path / "nowhere" / "f_%d.png") == []


def test_pictures_become_a_video(tmp_path: Path, enhancer: Enhancer) -> None:
    pattern = tmp_path / "f_%03d.png"
    write_pictures(pattern, range(5, 13))
    result = enhance_video(pattern, tmp_path / "out.mp4", enhancer=enhancer, fps=10)
    after = Probe(tmp_path / "out.mp4")
    assert result.frames == 8
    assert [float(p) for p in after.pts] == pytest.approx([n / 10 for n in range(8)])
    dark = np.mean([read_picture(numbered(pattern, n)).rgb.mean() for n in range(5, 13)])
    assert np.mean([after.rgb(n).mean() for n in range(8)]) > 1.3 * dark


def test_a_video_becomes_pictures(
    make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer
) -> None:
    source, pattern = make_video(frames=4), tmp_path / "f_%02d.png"
    enhance_video(source, pattern, enhancer=enhancer)
    assert numbers_of(pattern) == [1, 2, 3, 4]
    enhance_video(source, tmp_path / "same.mkv", enhancer=enhancer, crf=1)
    video = Probe(tmp_path / "same.mkv")
    for number in range(4):
        gap = read_picture(numbered(pattern, number + 1)).rgb.astype(int) - video.rgb(number)
        assert np.abs(gap).mean() < 2


def test_sixteen_bits_stay(tmp_path: Path, enhancer: Enhancer) -> None:
    pattern, output = tmp_path / "f_%d.png", tmp_path / "g_%d.png"
    write_pictures(pattern, range(3), deep=True)
    enhance_video(pattern, output, enhancer=enhancer)
    first = read_picture(numbered(output, 1)).rgb
    assert first.dtype == np.uint16
    assert len(np.unique(first)) > 256
    assert first.mean() > 1.3 * read_picture(numbered(pattern, 0)).rgb.mean()


def test_nothing_is_replaced(tmp_path: Path, enhancer: Enhancer) -> None:
    pattern = tmp_path / "f_%d.png"
    write_pictures(pattern, range(2))
    write_pictures(tmp_path / "in_%d.png", range(2))
    before = (tmp_path / "f_1.png").read_bytes()
    with pytest.raises(ZeroDCEError, match=r"f_0\.png: exists already"):
        enhance_video(tmp_path / "in_%d.png", pattern, enhancer=enhancer)
    with pytest.raises(ZeroDCEError, match="are pictures of the input"):
        enhance_video(pattern, pattern, enhancer=enhancer, overwrite=True)
    other_name = tmp_path / "x" / ".." / "f_%d.png"
    (tmp_path / "x").mkdir()
    with pytest.raises(ZeroDCEError, match="are pictures of the input"):
        enhance_video(pattern, other_name, enhancer=enhancer, overwrite=True)
    assert (tmp_path / "f_1.png").read_bytes() == before


def test_a_gap_is_said(
    tmp_path: Path, enhancer: Enhancer, caplog: pytest.LogCaptureFixture
) -> None:
    pattern = tmp_path / "f_%d.png"
    write_pictures(pattern, [1, 2, 4])
    assert enhance_video(pattern, tmp_path / "out.mp4", enhancer=enhancer).frames == 2
    assert "there is no number 3; what comes after it is left out" in caplog.text


def test_a_percent_sign_in_the_folder(tmp_path: Path, enhancer: Enhancer) -> None:
    folder = tmp_path / "100%d"
    folder.mkdir()
    write_pictures(folder / "f_%d.png", range(2))
    assert enhance_video(folder / "f_%d.png", tmp_path / "out.mp4", enhancer=enhancer).frames == 2


def test_pictures_from_before_are_said_and_stay(
    make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer, caplog: pytest.LogCaptureFixture
) -> None:
    pattern = tmp_path / "f_%d.png"
    write_pictures(pattern, [2, 9])
    enhance_video(make_video(frames=3), pattern, enhancer=enhancer, overwrite=True)
    assert numbers_of(pattern) == [1, 2, 3, 9]
    assert "1 more pictures with other numbers, such as 9" in caplog.text


def test_what_is_not_there(tmp_path: Path, enhancer: Enhancer) -> None:
    with pytest.raises(ZeroDCEError, match="no such picture, with any number"):
        enhance_video(tmp_path / "f_%d.png", tmp_path / "out.mp4", enhancer=enhancer)
    assert_nothing_left(tmp_path)


def test_a_folder_as_output(tmp_path: Path) -> None:
    write_pictures(tmp_path / "f_%d.png", range(2))
    assert run("enhance", tmp_path / "f_%d.png", "-o", f"{tmp_path / 'new'}/", "--quiet") == 0
    assert numbers_of(tmp_path / "new" / "f_%d_enhanced.png") == [1, 2]
