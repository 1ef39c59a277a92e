"""The command line as people use it: outputs, messages, exit codes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.conftest import VideoMaker, assert_nothing_left, one_line, run
from tests.support.commands import partial_files
from tests.support.media import Probe, dark_scene
from zerodce_rt import __version__
from zerodce_rt.backends.cuda.driver import nvidia_driver_present
from zerodce_rt.network.checkpoint import load_weights
from zerodce_rt.streams import Lasting

ROOT = Path(__file__).parents[2]


def write_picture(path: Path, width: int = 60, height: int = 40) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), dark_scene(0, width, height)[..., ::-1])
    return path


def test_enhance_video_by_default_name(make_video: VideoMaker, tmp_path: Path) -> None:
    source = make_video(audio=1)
    assert run("enhance", source, "--quiet") == 0
    after = Probe(tmp_path / "night_enhanced.mp4")
    assert after.level() > 2 * Probe(source).level()
    assert after.kinds == ["video", "audio"]


def test_enhance_picture_to_another_format(tmp_path: Path) -> None:
    source = write_picture(tmp_path / "photo.jpg")
    assert run("enhance", source, "-o", tmp_path / "bright.png", "--quiet") == 0
    dark, bright = cv2.imread(str(source)), cv2.imread(str(tmp_path / "bright.png"))
    assert dark is not None
    assert bright is not None
    assert bright.mean() > 2 * dark.mean()


def test_denoising_by_strength(make_video: VideoMaker, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    source = tmp_path / "noisy.mkv"
    with av.open(str(source), "w") as out:
        video = out.add_stream("libx264", rate=30, options={"crf": "4"})
        video.width, video.height, video.pix_fmt = 128, 96, "yuv420p"
        for _ in range(12):
            picture = (30 + 4 * rng.standard_normal((96, 128, 3))).round().clip(0, 255)
            out.mux(video.encode(av.VideoFrame.from_ndarray(picture.astype(np.uint8), "rgb24")))
        out.mux(video.encode(None))

    def tremble(denoise: str) -> float:
        target = tmp_path / f"{denoise}.mkv"
        assert run("enhance", source, "-o", target, "--denoise", denoise, "--crf", 4) == 0
        frames = Probe(target).frames
        a, b = (f.to_ndarray(format="gray").astype(float) for f in frames[-2:])
        return float(np.abs(a - b).mean())

    full, weak, none = tremble("1"), tremble("0.1"), tremble("0")
    assert 3 * full < none
    assert full < weak < none


def test_progress_shows_rate_and_stays_quiet_when_asked(
    make_video: VideoMaker, tmp_path: Path, capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    source = make_video(frames=20)
    monkeypatch.setattr(Lasting, "isatty", lambda _: True)
    assert run("enhance", source) == 0
    shown = capfd.readouterr()
    assert "frame/s" in shown.err or "s/frame" in shown.err
    assert str(tmp_path / "night_enhanced.mp4") in shown.out + shown.err
    assert run("enhance", source, "--quiet", "--overwrite") == 0
    silent = capfd.readouterr()
    assert silent.out == silent.err == ""


def test_folder_keeps_its_shape_and_goes_on_after_a_bad_file(
    make_video: VideoMaker, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    write_picture(folder / "a.png")
    (folder / "deep").mkdir()
    make_video("in/deep/clip.mp4", frames=3)
    (folder / "broken.jpg").write_text("no picture")
    assert run("enhance", folder, "-o", tmp_path / "out", "--quiet") == 1
    found = sorted(
        str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("[!.]*.*")
    )
    assert found == ["a.png", os.path.join("deep", "clip.mp4"), "report.csv"]
    error = capfd.readouterr().err
    assert "broken.jpg" in error
    assert "2 of 3 files enhanced" in error
    assert "1 failed" in error


def test_folder_without_failures_succeeds(tmp_path: Path) -> None:
    write_picture(tmp_path / "in" / "a.png")
    assert run("enhance", tmp_path / "in", "--quiet") == 0
    assert (tmp_path / "in_enhanced" / "a.png").exists()


TRAIN_LIGHT = ["train", "empty", "-o", "w.safetensors", "--model", "light"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["enhance", "missing.mp4"], 1, "missing.mp4: no such file"),
        (["enhance", "empty"], 1, "no pictures or videos"),
        (["enhance", "text.mp4"], 1, "text.mp4: not a video"),
        (["enhance", "text.png"], 1, "text.png"),
        (["enhance", "sound.m4a"], 1, "no video stream"),
        (["enhance", "night.mp4", "-o", "nowhere/x.mp4"], 1, "nowhere: no such folder"),
        (["enhance", "night.mp4", "-o", "night.mp4"], 1, "is the input itself"),
        (["enhance", "night.mp4", "-o", "taken.mp4"], 1, "--overwrite"),
        (["enhance", "night.mp4", "-o", "out.xyz"], 1, "out.xyz"),
        (["enhance", "night.mp4", "--codec", "betamax"], 2, "h264"),
        (["enhance", "night.mp4", "--crf", "99"], 2, "crf must be between"),
        (["enhance", "night.mp4", "--crf", "60"], 2, "between 0 and 51 for libx264, not 60"),
        (["enhance", "night.mp4", "--crf", "60", "--codec", "h265"], 2, "and 51 for libx265"),
        (["enhance", "night.mp4", "--preset", "warp"], 2, "veryfast"),
        (["enhance", "night.mp4", "--start", "5", "--end", "2"], 2, "before --end"),
        (
            ["enhance", "night.mp4", "--start", "50"],
            1,
            "between --start and --end; the file is 0.2",
        ),
        (
            ["enhance", "text.png", "--start", "1"],
            2,
            "text.png: is a picture; --start is for videos",
        ),
        (["enhance", "text.png", "--hwaccel"], 2, "--hwaccel is for videos"),
        (["enhance", "night.mp4", "--working-size", "huge"], 2, "'1/12'"),
        (["enhance", "night.mp4", "--backend", "abacus"], 2, "openvino"),
        (["enhance", "night.mp4", "--weights", "text.png"], 1, "text.png: not a checkpoint"),
        (["enhance", "night.mp4", "--weights", "missing.pth"], 1, "no such weights"),
        (["train", "empty", "-o", "w.safetensors"], 1, "no photographs"),
        (["train", "missing", "-o", "w.safetensors"], 1, "no such folder"),
        (["train", "empty", "-o", "w.pth"], 2, ".safetensors"),
        (["train", "empty", "-o", "w.safetensors", "--steps", "0"], 2, "at least 1"),
        (["train", "empty", "-o", "w.safetensors", "--device", "cuda"], 1, "cuda"),
        (
            [*TRAIN_LIGHT, "--exposure-target", "0.5"],
            2,
            "--exposure-target has no meaning for --model light",
        ),
        ([*TRAIN_LIGHT, "--size", "64"], 2, "--size has no meaning for --model light"),
        ([*TRAIN_LIGHT, "--colour-weight", "1"], 2, "--colour-weight has no meaning"),
        ([*TRAIN_LIGHT, "--chroma-weight", "-1"], 2, "chroma loss must be 0 or more"),
        ([*TRAIN_LIGHT, "--steps", "0"], 2, "--steps must be at least 1"),
        ([*TRAIN_LIGHT, "--preset", "published"], 2, "--model plus or dcenet"),
        (
            [*TRAIN_LIGHT, "--model", "plus", "--chroma-weight", "1"],
            2,
            "--chroma-weight has no meaning for --model plus",
        ),
    ],
)
def test_errors_are_one_line_and_leave_nothing(
    arguments: list[str], code: int, says: str,
    make_video: VideoMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    import torch

    if "cuda" in arguments and torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    monkeypatch.chdir(tmp_path)
    make_video("night.mp4", frames=5)
    make_video("sound.mp4", frames=5, audio=1)
    _keep_only_audio(tmp_path / "sound.mp4", tmp_path / "sound.m4a")
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp4").write_text("not a video")
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "taken.mp4").write_text("taken")
    before = sorted(p.name for p in tmp_path.iterdir())
    assert run(*arguments) == code
    assert says in one_line(capfd.readouterr().err)
    assert_nothing_left(tmp_path, *before)


def _keep_only_audio(source: Path, target: Path) -> None:
    import av

    with av.open(str(source)) as read, av.open(str(target), "w", format="mp4") as out:
        copy = out.add_stream_from_template(read.streams.audio[0])
        for packet in read.demux(audio=0):
            if packet.size:
                packet.stream = copy
                out.mux(packet)


@pytest.mark.parametrize(
    "arguments",
    [
        ["enhance", "x.mp4", "--strength", "2"],
        ["enhance", "x.mp4", "--strength", "nan"],
        ["enhance", "x.mp4", "--start", "soon"],
        ["enhance", "x.mp4", "--compare", "diagonal"],
        ["enhance", "x.mp4", "--model", "huge"],
        ["enhance"],
        ["frobnicate"],
        [],
    ],
)
def test_bad_usage_exits_with_2(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    assert "--help'" in one_line(capfd.readouterr().err)


@pytest.mark.parametrize(
    "arguments",
    [
        ["enhance", "-night.mp4"],
        ["enhance", "-night-with-dash-.mp4"],
        ["enhance", "x.mp4", "-night.mp4"],
        ["enhance", "x.mp4", "-o", "-night.mp4"],
        ["enhance", "-folder"],
    ],
)
def test_a_name_that_begins_with_a_dash_gets_a_hint(
    arguments: list[str],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-folder").mkdir()
    assert run(*arguments) == 2
    name = arguments[-1]
    hint = f"{name} is taken for an option; write ./{name}, or -- before the inputs"
    assert hint in one_line(capfd.readouterr().err)
    assert run("enhance", "--", "-night.mp4") == 1
    assert "-night.mp4: no such file" in one_line(capfd.readouterr().err)
    assert run("enhance", "x.mp4", "--foo") == 2
    assert "unrecognized arguments: --foo" in one_line(capfd.readouterr().err)


@pytest.mark.skipif(
    hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere"
)
def test_unwritable_folder(
    make_video: VideoMaker, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = make_video(frames=3)
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    assert run("enhance", source, "-o", locked / "out.mp4") == 1
    assert "not writable" in one_line(capfd.readouterr().err)


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a /proc, where nobody may write")
@pytest.mark.parametrize("kind", ["video", "picture"])
def test_a_place_where_nobody_may_write(
    kind: str, make_video: VideoMaker, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if kind == "video":
        source, target = make_video(frames=3), "/proc/zerodce.mp4"
    else:
        source, target = write_picture(tmp_path / "a.png"), "/proc/zerodce.png"
    assert run("enhance", source, "-o", target) == 1
    error = one_line(capfd.readouterr().err)
    assert target in error
    assert "cannot be written" in error


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "zerodce_rt", "enhance", str(tmp_path / "no.mp4"), "--debug"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 1
    assert "Traceback" in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_ctrl_c_stops_within_a_second_and_leaves_nothing(
    make_video: VideoMaker, tmp_path: Path
) -> None:
    source = make_video(frames=2000, size=(320, 240), options={"crf": "40", "preset": "ultrafast"})
    process = subprocess.Popen(
        [sys.executable, "-m", "zerodce_rt", "enhance", str(source), "--preset", "veryslow"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not partial_files(tmp_path):
        assert time.monotonic() < deadline, "the output was never begun"
        time.sleep(0.02)
    asked = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    elapsed = time.monotonic() - asked
    assert process.returncode == 130, error
    assert "stopped" in error
    assert "Traceback" not in error
    assert_nothing_left(tmp_path, "night.mp4")
    # The promise is one second; the rest is for starved test machines.
    assert elapsed < 5


def test_version_and_help(capfd: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert __version__ in capfd.readouterr().out
    assert run("enhance", "--help") == 0
    assert "--strength" in capfd.readouterr().out


def test_help_and_package_import_stay_light() -> None:
    heavy = {"torch", "openvino", "numba", "av", "cv2", "pyvips"}
    code = (
        "import sys, zerodce_rt, zerodce_rt.cli; zerodce_rt.cli.build_parser();"
        "print(','.join(sorted(set(sys.modules) & " + repr(heavy) + ")))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == ""


@pytest.mark.skipif(nvidia_driver_present(), reason="with an NVIDIA driver, torch is wanted")
def test_enhancing_does_not_import_torch(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png")
    code = (
        "import sys; from zerodce_rt.cli import main;"
        "code = main(['enhance', sys.argv[1], '--quiet']);"
        "sys.exit(code or 7 * ('torch' in sys.modules))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.png")]
    assert subprocess.run(command, check=False).returncode == 0


def test_doctor_lists_backends_and_reasons(capfd: pytest.CaptureFixture[str]) -> None:
    assert run("doctor") == 0
    text = capfd.readouterr().out
    assert re.search(r"yes +openvino", text)
    assert re.search(r"yes +torch", text)
    assert re.search(r"(yes|no) +cuda +\S+", text)
    assert re.search(r"yes +plus", text)
    assert re.search(r"yes +dcenet", text)
    assert re.search(r"yes +h264 +libx264", text)
    assert re.search(r"(yes|no) +window", text)
    assert re.search(r"(yes|no) +camera +\S+", text)
    assert re.search(r"(yes|no) +virtual camera +\S+", text)


@pytest.mark.parametrize("model", ["plus", "light"])
def test_train_writes_weights_that_enhance(tmp_path: Path, model: str) -> None:
    photos = tmp_path / "photos"
    for index in range(4):
        bright = (dark_scene(index, 80, 64).astype(np.float32) * 7).clip(0, 255).astype(np.uint8)
        photos.mkdir(exist_ok=True)
        cv2.imwrite(str(photos / f"{index}.png"), bright)
    weights = tmp_path / "mine.safetensors"
    options = ["--steps", 3, "--batch-size", 2, "--device", "cpu", "--quiet"]
    options += ["--size", 32] if model == "plus" else ["--structure-weight", 0.2]
    options += ["--model", model, "--smoothness-weight", 0.3]
    assert run("train", photos, "-o", weights, *options) == 0
    assert load_weights(weights).model == model
    assert run("train", photos, "-o", weights, *options) == 1, "weights are not overwritten"
    further = tmp_path / "further.safetensors"
    assert run("train", photos, "-o", further, "--start-from", weights, *options) == 0
    assert load_weights(further).model == model
    source = write_picture(tmp_path / "dark.png")
    assert run("enhance", source, "--weights", weights, "--quiet") == 0
    assert (tmp_path / "dark_enhanced.png").exists()


def test_streams_are_for_live(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("enhance", "rtsp://user:secret@camera/1") == 2
    line = one_line(capsys.readouterr().err)
    assert "rtsp://camera/1: is a stream" in line
    assert "zerodce-rt live" in line


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["x.mp4", "--size", "64x48"], "--size is for bare frames"),
        (["-", "--size", "0x48"], "must be 1x1 or more"),
        (["-", "--size", "64x48", "--pix-fmt", "x"], "must be one of"),
        (["x.mp4", "-o", "-", "--json"], "cannot both go to standard output"),
        (["x.mp4", "--fps", "24"], "--fps is for numbered pictures"),
        (["x.mp4", "--pix-fmt", "nv12"], "--pix-fmt is for bare frames"),
        (["x.mp4", "--preview", "--json"], "--preview makes none"),
    ],
)
def test_wrong_use_of_pipes(
    make_video: VideoMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str,
) -> None:  # fmt: skip
    make_video("x.mp4")
    monkeypatch.chdir(tmp_path)
    assert run("enhance", *arguments) == 2
    assert expected in one_line(capsys.readouterr().err)


def test_a_pipe_on_the_command_line(make_video: VideoMaker, tmp_path: Path) -> None:
    source, output = make_video(), tmp_path / "out.mp4"
    command = [sys.executable, "-m", "zerodce_rt", "enhance"]
    sender = subprocess.Popen([*command, str(source), "-o", "-"], stdout=subprocess.PIPE)
    received = subprocess.run(
        [*command, "-", "-o", str(output)], stdin=sender.stdout, capture_output=True, check=True
    )
    assert sender.wait() == 0
    assert received.stdout.decode().strip() == str(output)
    assert len(Probe(output).frames) == len(Probe(source).frames)
