"""Draw the studio's pictures in the documents: its page in Chromium, with the demo's dark room.

    python scripts/studio_pictures.py [FOLDER]

Writes studio_live.jpg, studio_files.jpg and studio_phone.jpg to docs/, or to FOLDER. Needs
Chromium, and the extras ``studio`` and ``test``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.support.commands import command
from tests.support.studio import chromium, studio, write_camera

DOCS = Path(__file__).resolve().parent.parent / "docs"
DESKTOP, PHONE = (1280, 780), (390, 780)
# The curve, the denoiser and the browser's bitrate have found their level.
SETTLED_MS = 12_000
QUALITY = 70


def open_page(browser: Any, address: str, size: tuple[int, int], scheme: str) -> Any:
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=scheme,
        permissions=["camera"], is_mobile=size == PHONE, has_touch=size == PHONE,
        device_scale_factor=1.25 if size == PHONE else 1,
    )  # fmt: skip
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector("html[data-ready]", state="attached")
    return page


def taken(page: Any) -> Any:
    """What a page shows, BGR; the page is closed."""
    picture = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    page.context.close()
    return picture


def live(browser: Any, address: str, size: tuple[int, int], scheme: str) -> Any:
    page = open_page(browser, f"{address}#live", size, scheme)
    page.click("#live-start")
    page.wait_for_timeout(SETTLED_MS)
    return taken(page)


def files(browser: Any, address: str, size: tuple[int, int], scheme: str, clip: Path) -> Any:
    page = open_page(browser, f"{address}#files", size, scheme)
    page.set_input_files("#chooser", clip)
    page.wait_for_selector("#file-stage:not([data-empty])")
    page.wait_for_timeout(1000)
    page.click("#enhance")
    page.wait_for_selector("#jobs [data-state=done]")
    page.fill("#place", "2")
    page.click("#enhance")
    page.wait_for_timeout(2000)
    return taken(page)


def save(folder: Path, name: str, picture: Any) -> None:
    path = folder / name
    cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def main() -> int:
    from playwright.sync_api import sync_playwright

    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS
    with tempfile.TemporaryDirectory() as temporary:
        command("demo", "--seconds", 3, cwd=temporary)
        clip = Path(temporary, "zerodce-rt-demo", "dark.mp4")
        with av.open(str(clip)) as container:
            frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
        camera = Path(temporary, "camera.y4m")
        # There and back again, so that it does not jump.
        write_camera(camera, frames + frames[-2:0:-1])
        flag = f"--use-file-for-fake-video-capture={camera}"
        with (
            studio() as address,
            sync_playwright() as playwright,
            chromium(playwright, flag) as browser,
        ):
            save(folder, "studio_live.jpg", live(browser, address, DESKTOP, "dark"))
            save(folder, "studio_files.jpg", files(browser, address, DESKTOP, "light", clip))
            phones = [live(browser, address, PHONE, s) for s in ("light", "dark")]
            gap = np.full((phones[0].shape[0], 24, 3), 255, np.uint8)
            save(folder, "studio_phone.jpg", np.hstack([phones[0], gap, phones[1]]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
