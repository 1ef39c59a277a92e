"""The demo: what it writes."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.conftest import assert_nothing_left
from zerodce_rt.demo import program, run_demo

WIDTH, HEIGHT = 96, 54


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "WIDTH", WIDTH)
    monkeypatch.setattr(program, "HEIGHT", HEIGHT)


@pytest.mark.usefixtures("small")
def test_the_demo_writes_clips_and_a_picture(tmp_path: Path) -> None:
    for seconds in (0.2, 0.01):  # the second time, files are replaced
        run_demo(tmp_path / "demo", seconds=seconds, progress=False)
    names = ("before_after.mp4", "before_after.png", "dark.mp4", "enhanced.mp4")
    assert_nothing_left(tmp_path / "demo", *names)
    levels = {}
    for name in ("dark", "enhanced", "before_after"):
        with av.open(str(tmp_path / "demo" / f"{name}.mp4")) as clip:
            assert len(clip.streams.audio) == 1
            frames = [f.to_ndarray(format="rgb24") for f in clip.decode(video=0)]
        assert [f.shape for f in frames] == [(HEIGHT, WIDTH, 3)] * 2, "two frames at least"
        levels[name] = float(np.mean(frames))
    assert levels["enhanced"] > 2 * levels["dark"]
    picture = cv2.imread(str(tmp_path / "demo" / "before_after.png"))
    assert picture is not None
    assert picture.shape == (HEIGHT, 2 * WIDTH, 3)
    assert picture[:, WIDTH:].mean() > 2 * picture[:, :WIDTH].mean()
