"""The live picture in a real browser, whose camera plays a dark clip."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from tests.studio.conftest import COMPILED_SECONDS, Page
from tests.support.studio import chromium, studio, write_camera

pytestmark = pytest.mark.alone

WATCHED_SECONDS = 60 if os.environ.get("ZERODCE_RT_THOROUGH") else 5
SLOWEST_FPS = 5  # on a machine that runs other tests
LONGEST_GAP_SECONDS = 3.0


def start(page: Page, source: str = "browser") -> None:
    page.open("live")
    page.page.select_option("#live-source", source)
    page.page.click("#live-start")
    page.wait(lambda: page.read() and not page.text("#live-notice"), "a picture", COMPILED_SECONDS)


def mean(levels: list[float]) -> float:
    return sum(levels) / 3


def test_the_picture_that_comes_back_is_brighter_and_goes_on(page: Page) -> None:
    start(page)
    seen = page.wait(lambda: (s := page.read()) and s["width"] == 1280 and s, "both pictures")
    assert seen["height"] == 360, "before and after, side by side"
    page.wait(
        lambda: (s := page.read()) and mean(s["right"]) > 2 * mean(s["left"]) > 8, "a brighter one"
    )
    first, began, last, changed = page.read(), time.monotonic(), 0, time.monotonic()
    assert first is not None
    while time.monotonic() - began < WATCHED_SECONDS:
        now = page.read()
        assert now is not None
        if now["frames"] != last:
            last, changed = now["frames"], time.monotonic()
        assert time.monotonic() - changed < LONGEST_GAP_SECONDS, "the picture stands still"
        page.page.wait_for_timeout(100)
    assert last - first["frames"] > SLOWEST_FPS * WATCHED_SECONDS
    assert "fps" in page.text("#figure-fps")
    assert 0 < float(page.text("#figure-delay").split()[0]) < 1000
    assert page.text("#figure-source").startswith("640x360 at ")
    assert page.text("#figure-backend")


def test_the_divider_follows_the_mouse_and_the_keys(page: Page) -> None:
    start(page)
    divider = page.page.locator("#room-live .divider")
    box = page.page.locator("#room-live .picture").bounding_box()
    page.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 100)
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 120, steps=4)
    page.page.mouse.up()
    assert abs(int(divider.get_attribute("aria-valuenow")) - 80) <= 1
    divider.press("ArrowLeft")
    divider.press("PageDown")
    assert abs(int(divider.get_attribute("aria-valuenow")) - 68) <= 1
    at = divider.bounding_box()
    assert abs(at["x"] + at["width"] / 2 - box["x"] - 0.68 * box["width"]) < 3
    # What is left of it is dark, what is right of it is not: on the screen, not in the data.
    x, y = round(box["x"] + 0.68 * box["width"]), round(box["y"] + box["height"] * 0.7)
    shown = screen(page)
    dark, bright = shown[y : y + 20, x - 60 : x - 30], shown[y : y + 20, x + 30 : x + 60]
    assert bright.mean() > 2 * dark.mean()


def screen(page: Page) -> Any:
    """What the page shows, ``(H, W, 3)`` uint8."""
    return cv2.imdecode(np.frombuffer(page.page.screenshot(), np.uint8), cv2.IMREAD_COLOR)


def test_sliders_and_views_act(page: Page) -> None:
    start(page)
    page.slide("#live-strength", 0)
    page.slide("#live-denoise", 0)
    page.wait(
        lambda: (s := page.read()) and abs(mean(s["right"]) - mean(s["left"])) < 3, "no effect"
    )
    assert page.text("#live-strength-value") == "0 %"
    page.slide("#live-strength", 100)
    page.wait(lambda: (s := page.read()) and mean(s["right"]) > 2 * mean(s["left"]), "full effect")
    page.page.check("#live-views [value=enhanced]", force=True)
    page.wait(lambda: (s := page.read()) and s["width"] == 640, "one picture")
    seen = page.read()
    assert seen is not None
    assert mean(seen["left"]) > 30
    page.page.check("#live-views [value=original]", force=True)
    page.wait(lambda: (s := page.read()) and mean(s["left"]) < 30, "the dark picture")


def test_snapshots_and_recordings_are_saved_and_fetched(
    page: Page, results: Path, tmp_path: Path
) -> None:
    start(page)
    page.page.click("#live-record")
    page.wait(lambda: page.page.is_visible("#live-recording"), "a sign that it records")
    page.page.click("#live-snapshot")
    page.wait(lambda: page.page.locator("#live-captures a").count() == 2, "two pictures")
    before, after = (cv2.imread(str(p)) for p in sorted(results.glob("*.png"), reverse=True))
    assert before is not None
    assert after is not None
    assert before.shape == (360, 640, 3)
    assert after.mean() > 2 * before.mean()
    page.page.wait_for_timeout(1000)
    page.page.click("#live-record")
    page.wait(lambda: page.page.locator("#live-captures a").count() == 3, "a recording")
    with page.page.expect_download() as download:
        page.page.click("#live-captures a >> nth=0")
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    with av.open(str(path)) as container:
        frames = [f.to_ndarray(format="rgb24").mean() for f in container.decode(video=0)]
    assert len(frames) > 5
    assert frames[-1] > 30


def test_a_file_of_the_server_plays_without_a_camera(browser: Any, address: str) -> None:
    """And with the browser's local addresses hidden, as they are without a camera."""
    context = browser.new_context()
    page = Page(context.new_page(), address)
    start(page, "0")
    page.wait(
        lambda: (s := page.read()) and mean(s["right"]) > 2 * mean(s["left"]), "the file, brighter"
    )
    assert page.text("#figure-source").startswith("320x180")
    page.page.click("#live-start")
    page.wait(lambda: "press Start" in page.text("#live-notice"), "an end")
    assert page.page.evaluate("fetch('api/live').then(r => r.json())")["state"] == "off"
    context.close()
    assert page.errors == []


def test_another_page_takes_over(page: Page, browser: Any) -> None:
    start(page)
    context = browser.new_context(permissions=["camera"])
    other = Page(context.new_page(), page.address)
    start(other)
    page.wait(lambda: "Another page" in page.text("#live-notice"), "a reason")
    assert page.text("#live-start") == "Start"
    context.close()


def test_a_camera_that_is_not_allowed_is_said(page: Page) -> None:
    page.page.add_init_script(
        "navigator.mediaDevices.getUserMedia = () => "
        "Promise.reject(new DOMException('no', 'NotAllowedError'));"
    )
    page.open("live")
    page.page.click("#live-start")
    page.wait(lambda: "not allowed" in page.text("#live-notice"), "a reason")
    assert page.page.is_enabled("#live-start")


BARS = [(200, 40, 40), (40, 200, 40), (40, 40, 200), (200, 200, 40), (40, 200, 200),
        (200, 40, 200), (128, 128, 128), (230, 230, 230)]  # fmt: skip


def test_colours_come_back_as_they_were_and_the_end_is_said(
    playwright: Any, tmp_path: Path
) -> None:
    """At 1280x720, where BT.709 would be guessed; without enhancement."""
    picture = np.repeat(np.array(BARS, np.uint8), 160, axis=0)[None].repeat(720, axis=0)
    write_camera(tmp_path / "bars.y4m", [picture] * 5)
    flag = f"--use-file-for-fake-video-capture={tmp_path / 'bars.y4m'}"
    with chromium(playwright, flag) as browser:
        with studio() as address:
            page = Page(browser.new_context(permissions=["camera"]).new_page(), address)
            page.open("live")
            for name in ("#live-strength", "#live-denoise"):
                page.slide(name, 0)
            page.page.check("#live-views [value=enhanced]", force=True)
            page.page.click("#live-start")
            page.wait(lambda: (s := page.read()) and s["frames"] > 30, "a picture", 240)
            for left in (True, False):
                bars = np.array(BARS[:4] if left else BARS[4:])
                seen = page.read()
                assert seen is not None
                found = np.array(seen["left" if left else "right"])
                assert np.abs(found - bars.mean(axis=0)).max() < 4
        page.wait(lambda: page.page.is_visible("#banner"), "that the program has ended")


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("width", [390, 1280])
def test_everything_fits_on_the_screen(browser: Any, address: str, scheme: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = Page(context.new_page(), address)
    for room in ("live", "files"):
        page.open(room)
        assert page.page.evaluate("document.documentElement.scrollWidth") <= width
        for button in page.page.locator(f"#room-{room} button:visible, #room-{room} select").all():
            box = button.bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
            assert box["height"] >= 28
        unnamed = page.page.evaluate(
            """[...document.querySelectorAll("button, input, select, [role=slider]")]
                .filter((e) => !(e.ariaLabel || e.textContent.trim() || e.labels?.length
                                 || e.hidden)).map((e) => e.outerHTML)"""
        )
        assert unnamed == []
    context.close()
    assert page.errors == []
