"""One live session: from the feed to the window, the recording and the virtual camera."""

from __future__ import annotations

import logging
import math
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from zerodce_rt.enhancer import Enhancer
from zerodce_rt.live.meters import LatencyMeter
from zerodce_rt.live.outputs import Outputs
from zerodce_rt.live.shots import Brightener, Shot
from zerodce_rt.live.sources import Feed
from zerodce_rt.live.viewer import Viewer
from zerodce_rt.live.window import Window
from zerodce_rt.names import VIEWS
from zerodce_rt.pipeline import Newest
from zerodce_rt.progress import progress_bar

log = logging.getLogger(__name__)

# Keys are looked at this often when no picture comes.
_POLL_SECONDS = 0.01
# What a source really gives is told once, after it has run for so long.
_MEASURED_AFTER_SECONDS = 3.0
_SLOW_SHARE = 0.8


@dataclass(frozen=True, kw_only=True)
class LiveSettings:
    """How a session begins, and where its pictures go.

    Attributes:
        window: open one.
        view: one of ``VIEWS``.
        mirror: swap left and right in the window.
        overlay: show figures in the window.
        full_screen: begin so.
        folder: for the snapshots and recordings that keys make.
        record: file to record to from the start.
        virtual_camera: send the picture to a virtual camera.
        rate: nominal frames a second of recordings and the virtual camera.
        seconds: stop after that time; None goes on.
        progress: without a window, count the frames on stderr.
    """

    window: bool = True
    view: str = "enhanced"
    mirror: bool = False
    overlay: bool = True
    full_screen: bool = False
    folder: Path = Path()
    record: Path | None = None
    virtual_camera: bool = False
    rate: float = 30.0
    seconds: float | None = None
    progress: bool = False

    def __post_init__(self) -> None:
        if self.view not in VIEWS:
            raise ValueError(f"view must be one of {', '.join(VIEWS)}, not {self.view!r}")
        if not self.window and self.record is None and not self.virtual_camera:
            raise ValueError("without a window there must be a recording or a virtual camera")


def run_live(feed: Feed, enhancer: Enhancer, settings: LiveSettings | None = None) -> None:
    """Show a feed, brightened, until a person has had enough or a file ends.

    Runs in the caller's thread, on macOS in the main one; ``cv2`` must be imported before ``av``.
    Ctrl-C is a way to end it like closing the window.

    Args:
        enhancer: one for video; its strength follows the keys.

    Raises:
        ZeroDCEError: what a person can mend, such as a source that cannot be opened, or a
            recording that broke off. Everything is closed then.
    """
    settings = settings or LiveSettings()
    brightener = Brightener(enhancer)
    pipeline = Newest(feed, brightener)
    started = time.monotonic()
    end = math.inf if settings.seconds is None else started + settings.seconds
    measuring_ends = started + _MEASURED_AFTER_SECONDS
    frames = 0

    with ExitStack() as stack:
        outputs = Outputs(rate=settings.rate, virtual_camera=settings.virtual_camera)
        stack.callback(outputs.close)
        viewer: Viewer | Unseen
        if settings.window:
            window = Window(f"zerodce-rt: {feed.name}")
            stack.callback(window.close)
            viewer = Viewer(
                window, feed, brightener, outputs,
                dropped=lambda: pipeline.dropped, folder=settings.folder,
                view=settings.view, mirror=settings.mirror, overlay=settings.overlay,
            )  # fmt: skip
            # Window and typeface before the first picture, which would wait for them.
            viewer.update(None)
            if settings.full_screen:  # of a window that is already there
                window.full_screen = True
        else:
            viewer = Unseen(feed.name, outputs, progress=settings.progress)
            stack.callback(viewer.close)
        if settings.record is not None:
            outputs.record(settings.record)
        stack.enter_context(pipeline)
        with suppress(KeyboardInterrupt):
            # A frozen picture outlives its file.
            while not viewer.quit and (viewer.frozen or not pipeline.ended):
                shot = pipeline.get(_POLL_SECONDS)
                viewer.update(shot)
                if shot is not None:
                    frames += 1
                    outputs.send(shot)
                now = time.monotonic()
                if now >= end:
                    break
                if now >= measuring_ends:
                    measuring_ends = math.inf
                    _tell_rate(feed, settings.rate)
    log.info(
        "%d frames in %.1f s, %d dropped, median latency %.1f ms",
        frames, time.monotonic() - started, pipeline.dropped, viewer.latency.median_ms(),
    )  # fmt: skip
    if outputs.failure is not None:
        raise outputs.failure


def _tell_rate(feed: Feed, wanted: float) -> None:
    """What the source really gives, whatever it promised."""
    slow = feed.slow_advice and feed.meter.rate(time.monotonic()) < _SLOW_SHARE * wanted
    advice = f"; {feed.slow_advice}" if slow else ""
    log.info("%s: gives %s%s", feed.name, feed.measured(), advice)


class Unseen:
    """In the place of a viewer where there is no window: a line that counts.

    Attributes:
        latency: from capture to the outputs.
    """

    frozen = False

    def __init__(self, name: str, outputs: Outputs, *, progress: bool) -> None:
        self.latency = LatencyMeter()
        self._outputs = outputs
        self._bar = progress_bar(name, unit="frame", show=progress)

    @property
    def quit(self) -> bool:
        """Nobody would see that a recording broke off, and go on watching."""
        return self._outputs.failure is not None

    def update(self, shot: Shot | None) -> None:
        if shot is not None:
            self.latency.add(time.monotonic() - shot.captured)
            self._bar.update()

    def close(self) -> None:
        self._bar.close()
