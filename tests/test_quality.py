"""The scores of ``benchmarks/quality.py``, on a clip whose answers are known."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import quality
import quality_inputs as inputs
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
