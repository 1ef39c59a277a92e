"""The benchmark: what it measures, prints and writes."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.conftest import VideoMaker, assert_nothing_left, one_line, run
from zerodce_rt.backends import BACKENDS
from zerodce_rt.bench import BenchSettings, load, parse_size, report, run_frames, usable_backends
from zerodce_rt.bench.baselines import gamma_lookup, pass_through, published_plus
from zerodce_rt.bench.clip import measure_clip
from zerodce_rt.bench.stages import IN_FLIGHT, STREAM, FrameResult, dark_noise, stream
from zerodce_rt.bench.timing import Timing, measure
from zerodce_rt.frame import FORMATS

FAST = ["--sizes", "64x48", "--seconds", "0.01"]


def test_cpu_time_does_not_include_waiting() -> None:
    def work() -> None:
        end = time.process_time() + 0.02
        while time.process_time() < end:
            pass

    times = measure({"wait": lambda: time.sleep(0.02), "work": work}, seconds=0.01)
    assert 20 <= times["wait"].median_ms <= times["wait"].p95_ms
    assert times["wait"].cpu_ms < 10
    assert times["work"].median_ms >= 20
    assert times["work"].cpu_ms >= 19
    assert times["wait"].runs >= 5
    assert times["work"].runs >= 3


def test_measure_warms_up_and_takes_turns() -> None:
    calls: list[str] = []
    timings = measure(
        {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, seconds=1e-9
    )
    assert "".join(calls[:6]) == "aaabbb"
    assert len(calls) > 2 * timings["a"].runs, "warm-up is not counted"
    rest = "".join(calls[6:])
    turn = len(rest.split("b")[0])
    assert turn >= 2
    assert rest == ("a" * turn + "b" * turn) * (len(rest) // (2 * turn))


def test_long_calls_have_short_turns_and_the_spread_is_that_of_the_turns() -> None:
    calls: list[str] = []

    def slow() -> None:
        calls.append("s")
        time.sleep(0.06 if calls.count("s") % 2 else 0.18)

    timing = measure({"s": slow, "f": lambda: calls.append("f")}, seconds=1e-9)["s"]
    assert "".join(calls[6:]) == ("s" + "f" * 5) * timing.runs
    assert 60 <= timing.p25_ms <= timing.median_ms <= timing.p75_ms <= timing.p95_ms
    assert timing.spread == pytest.approx((timing.p75_ms - timing.p25_ms) / timing.median_ms)
    assert timing.spread > 0.2


def statistics(*cores: tuple[int, ...]) -> str:
    """``/proc/stat`` with cores of so many ticks: user, nice, system, idle and so on."""
    lines = [f"cpu{n} {' '.join(map(str, core))} 0 0" for n, core in enumerate(cores)]
    return "\n".join(["cpu 9 9 9 9 9 9 9 9 0 0", *lines, "intr 5 5"])


@pytest.mark.parametrize(("own", "others"), [(0.0, 0.75), (0.5, 0.5), (9.0, 0.0)])
def test_load_is_what_others_take_of_the_cores_that_may_be_used(
    own: float, others: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = iter([3.0, 3.0, 3.0 + own])
    monkeypatch.setattr(load, "_own_seconds", lambda: next(used))
    monkeypatch.setattr(load, "_STAT", str(tmp_path / "stat"))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.setattr(os, "sysconf", lambda _: 100, raising=False)
    file = tmp_path / "stat"
    file.write_text(statistics((0,) * 8, (0,) * 8, (0,) * 8))
    meter = load.LoadMeter()
    # Core 0: all user; core 1: half stolen, the rest idle and waiting; core 2 is not ours.
    file.write_text(statistics((60, 20, 20, 0, 0, 0, 0, 0), (0, 0, 0, 30, 20, 0, 0, 50),
                               (900, 0, 0, 0, 0, 0, 0, 0)))  # fmt: skip
    assert meter.others() == pytest.approx(others)


def test_load_without_proc_is_the_load_average_or_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "_STAT", str(tmp_path / "missing"))
    monkeypatch.setattr(load, "_own_seconds", lambda: 0.0)
    monkeypatch.setattr(os, "getloadavg", lambda: (1.0, 9.0, 9.0), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    meter = load.LoadMeter()
    time.sleep(0.001)
    assert meter.others() == 0.25
    monkeypatch.delattr(os, "getloadavg")
    assert meter.others() is None


@pytest.mark.parametrize(
    ("share", "p75", "says"),
    [
        (0.45, 8.0, "the machine was busy (45 % used by others): figures are rough"),
        (0.05, 16.0, "times varied by 100 %: figures are rough"),
        (0.45, 16.0, "the machine was busy (45 % used by others) and times varied by 100 %: "
                     "figures are rough"),
        (0.05, 8.0, None),
        (None, 8.0, None),
    ],
)  # fmt: skip
def test_rough_figures_are_called_so(share: float | None, p75: float, says: str | None) -> None:
    timing = Timing(8.0, 8.0, p75, 20.0, 8.0, 5)
    baselines = dict.fromkeys(("pass-through", "gamma", "published"), timing)
    result = FrameResult("64x48", 64, 48, "nv12", "plus", "torch",
                         {"whole": timing}, baselines, None, None, share)  # fmt: skip
    assert report.caution([result]) == says
    low, high = result.times_published_range
    assert (low, high) == (8.0 / p75, p75 / 8.0)


@pytest.mark.parametrize("name", FORMATS)
def test_a_dark_frame_and_its_baselines(name: str) -> None:
    frame = dark_noise(name, 37, 21)
    copied, brighter = frame.empty_like(), frame.empty_like()
    pass_through(frame, copied)()
    gamma_lookup(frame, brighter)()
    top = 1.0 if frame.format.bits == 32 else 2.0**frame.format.bits - 1
    for index, plane in enumerate(frame.planes):
        np.testing.assert_array_equal(copied.planes[index], plane)
        if index:
            np.testing.assert_array_equal(brighter.planes[index], plane)
    assert frame.planes[0].mean() / top < 0.3
    expected = (frame.planes[0] / top) ** 0.4
    np.testing.assert_allclose(brighter.planes[0] / top, expected, atol=0.51 / min(top, 1e6))


def test_the_published_design_is_the_published_program() -> None:
    # The enhancer is tested with the re-implementation of the program in tests/support.
    import torch

    from tests.support.published import zero_dce_plus

    torch.manual_seed(0)
    step = published_plus(48, 36)
    variables = dict(zip(step.__code__.co_freevars, step.__closure__ or (), strict=True))
    model = variables["model"].cell_contents
    image = variables["image"].cell_contents
    with torch.inference_mode():
        expected = zero_dce_plus(model.state_dict(), image, 12)
    torch.testing.assert_close(step(), expected, atol=1e-6, rtol=0)


def test_every_combination_is_measured() -> None:
    settings = BenchSettings(
        sizes=("64x48", "32x32"), formats=("yuv420p", "bgr24"), models=("plus", "dcenet"),
        backends=("openvino", "torch"), working_size="32", seconds=0.01,
    )  # fmt: skip
    results = list(run_frames(settings))
    found = {(r.size, r.format, r.model, r.backend) for r in results}
    assert len(found) == len(results) == 16
    for result in results:
        assert list(result.stages) == [
            "thumbnail",
            "estimate",
            "control",
            "denoise",
            "apply",
            "whole",
        ]
        assert list(result.baselines) == ["pass-through", "gamma", "published"]
        whole = result.stages["whole"].median_ms
        assert result.fps == pytest.approx(1000 / whole)
        published = result.baselines["published"].median_ms
        assert result.times_published == pytest.approx(published / whole)
        parameters = {"plus": 10561, "dcenet": 79416}[result.model]
        pixels = 32 * 24 if result.size == "64x48" else 32 * 32
        seconds = result.stages["estimate"].median_ms / 1000
        assert result.estimate_gflops == pytest.approx(
            2e-9 * parameters * pixels / seconds, abs=0.1
        )
        moved = result.width * result.height * (1.5 if result.format == "yuv420p" else 3) * 2
        seconds = result.stages["apply"].median_ms / 1000
        assert result.apply_gbs == pytest.approx(moved / seconds / 1e9, abs=0.01)


def test_all_stands_for_the_backends_that_work_here() -> None:
    found = usable_backends(["all"])
    assert {"openvino", "torch"} <= set(found) <= set(BACKENDS)
    assert usable_backends(["auto", "torch"]) == ["auto", "torch"]


@pytest.mark.parametrize(
    ("text", "size"), [("1080p", (1920, 1080)), ("4K", (3840, 2160)), ("801x601", (801, 601))]
)
def test_sizes(text: str, size: tuple[int, int]) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["1080", "0x10", "10x", "-1x5", "axb", "99999999x99999999", ""])
def test_an_invalid_size_lists_the_valid_ones(text: str) -> None:
    with pytest.raises(ValueError, match=r"480p.*800x600, not") as error:
        BenchSettings(sizes=(text,))
    assert repr(text) in str(error.value)


@pytest.mark.parametrize(
    ("bad", "valid"),
    [({"formats": ("yuv9",)}, "nv12"), ({"models": ("huge",)}, "dcenet"),
     ({"backends": ("abacus",)}, "openvino"), ({"seconds": 0}, "above 0")],
)  # fmt: skip
def test_an_invalid_setting_lists_the_valid_ones(bad: dict[str, Any], valid: str) -> None:
    with pytest.raises(ValueError, match=valid):
        BenchSettings(**bad)


def test_the_command_prints_a_table_and_writes_json_and_a_chart(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    files = ["--json", tmp_path / "b.json", "--plot", tmp_path / "b.png"]
    assert run("bench", *FAST, "--models", "plus", "dcenet", *files) == 0
    shown = capfd.readouterr()
    assert "processor:" in shown.err
    assert "instruction_sets:" in shown.err
    lines = shown.out.splitlines()
    assert len([line for line in lines if line.startswith("64x48")]) == 2
    assert re.search(r"peak memory of this process: \d+ MB", shown.out)
    for word in (
        "thumb",
        "estimate",
        "control",
        "denoise",
        "apply",
        "p95",
        "cpu",
        "GFLOP/s",
        "GB/s",
    ):
        assert word in lines[0]
    written = json.loads((tmp_path / "b.json").read_text())
    assert {"command", "hardware", "versions", "frames", "peak_memory_mb"} <= set(written)
    assert {"processor", "instruction_sets", "gpu"} <= set(written["hardware"])
    assert [f["model"] for f in written["frames"]] == ["plus", "dcenet"]
    frame = written["frames"][0]
    whole = frame["stages"]["whole"]
    assert 0 < whole["p25_ms"] <= whole["p75_ms"]
    low, high = frame["times_published_range"]
    assert low <= high
    assert frame["load"] is None or 0 <= frame["load"] <= 1
    assert frame["spread"] >= 0
    chart = cv2.imread(str(tmp_path / "b.png"))
    assert chart is not None
    assert min(chart.shape[:2]) > 300
    assert chart.std() > 10, "the chart is not empty"
    assert_nothing_left(tmp_path, "b.json", "b.png")


def test_a_file_is_measured_against_transcoding(
    make_video: VideoMaker, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    clip = make_video(frames=8)
    files = ["--json", tmp_path / "f.json", "--plot", tmp_path / "f.png"]
    assert run("bench", "--file", clip, *files, "--quiet") == 0
    out = capfd.readouterr().out
    assert "8 frames" in out
    assert "of plain transcoding's speed" in out
    result = json.loads((tmp_path / "f.json").read_text())["file"]
    assert result["frames"] == 8
    assert (result["width"], result["height"]) == (96, 64)
    for step in ("decode", "enhance", "encode", "whole", "transcode"):
        assert result[step]["fps"] >= result[step]["slowest_fps"] > 0
    assert result["load"] is None or 0 <= result["load"] <= 1
    assert 0 <= result["spread"] < 1
    assert result["share_of_transcode"] == pytest.approx(
        result["whole"]["fps"] / result["transcode"]["fps"], abs=1e-3
    )
    assert_nothing_left(tmp_path, clip.name, "f.json", "f.png")


def test_a_clip_result_orders_the_steps(make_video: VideoMaker) -> None:
    clip = make_video(frames=30, size=(320, 240))
    result = measure_clip(clip, model="plus", backend="torch", working_size="32", rounds=1)
    assert result.backend == "torch"
    assert result.decode.fps > result.whole.fps


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--file", "missing.mp4"], 1, "missing.mp4: no such file"),
        (["--file", "text.mp4"], 1, "text.mp4: not a video"),
        (["--sizes", "big"], 2, "1080p"),
        (["--seconds", "0"], 2, "above 0"),
        (["--backends", "abacus"], 2, "openvino"),
        ([*FAST, "--working-size", "huge"], 2, "'1/12'"),
        ([*FAST, "--json", "nowhere/b.json"], 1, "nowhere: no such folder"),
        ([*FAST, "--plot", "nowhere/b.png"], 1, "nowhere: no such folder"),
        ([*FAST, "--plot", "b.xyz"], 2, "must end in .png"),
        (["--file", "text.mp4", "--models", "plus", "dcenet"], 2, "one model"),
    ],
)
def test_errors_are_one_line_before_anything_is_measured(
    arguments: list[str], code: int, says: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.mp4").write_text("not a video")
    assert run("bench", "--quiet", *arguments) == code
    shown = capfd.readouterr()
    assert says in one_line(shown.err)
    assert "ms" not in shown.out
    assert_nothing_left(tmp_path, "text.mp4")


def test_the_row_of_a_gpu_has_no_stages_and_the_fps_of_the_stream() -> None:
    def timing(median_ms: float) -> Timing:
        return Timing(median_ms, median_ms, median_ms, median_ms, median_ms, 5)

    baselines = {name: timing(8.0) for name in ("pass-through", "gamma", "published")}
    result = FrameResult(
        "1080p", 1920, 1080, "nv12", "plus", "cuda",
        {"whole": timing(2.0), "stream": timing(16.0)}, baselines, None, None, None,
    )  # fmt: skip
    assert result.fps == pytest.approx(1000 * STREAM / 16)
    cells = report.row(result).split()
    assert len(cells) == len(report.HEADER.split())
    row = dict(zip(report.HEADER.split(), cells, strict=True))
    assert {row[name] for name in ("thumb", "estimate", "control", "denoise", "apply")} == {"-"}
    assert (row["whole"], row["fps"], row["ratio"]) == ("2.00", "2000", "4.0x")


def test_a_stream_has_a_few_frames_in_flight_and_finishes_all() -> None:
    begun, finished, most = 0, 0, 0

    def begin() -> Callable[[], None]:
        nonlocal begun, most
        begun += 1
        most = max(most, begun - finished)

        def finish() -> None:
            nonlocal finished
            finished += 1

        return finish

    stream(begin)
    assert begun == finished == STREAM
    assert most == IN_FLIGHT
