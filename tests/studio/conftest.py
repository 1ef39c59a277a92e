"""A studio, a browser that looks at it, and what can be read from the page."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.media import write_video
from tests.support.studio import chromium, require_browser, studio, write_camera

COMPILED_SECONDS = 240
"""In which there is a first picture, also where no kernel has been compiled yet."""

# Means of the left and the right half of a video, as (red, green, blue), and frames so far.
_READ = """(id) => {
  const video = document.querySelector(id);
  const canvas = (window.seen ??= document.createElement("canvas"));
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  if (!canvas.width) return null;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(video, 0, 0);
  const mean = (left) => {
    const half = canvas.width >> 1;
    const { data } = context.getImageData(left, 0, half, canvas.height);
    const sums = [0, 0, 0];
    for (let i = 0; i < data.length; i += 4) for (const c of [0, 1, 2]) sums[c] += data[i + c];
    return sums.map((sum) => sum / (data.length / 4));
  };
  return { width: canvas.width, height: canvas.height, left: mean(0),
           right: mean(canvas.width >> 1),
           frames: video.getVideoPlaybackQuality().totalVideoFrames };
}"""


class Page:
    """The studio's page, with what tests do often; the rest is Playwright's ``page``."""

    def __init__(self, page: Any, address: str) -> None:
        self.page, self.address = page, address
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on(
            "console",
            lambda said: self.errors.append(said.text) if "Content Security" in said.text else None,
        )

    def open(self, room: str) -> None:
        self.page.goto(f"{self.address}#{room}")
        self.page.wait_for_selector("html[data-ready]", state="attached")

    def read(self, video: str = "#live-after") -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.page.evaluate(_READ, video)
        return found

    def text(self, selector: str) -> str:
        return str(self.page.text_content(selector)).strip()

    def slide(self, name: str, percent: float) -> None:
        self.page.locator(name).fill(str(percent))

    def wait(self, condition: Callable[[], object], what: str, seconds: float = 30) -> Any:
        """What a condition gives once it is true; fails with ``what`` was expected."""
        until = time.monotonic() + seconds
        while not (found := condition()):
            notices = [self.text(i) for i in ("#live-notice", "#file-notice", "#messages")]
            assert time.monotonic() < until, f"{what}; the page says {notices}, {self.errors}"
            self.page.wait_for_timeout(50)
        return found


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dark video of four seconds, with sound."""
    path = tmp_path_factory.mktemp("clip") / "night.mp4"
    write_video(path, frames=120, size=(320, 180), audio=1)
    return path


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require_browser()
    path = tmp_path_factory.mktemp("camera") / "dark.y4m"
    write_camera(path)
    return path


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def address(clip: Path, camera: Path, results: Path) -> Iterator[str]:
    with studio(clip, "--folder", clip.parent, "-o", results) as found:
        yield found


@pytest.fixture(scope="module")
def playwright() -> Iterator[Any]:
    require_browser()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as found:
        yield found


@pytest.fixture(scope="module")
def browser(playwright: Any, camera: Path) -> Iterator[Any]:
    with chromium(playwright, f"--use-file-for-fake-video-capture={camera}") as found:
        yield found


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Page]:
    context = browser.new_context(
        viewport={"width": 1280, "height": 800}, permissions=["camera"], accept_downloads=True
    )
    page = Page(context.new_page(), address)
    yield page
    context.close()
    assert page.errors == []
