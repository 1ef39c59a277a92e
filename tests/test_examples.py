"""Each example as a user runs it: a process of its own, in an empty folder."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.support.desktop import require_desktop, xdotool
from tests.support.media import Probe, dark_scene, write_video

EXAMPLES = Path(__file__).parents[1] / "examples"


def environment() -> dict[str, str]:
    """Without this checkout's own path."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def command(name: str, *arguments: object) -> list[str]:
    return [sys.executable, str(EXAMPLES / f"{name}.py"), *(str(a) for a in arguments)]


def run(
    name: str, *arguments: object, folder: Path, exit_code: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run an example to its end."""
    done = subprocess.run(
        command(name, *arguments), cwd=folder, env=environment(),
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == exit_code, done.stderr
    return done


def find_window(title: str, process: subprocess.Popen[str]) -> str:
    """The id of a window, once it is there."""
    search = ["xdotool", "search", "--onlyvisible", "--name", f"^{title}$"]
    while process.poll() is None:
        found = subprocess.run(search, capture_output=True, text=True, check=False).stdout.split()
        if found:
            return found[-1]
        time.sleep(0.05)
    raise AssertionError(f"no window {title}")


def wait_until_bright(window: str, process: subprocess.Popen[str]) -> None:
    """Look at the middle of a window until it is neither dark nor the grey of an empty one."""
    options = {"window_id": window, "draw_mouse": "0"}
    level = math.nan
    while process.poll() is None:
        # A window that is just being resized cannot be grabbed.
        with (
            suppress(av.FFmpegError),
            av.open(os.environ["DISPLAY"], format="x11grab", options=options) as screen,
        ):
            image = next(screen.decode(video=0)).to_ndarray(format="gray")
            y, x = image.shape[0] // 2, image.shape[1] // 2
            level = float(image[y - 20 : y + 20, x - 20 : x + 20].mean())
            if 60 < level < 200:
                return
    raise AssertionError(f"the window last showed a level of {level:.0f}")


def write_photos(folder: Path, count: int, *, level: float = 0.12) -> None:
    folder.mkdir()
    for index in range(count):
        scene = dark_scene(index, 200, 150, level=level)
        assert cv2.imwrite(str(folder / f"{index}.jpg"), scene[..., ::-1])


def picture_level(path: Path) -> float:
    picture = cv2.imread(str(path))
    assert picture is not None, path
    return float(picture.mean())


def test_every_example_is_tested_and_listed() -> None:
    names = [path.stem for path in EXAMPLES.glob("*.py")]
    assert names
    listed = (EXAMPLES / "README.md").read_text()
    for name in names:
        assert f"test_{name}" in globals(), f"examples/{name}.py needs a test here"
        assert f"]({name}.py)" in listed, f"examples/{name}.py is missing in examples/README.md"


@pytest.mark.alone
def test_webcam_loop(tmp_path: Path) -> None:
    require_desktop()
    clip = tmp_path / "night.mp4"
    write_video(clip, frames=4000, size=(120, 90), options={"preset": "ultrafast"})
    with subprocess.Popen(
        command("webcam_loop", clip), cwd=tmp_path, env=environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            window = find_window("Bright", process)
            wait_until_bright(window, process)
            xdotool("windowfocus", "--sync", window, "key", "q")
            output, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0, errors
    assert 0 < int(output.removesuffix(" frames shown\n")) < 4000


def test_webcam_loop_stops_by_itself(tmp_path: Path) -> None:
    require_desktop()
    clip = tmp_path / "night.mp4"
    write_video(clip, frames=20)
    assert run("webcam_loop", clip, "--frames", 12, folder=tmp_path).stdout == "12 frames shown\n"
    assert run("webcam_loop", clip, folder=tmp_path).stdout == "20 frames shown\n"


def test_one_video(tmp_path: Path) -> None:
    write_video(tmp_path / "night.mp4", frames=30)
    done = run(
        "one_video", "night.mp4", "bright.mp4", "--start", 0.2, "--end", 0.8,
        "--strength", 0.9, "--compare", "side", folder=tmp_path,
    )  # fmt: skip
    assert done.stdout == "bright.mp4: 18 frames\n"
    assert "18 of 18 frames" in done.stderr
    result = Probe(tmp_path / "bright.mp4")
    assert len(result.frames) == 18
    before, after = np.split(result.rgb(), 2, axis=1)
    assert after.mean() > before.mean() + 20


def test_one_video_reports_errors_in_one_line(tmp_path: Path) -> None:
    write_video(tmp_path / "night.mp4")
    for source, strength in (("day.mp4", 1), ("night.mp4", 7)):
        done = run(
            "one_video", source, "bright.mp4", "--strength", strength,
            folder=tmp_path, exit_code=1,
        )  # fmt: skip
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
        assert not (tmp_path / "bright.mp4").exists()


def test_pyav_frames(tmp_path: Path) -> None:
    clip = tmp_path / "night.mp4"
    write_video(clip, pts=[0, 1, 2, 5, 9, 10, 14], tags=(2, 5, 5, 6))
    run("pyav_frames", clip, "bright.mp4", folder=tmp_path)
    before, after = Probe(clip), Probe(tmp_path / "bright.mp4")
    assert after.level() > before.level() + 20
    assert (after.pts, after.pix_fmt, after.tags) == (before.pts, before.pix_fmt, before.tags)


def test_data_loader(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", 6)
    dark = picture_level(tmp_path / "photos" / "0.jpg")
    lines = run("data_loader", "photos", "--workers", 2, folder=tmp_path).stdout.splitlines()
    assert [line.split(", mean")[0] for line in lines] == [
        "batch (4, 3, 224, 224)",
        "batch (2, 3, 224, 224)",
    ]
    for line in lines:
        assert float(line.split()[-3]) > dark + 20


def test_own_training(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", 4, level=0.8)
    write_photos(tmp_path / "night", 1)
    dark = tmp_path / "night" / "0.jpg"
    run("own_training", "photos", dark, "--steps", 6, folder=tmp_path)
    assert (tmp_path / "own.safetensors").is_file()
    # So few steps only begin to brighten.
    assert picture_level(tmp_path / "bright.png") > picture_level(dark) + 0.5


def test_own_live_output(tmp_path: Path) -> None:
    clip = tmp_path / "night.mp4"
    write_video(clip, frames=75)
    done = run("own_live_output", clip, "thumbnails", folder=tmp_path)
    thumbnails = sorted((tmp_path / "thumbnails").iterdir())
    assert done.stdout == f"{len(thumbnails)} thumbnails in thumbnails\n"
    assert [t.name for t in thumbnails[:2]] == ["00000.jpg", "00001.jpg"]
    dark = float(dark_scene(0, 96, 64).mean())
    assert all(picture_level(t) > dark + 20 for t in thumbnails)
