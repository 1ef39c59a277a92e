"""A studio in a process of its own, and a headless Chromium that looks at it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.support.commands import start
from tests.support.media import dark_scene

REQUIRED = "ZERODCE_RT_REQUIRE_BROWSER"
"""If this environment variable is set, a missing browser fails the tests instead of skipping."""

_FLAGS = (
    "--headless=new", "--no-sandbox", "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run", "--disable-quic",
    "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip


def require_studio() -> None:
    """Skip the test where the packages of the extra are missing, or Python is too old for them."""
    if sys.version_info < (3, 11):
        pytest.skip("studio needs Python 3.11")
    for package in ("aiohttp", "aiortc"):
        pytest.importorskip(package)


def require_browser() -> str:
    """Path of Chromium; skips the test, or fails it if ``REQUIRED`` is set, where there is none."""
    require_studio()
    found = shutil.which("chromium") or shutil.which("google-chrome")
    reason = None if found else "Chromium is not installed: apt install chromium"
    try:
        import playwright  # noqa: F401
    except ImportError:
        reason = "playwright is not installed"
    if reason is not None or found is None:
        (pytest.fail if os.environ.get(REQUIRED) else pytest.skip)(reason or "")
        raise AssertionError
    return found


@contextmanager
def studio(*arguments: object, **options: Any) -> Iterator[str]:
    """Run ``zerodce-rt studio``; yields the page's address. Ended politely, which must be quick."""
    process = start("studio", "--no-browser", "--port", 0, *arguments, **options)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("Studio: "), line + process.communicate()[1]
        yield line.removeprefix("Studio: ").strip()
        process.terminate()
        assert process.wait(10) == 0
    finally:
        if process.poll() is None:
            process.kill()
        _, said = process.communicate()
        assert "Traceback" not in (said or ""), said


@contextmanager
def chromium(playwright: Any, *flags: str) -> Iterator[Any]:
    """A headless Chromium.

    Args:
        playwright: what ``sync_playwright`` gives, of which a thread may have only one.
    """
    browser = playwright.chromium.launch(executable_path=require_browser(), args=[*_FLAGS, *flags])
    try:
        yield browser
    finally:
        browser.close()


def write_camera(
    path: Path, pictures: Sequence[Any] | None = None, *, size: tuple[int, int] = (640, 360)
) -> None:
    """Write a clip that Chromium's fake camera plays again and again (--use-file-for-...).

    Args:
        pictures: ``(H, W, 3)`` uint8 RGB; default: a dark scene.
    """
    if pictures is None:
        rng = np.random.default_rng(0)
        noise = rng.normal(0, 2, (size[1], size[0], 3))
        pictures = [
            np.clip(dark_scene(n, *size) + np.roll(noise, 17 * n, 1), 0, 255).astype(np.uint8)
            for n in range(60)
        ]
    height, width = pictures[0].shape[:2]
    with path.open("wb") as file:
        # Chromium does not take every header that FFmpeg writes.
        file.write(f"YUV4MPEG2 W{width} H{height} F30:1 Ip A1:1 C420jpeg\n".encode())
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
            yuv = frame.reformat(format="yuv420p", dst_colorspace=5, dst_color_range=1)
            file.write(b"FRAME\n" + yuv.to_ndarray().tobytes())
