"""Files in a real browser: dropped, looked at, enhanced, played, fetched."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from tests.studio.conftest import COMPILED_SECONDS, Page
from tests.support.media import dark_scene, write_video

_DROP = """([name, data]) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const carried = new DataTransfer();
  carried.items.add(new File([bytes], name));
  for (const kind of ["dragover", "drop"]) {
    dispatchEvent(new DragEvent(kind, { dataTransfer: carried, cancelable: true }));
  }
}"""
# The mean level of an image of the page.
_LEVEL = """(id) => {
  const image = document.querySelector(id);
  const canvas = Object.assign(document.createElement("canvas"), { width: 64, height: 64 });
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0, 64, 64);
  const { data } = context.getImageData(0, 0, 64, 64);
  return data.reduce((sum, value, index) => sum + (index % 4 < 3 ? value : 0), 0) / (3 * 64 * 64);
}"""


def drop(page: Page, path: Path) -> None:
    data = base64.b64encode(path.read_bytes()).decode()
    page.page.evaluate(_DROP, [path.name, data])


def wait_until_chosen(page: Page, name: str) -> str:
    """Returns what the list says about the file."""
    line = page.page.locator(f"#file-list .pick[aria-pressed=true]:has-text('{name}')")
    page.wait(lambda: line.count() == 1, "the file")
    return line.locator("small").inner_text()


def wait_until_shown(page: Page) -> None:
    def shown() -> bool:
        return not page.text("#file-notice") and not page.page.is_visible("#file-busy")

    page.page.wait_for_timeout(50)
    page.wait(shown, "the picture", COMPILED_SECONDS)


def wait_until_done(page: Page) -> None:
    done = page.page.locator("#jobs [data-state=done]")
    page.wait(lambda: done.count() == 1, "the end", COMPILED_SECONDS)


def level(page: Page, image: str) -> float:
    return float(page.page.evaluate(_LEVEL, image))


def places(page: Page) -> list[float]:
    """Where the videos before and after are, in seconds."""
    found = page.page.evaluate(
        "[...document.querySelectorAll('#file-stage video')].map((v) => v.currentTime)"
    )
    return [float(place) for place in found]


def are_together(page: Page, seconds: float) -> bool:
    """Whether both videos have come that far, and play as one."""
    before, after = places(page)
    return min(before, after) > seconds and abs(before - after) < 0.2


def answer_late(route: Any) -> None:
    time.sleep(1)
    route.continue_()


def test_a_dropped_video_is_enhanced_played_and_fetched(
    page: Page, clip: Path, tmp_path: Path
) -> None:
    page.open("live")
    drop(page, clip)
    assert page.page.is_visible("#room-files"), "the page turns to files"
    assert wait_until_chosen(page, clip.name) == "320x180 · 30 fps · 0:04"
    wait_until_shown(page)
    dark, bright = level(page, "#file-before"), level(page, "#file-after")
    assert bright > 2 * dark > 5
    page.page.click("#enhance")
    wait_until_done(page)
    assert page.text("#jobs b") == "night_enhanced.mp4"
    with page.page.expect_download() as download:
        page.page.click("#jobs a:has-text('Download')")
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    assert path.name == "night_enhanced.mp4"
    with av.open(str(path)) as container:
        assert [s.type for s in container.streams] == ["video", "audio"]
        frames = [f.to_ndarray(format="rgb24").mean() for f in container.decode(video=0)]
    assert len(frames) == 120
    assert min(frames[30:]) > 2 * dark
    page.page.route("**/content", answer_late)
    page.page.click("#jobs button:has-text('Play')")
    page.wait(lambda: are_together(page, 4 / 3 + 0.5), "both play on from there")
    assert level(page, "#play-after") > 2 * level(page, "#play-before")
    page.wait(
        lambda: page.page.get_attribute("#play", "aria-label") == "Play the result", "the end"
    )
    assert min(places(page)) > 3.7
    page.page.click("#play")
    page.wait(lambda: 0.2 < min(places(page)) < 3.5, "both play again from the start")
    page.page.click("#jobs button:has-text('Remove')")
    page.wait(lambda: page.page.locator("#jobs li").count() == 0, "an empty queue")


def test_any_place_is_seen_at_once_with_the_sliders(page: Page, tmp_path: Path) -> None:
    write_video(tmp_path / "move.mkv", frames=300, size=(320, 180))
    page.open("files")
    page.page.set_input_files("#chooser", tmp_path / "move.mkv")
    wait_until_chosen(page, "move.mkv")
    wait_until_shown(page)
    first = page.page.get_attribute("#file-before", "src")
    page.slide("#place", 9)
    wait_until_shown(page)
    assert page.text("#place-value") == "0:09.0 / 0:10.0"
    assert page.page.get_attribute("#file-before", "src") != first
    full, dark = level(page, "#file-after"), level(page, "#file-before")
    page.slide("#file-strength", 50)
    wait_until_shown(page)
    half = level(page, "#file-after")
    assert dark + 10 < half < full - 10
    page.slide("#file-strength", 0)
    wait_until_shown(page)
    assert abs(level(page, "#file-after") - dark) < 2
    for _ in range(3):
        page.page.press("#place", "ArrowLeft")
    wait_until_shown(page)
    assert page.text("#place-value").startswith("0:08.9")
    page.page.click("[aria-label='Remove move.mkv']")
    page.wait(lambda: "move" not in page.text("#file-list"), "an empty list")


def test_a_photo_is_enhanced(page: Page, tmp_path: Path, results: Path) -> None:
    cv2.imwrite(str(tmp_path / "photo.png"), dark_scene(0, 200, 300))
    page.open("files")
    drop(page, tmp_path / "photo.png")
    wait_until_chosen(page, "photo.png")
    wait_until_shown(page)
    assert not page.page.is_visible("#transport")
    box = page.page.locator("#room-files .picture").bounding_box()
    assert abs(box["width"] / box["height"] - 200 / 300) < 0.02
    page.page.click("#enhance")
    wait_until_done(page)
    made = cv2.imread(str(results / "photo_enhanced.png"))
    assert made is not None
    assert made.mean() > 2 * np.mean(dark_scene(0, 200, 300))
    page.page.click("[aria-label='Remove photo_enhanced.png']")
    page.wait(lambda: not (results / "photo_enhanced.png").exists(), "a file that is gone")


def test_files_that_are_none_are_refused_with_a_reason(page: Page, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("this is text")
    (tmp_path / "notes.txt").write_text("this is text")
    page.open("files")
    drop(page, tmp_path / "text.mp4")
    page.wait(lambda: "text.mp4: not a video" in page.text("#messages"), "a reason")
    drop(page, tmp_path / "notes.txt")
    page.wait(lambda: "notes.txt: is not a picture or video" in page.text("#messages"), "a reason")


def test_the_folder_is_searched_and_opened(page: Page) -> None:
    page.open("files")
    page.page.click("#open-folder")
    page.page.fill("#folder-search", "NIGHT")
    page.page.click("#folder-list button:visible")
    page.wait(lambda: "night.mp4" in page.text("#file-list"), "the file")
    wait_until_shown(page)
    page.page.reload()
    page.page.wait_for_selector("html[data-ready]", state="attached")
    assert "night.mp4" in page.text("#file-list"), "what was open stays"
