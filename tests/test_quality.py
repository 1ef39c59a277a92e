"""The scores of ``benchmarks/quality.py`` and ``light_quality.py``, where answers are known."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import light_inputs
import light_quality
import quality
import quality_inputs as inputs
from light_scores import clipped_share, hue_shift, score_night, score_picture
from quality_scores import Planes, Truth, isotonic, score

from tests.conftest import VideoMaker

WIDTH, HEIGHT, FRAMES = 160, 96, 10


def clip() -> Planes:
    """A bright square that moves over a ramp."""
    luma = np.empty((FRAMES, HEIGHT, WIDTH), np.uint8)
    luma[:] = np.linspace(40, 160, WIDTH).astype(np.uint8)
    for index, frame in enumerate(luma):
        frame[8:32, 8 + 6 * index : 32 + 6 * index] = 220
    chroma = np.full((FRAMES, 2, HEIGHT // 2, WIDTH // 2), 128, np.uint8)
    chroma[:, 0, :, ::2] = 150
    return Planes(luma, chroma)


def noisy(planes: Planes, sigma: float) -> Planes:
    """With Gaussian noise in luma and chroma."""
    random = np.random.default_rng(0)
    luma, chroma = (
        np.clip(np.rint(p + sigma * random.standard_normal(p.shape)), 0, 255).astype(np.uint8)
        for p in (planes.luma, planes.chroma)
    )
    return Planes(luma, chroma)


@pytest.fixture
def truth() -> Truth:
    return Truth(clip())


def test_the_truth_itself_is_perfect(truth: Truth) -> None:
    scores = score(truth.planes, truth)
    assert scores.psnr == scores.psnr_moving == math.inf
    assert scores.ssim == pytest.approx(1)
    assert scores.trail == scores.noise == scores.chroma_noise == scores.pulse == 0


def test_another_exposure_is_no_error(truth: Truth) -> None:
    darker = (truth.planes.luma.astype(float) ** 1.5 / 255**0.5 * 0.9).astype(np.uint8)
    # What has become one code cannot be told apart any more.
    assert score(Planes(darker, truth.planes.chroma), truth).psnr > 50


def test_a_late_frame_is_a_trail(truth: Truth) -> None:
    late = Planes(np.roll(truth.planes.luma, 1, axis=0), truth.planes.chroma)
    late.luma[0] = truth.planes.luma[0]
    scores = score(late, truth)
    # A little less than 1: the tone match does what it can.
    assert 0.8 < scores.trail <= 1
    assert scores.psnr_moving < scores.psnr
    assert scores.noise == 0


def test_noise_is_measured_in_levels(truth: Truth) -> None:
    # The difference of two frames has twice the variance of one. The tone match takes away a
    # little of it.
    scores = score(noisy(truth.planes, 4), truth)
    assert scores.noise == pytest.approx(4 * 2**0.5, rel=0.15)
    assert 0.5 < scores.chroma_noise <= 4 * 2**0.5
    assert scores.trail == pytest.approx(0, abs=0.1)
    assert score(noisy(truth.planes, 8), truth).noise > 1.5 * scores.noise


def test_a_pulse_is_a_change_of_the_mean(truth: Truth) -> None:
    luma = truth.planes.luma.copy()
    luma[::2] += 6
    scores = score(Planes(luma, truth.planes.chroma), truth)
    assert scores.pulse == pytest.approx(6, abs=1)


def test_isotonic_pools_neighbours_in_the_wrong_order() -> None:
    values, weights = np.array([1.0, 4, 2, 3, 9]), np.array([1.0, 1, 1, 2, 1])
    assert isotonic(values, weights).tolist() == [1, 3, 3, 3, 9]


@pytest.mark.parametrize("name", inputs.INPUTS)
def test_inputs_are_dark_and_go_with_the_truth(name: str) -> None:
    how = inputs.INPUTS[name]
    rgb = np.repeat(clip().luma[..., None], 3, axis=3)
    if name == "lamp":
        rgb = inputs.lamp(rgb)
    frames = inputs.coded(inputs.darkened(rgb, how), how)
    dark, truth = inputs.samples(frames), inputs.truth_of(name, rgb)
    assert dark.luma.shape == truth.planes.luma.shape
    assert frames[0].format.name == ("yuvj422p" if name == "mjpeg" else "yuv420p")
    assert [frame.time for frame in frames] == pytest.approx([n / 30 for n in range(FRAMES)])
    assert dark.luma.mean() < truth.planes.luma.mean() / 2
    scores = score(dark, truth)
    assert scores.psnr > 15
    assert scores.noise > 1


def test_the_program_scores_a_clip(
    make_video: VideoMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    make_video("clip.mp4", size=(WIDTH, HEIGHT), level=0.9)
    command = ["quality.py", str(tmp_path), "--frames", "8", "--inputs", "cut", "clean"]
    command += ["--methods", "none", "atadenoise", "--json", str(tmp_path / "scores.json")]
    command += ["--plot", str(tmp_path / "chart.png"), "--sheet", str(tmp_path / "sheets")]
    monkeypatch.setattr(sys, "argv", command)
    quality.main()
    assert "atadenoise" in capsys.readouterr().out
    results = json.loads((tmp_path / "scores.json").read_text())
    rows = {(r["clip"], r["method"]): r for r in results["quality"] if r["input"] == "cut"}
    assert {m for c, m in rows if c == "mean"} == {"published", "none", "atadenoise"}
    assert rows["clip.mp4", "published"]["psnr_gain"] == 0
    assert [c["clip"] for c in results["clean"]] == ["clip.mp4"]
    assert (tmp_path / "chart.png").exists()
    assert [p.name for p in (tmp_path / "sheets").iterdir()] == ["cut.png"]


def photo() -> NDArray[np.uint8]:
    """A ramp with patches of colour, ``(96, 128, 3)`` in RGB."""
    picture = np.repeat(np.linspace(60, 180, 128).astype(np.uint8)[None], 96, axis=0)
    rgb = np.repeat(picture[..., None], 3, axis=2)
    rgb[16:48, 16:48] = 200, 90, 60
    rgb[40:80, 72:112] = 60, 110, 190
    return rgb


@pytest.mark.parametrize(("name", "stops"), light_inputs.EVEN.items())
def test_even_light_takes_stops_away(name: str, stops: float) -> None:
    (sample,) = light_inputs.lit_photos(name, [("photo", photo())])
    assert sample.truth is not None
    assert sample.lit is None
    patch = (slice(20, 44), slice(20, 44))
    red = (sample.given[patch][..., 0].astype(float) / 255) ** 2.2
    assert np.log2(red.mean() / (200 / 255) ** 2.2) == pytest.approx(stops, abs=0.1)


@pytest.mark.parametrize("name", light_inputs.MIXED)
def test_mixed_light_leaves_the_lit_part(name: str) -> None:
    _, high, low = light_inputs.MIXED[name]
    (sample,) = light_inputs.lit_photos(name, [("photo", photo())])
    assert sample.truth is not None
    assert sample.lit is not None
    assert 0.01 < sample.lit.mean() < 0.8
    linear = [(p.astype(float) / 255) ** 2.2 for p in (sample.given, sample.truth)]
    lit = np.log2(linear[0][sample.lit].sum() / linear[1][sample.lit].sum())
    dark = np.log2(linear[0][~sample.lit].sum() / linear[1][~sample.lit].sum())
    assert high - light_inputs.LIT_STOPS <= lit <= high + 0.1
    assert low - 0.1 <= dark < lit - 1


def test_the_sky_of_a_night_has_no_signal() -> None:
    frames = np.repeat(photo()[None], 2, axis=0)
    pictures, unlit = light_inputs.at_night(frames, -7)
    first, second = pictures
    assert 0.05 < unlit.mean() < 0.5
    assert 255 * first[unlit].max() < 8
    assert first.max() == 1
    assert not np.array_equal(first, second)  # noise


def test_only_dark_pictures_with_whites_are_meant_to_be_dark() -> None:
    night = np.full((60, 80, 3), 20, np.uint8)
    assert not light_inputs.is_meant_dark(night)
    night[:6, :10] = 250
    assert light_inputs.is_meant_dark(night)
    assert not light_inputs.is_meant_dark(photo())


def test_a_picture_of_the_right_light_is_perfect() -> None:
    lit = np.zeros((96, 128), bool)
    lit[20:60, 30:70] = True
    scores = score_picture(photo() // 2, photo(), photo(), lit)
    assert scores.psnr == scores.lit_psnr == 60
    assert scores.ssim == scores.lit_ssim == pytest.approx(1)
    assert scores.level == scores.clipped == 0
    assert scores.lift == pytest.approx(photo().mean() / 2, abs=0.5)


def test_the_lit_part_is_scored_alone() -> None:
    lit = np.zeros((96, 128), bool)
    lit[20:60, 30:70] = True
    outside, inside = photo(), photo()
    outside[~lit] += 10
    inside[lit] += 10
    scores = score_picture(photo(), outside, photo(), lit)
    assert scores.lit_psnr == 60
    assert scores.lit_ssim == pytest.approx(1)
    assert scores.level == pytest.approx(10 * (1 - lit.mean()), abs=0.01)
    scores = score_picture(photo(), inside, photo(), lit)
    assert scores.lit_psnr == pytest.approx(20 * math.log10(255 / 10), abs=0.01)
    assert scores.psnr == pytest.approx(scores.lit_psnr - 10 * math.log10(lit.mean()), abs=0.01)
    assert scores.lit_ssim < scores.ssim


def test_ssim_of_a_part_that_is_all_is_ssim() -> None:
    wrong = photo() // 2
    scores = score_picture(photo(), wrong, photo(), np.ones((96, 128), bool))
    assert scores.lit_ssim == pytest.approx(scores.ssim)


@pytest.mark.parametrize("degrees", [0, 20, -70])
def test_hue_shift_is_the_angle_of_lab(degrees: float) -> None:
    angles = np.radians(np.linspace(0, 350, 24).repeat(4))
    lab = np.empty((8, 96, 3), np.float32)
    lab[..., 0] = 60

    def turned(by: float) -> NDArray[np.uint8]:
        lab[..., 1] = 25 * np.cos(angles + np.radians(by))
        lab[..., 2] = 25 * np.sin(angles + np.radians(by))
        return np.rint(255 * cv2.cvtColor(lab, cv2.COLOR_Lab2RGB)).astype(np.uint8)

    assert hue_shift(turned(0), turned(degrees)) == pytest.approx(abs(degrees), abs=0.5)


def test_grey_has_no_hue() -> None:
    grey = np.full((16, 16, 3), 90, np.uint8)
    assert math.isnan(hue_shift(grey, photo()[16:32, 16:32]))


def test_clipped_pixels_have_a_channel_of_white() -> None:
    picture = photo()
    picture[:24] = 254, 10, 10
    assert clipped_share(picture) == pytest.approx(0.25)
    assert score_picture(photo(), picture, photo(), None).clipped == pytest.approx(25)


def test_night_scores_are_levels_and_jumps() -> None:
    luma = np.full((4, 40, 60), 16, np.uint8)
    luma[:, 20:] = 40
    chroma = np.full((4, 2, 20, 30), 128, np.uint8)
    unlit = np.zeros((40, 60), bool)
    unlit[:20] = True
    given = Planes(luma, chroma)
    same = score_night(given, given, unlit)
    assert same.black == same.fog == same.flicker == same.lift == 0
    lifted, jumping = luma + np.uint8(22), chroma.copy()
    jumping[1::2, 0, :10] += 9  # a quarter of all samples, in all steps
    scores = score_night(given, Planes(lifted, jumping), unlit)
    assert scores.black == scores.fog == pytest.approx(22 * 255 / 219, abs=0.01)
    assert scores.lift == pytest.approx(22 * 255 / 219, abs=0.01)
    assert scores.flicker == pytest.approx(25)
    # What jumps in the given clip as well is not the method's.
    assert score_night(Planes(luma, jumping), Planes(lifted, jumping), unlit).flicker == 0


def test_the_program_of_light_scores_a_folder(
    make_video: VideoMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    make_video("asl_book.mkv", size=(160, 120), level=0.9)
    make_video("solidWhiteRight.mp4", size=(160, 96), level=0.9)
    cv2.imwrite(str(tmp_path / "a.png"), photo())
    cv2.imwrite(str(tmp_path / "b.png"), photo()[:, ::-1])
    weights = Path(light_quality.__file__).parents[1] / "zerodce_rt/network/weights"
    command = ["light_quality.py", str(tmp_path), str(tmp_path), "--hold-out", "1"]
    command += ["--inputs", "even-4", "screen", "spot", "night", "well-lit", "dark"]
    command += ["--weights", str(weights / "plus.safetensors"), "--show", "b"]
    command += ["--json", str(tmp_path / "scores.json"), "--plot", str(tmp_path / "chart.png")]
    command += ["--sheet", str(tmp_path / "sheets")]
    monkeypatch.setattr(sys, "argv", command)
    light_quality.main()
    printed = capsys.readouterr().out
    assert "dark: left out" in printed
    assert light_quality.ALL in printed
    results = json.loads((tmp_path / "scores.json").read_text())
    rows = {(r["input"], r["method"]): r for r in results["light"]}
    assert rows["well-lit", "identity"]["psnr"] == 60
    assert rows["even-4", "identity"]["level"] < -60
    assert rows["even-4", "light"]["psnr"] > rows["even-4", "identity"]["psnr"]
    assert rows["spot", "light"]["lit_psnr"] is not None
    assert rows["night", "identity"]["flicker"] == 0
    assert rows["night", "light"]["lift"] > 0
    assert {i: len(own) for i, own in results["psnr"].items()} == {
        "even-4": 2, "screen": 2, "spot": 2, "well-lit": 2,
    }  # fmt: skip
    assert (tmp_path / "chart.png").exists()
    names = {p.name for p in (tmp_path / "sheets").iterdir()}
    assert {"screen.jpg", "night_details.jpg", "well-lit.jpg"} <= names
