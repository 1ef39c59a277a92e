"""One live session: from the feed to the window and the outputs."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from zerodce_rt.enhancer import Enhancer
from zerodce_rt.errors import ZeroDCEError, check_numbers
from zerodce_rt.live.darkness import DarkSwitch
from zerodce_rt.live.meters import LatencyMeter
from zerodce_rt.live.microphone import Microphone
from zerodce_rt.live.outputs import Metered, Output, Recordings, closed_at_end
from zerodce_rt.live.publisher import Publisher
from zerodce_rt.live.shots import Brightener, Shot
from zerodce_rt.live.sound import SoundOutput, SoundSource
from zerodce_rt.live.sources import Feed
from zerodce_rt.live.viewer import Viewer
from zerodce_rt.live.virtual_camera import VirtualCamera
from zerodce_rt.live.window import Window
from zerodce_rt.names import VIEWS
from zerodce_rt.pipeline import Newest
from zerodce_rt.progress import progress_bar

log = logging.getLogger(__name__)

# How often keys are read while no image comes.
_POLL_SECONDS = 0.01
# The measured rate of a source is logged once, after so long.
_MEASURED_AFTER_SECONDS = 3.0
_SLOW_SHARE = 0.8


@dataclass(frozen=True, kw_only=True)
class LiveSettings:
    """How a session begins, and where its images go.

    Attributes:
        window: open a window; without one, there must be another output.
        view: what the window shows first: ``"enhanced"``, ``"original"``, ``"split"`` or
            ``"side"``.
        mirror: swap left and right in the window.
        overlay: show figures in the window.
        full_screen: begin with a window in full screen.
        folder: where the snapshots and recordings of the window's keys go; made if missing.
        record: file to record to from the start (.mp4, .mov or .mkv); an existing one is
            replaced.
        virtual_camera: send the images to a virtual camera (needs the extra ``vcam``).
        publish: send the images and the sound to this URL; see ``Publisher``.
        publish_mbits: at most so many Mbit/s for the published picture; default: by its size.
        microphone: take the sound from it instead of from the source; see ``Microphone``.
        dark_level: enhance only what is darker than this mean, 0 to 1, and leave the rest as it
            is; default: enhance all.
        rate: nominal frames a second of the source and of all outputs.
        seconds: end after that time; default: go on.
        loop: play a file again and again.
        progress: without a window, count the frames on stderr.

    Raises:
        ValueError: for another view, or a number out of its range.
        TypeError: for a value of another type.
    """

    window: bool = True
    view: str = "enhanced"
    mirror: bool = False
    overlay: bool = True
    full_screen: bool = False
    folder: Path = Path()
    record: Path | None = None
    virtual_camera: bool = False
    publish: str | None = None
    publish_mbits: float | None = None
    microphone: str | None = None
    dark_level: float | None = None
    rate: float = 30.0
    seconds: float | None = None
    loop: bool = False
    progress: bool = False

    def __post_init__(self) -> None:
        check_numbers(rate=self.rate, seconds=self.seconds, publish_mbits=self.publish_mbits)
        for name in ("folder", "record"):
            if not isinstance(getattr(self, name), Path | None):
                raise TypeError(f"`{name}` must be a Path, not {getattr(self, name)!r}")
        for name in ("publish", "microphone"):
            if not isinstance(getattr(self, name), str | None):
                raise TypeError(f"`{name}` must be a string, not {getattr(self, name)!r}")
        if self.publish_mbits is not None and not 0.1 <= self.publish_mbits <= 1000:
            raise ValueError(
                f"`publish_mbits` must be between 0.1 and 1000, not {self.publish_mbits:g}"
            )
        if self.dark_level is not None:
            DarkSwitch(self.dark_level)
        if self.view not in VIEWS:
            raise ValueError(f"`view` must be one of {', '.join(VIEWS)}, not {self.view!r}")


def run_live(
    feed: Feed,
    enhancer: Enhancer,
    settings: LiveSettings | None = None,
    *,
    outputs: Sequence[Output] = (),
) -> None:
    """Show a feed, enhanced, until somebody ends the session or, without a window, its file ends.

    In a window, the last image of a file stays. Runs in the caller's thread, on macOS in the main
    one. Closing the window, its keys and Ctrl-C end it.

    Args:
        feed: what ``open_feed`` returns.
        enhancer: such as ``Enhancer.for_video()``; the window's keys change its strength.
        settings: how the session begins, and where its images go; default: a window.
        outputs: get every enhanced image besides the window and what the settings name, whatever
            view, mirror or freeze the window shows; closed at the end, also after an error.

    Raises:
        ZeroDCEError: what the user can fix, such as a source that cannot be opened, or a recording
            that broke off.
        ValueError: without a window, if there is no output; or the name of the file to record to
            does not end in .mp4, .mov or .mkv.
        Exception: whatever one of ``outputs`` raises.
    """
    if not isinstance(feed, Feed):
        raise TypeError(f"`feed` must be what open_feed returns, not {feed!r}")
    settings = settings or LiveSettings()
    own = settings.record or settings.virtual_camera or settings.publish
    if not (settings.window or own or outputs):
        raise ValueError(
            "without a window there must be a recording, a virtual camera, a stream to publish or "
            "another output"
        )
    if settings.window:
        _make_folder(settings.folder)
    feed.at_end = "again" if settings.loop else "stay" if settings.window else "stop"
    with ExitStack() as stack:
        receivers = [stack.enter_context(closed_at_end(output)) for output in outputs]
        hearing: SoundSource = feed
        if settings.microphone is not None:
            hearing = stack.enter_context(Microphone(settings.microphone))
        recordings = Recordings(settings.rate, lambda: hearing.sound)
        for output in _own_outputs(settings, recordings, hearing):
            receivers.append(stack.enter_context(closed_at_end(output)))
        hearing.listeners[:] = [r.write_sound for r in receivers if isinstance(r, SoundOutput)]
        stack.callback(hearing.listeners.clear)
        delay = LatencyMeter()

        def figures() -> list[str]:
            meters = [r.meter for r in receivers if isinstance(r, Metered)]
            now, before_ms = time.monotonic(), delay.median_ms()
            return [meter.text(now, before_ms) for meter in meters if meter is not None]

        brightener = Brightener(
            enhancer, rate=lambda: feed.meter.rate(time.monotonic()),
            is_dark=None if settings.dark_level is None else DarkSwitch(settings.dark_level),
        )  # fmt: skip
        pipeline = Newest(feed, brightener)
        frames, started = 0, time.monotonic()
        end = math.inf if settings.seconds is None else started + settings.seconds
        measuring_ends = started + _MEASURED_AFTER_SECONDS
        viewer: Viewer | Headless
        if settings.window:
            window = Window(f"zerodce-rt: {feed.name}")
            stack.callback(window.close)
            viewer = Viewer(
                window, feed, brightener, recordings, figures=figures,
                dropped=lambda: pipeline.dropped, folder=settings.folder,
                view=settings.view, mirror=settings.mirror, overlay=settings.overlay,
            )  # fmt: skip
            # Draws once now, so that the first image does not wait for window and font.
            viewer.update(None)
            if settings.full_screen:  # takes a window that has been drawn
                window.full_screen = True
        else:
            viewer = Headless(feed.name, recordings, progress=settings.progress)
            stack.callback(viewer.close)
        if settings.record is not None:
            recordings.start(settings.record)
        stack.enter_context(pipeline)
        with suppress(KeyboardInterrupt):
            while not viewer.quit and not pipeline.ended:
                shot = pipeline.get(_POLL_SECONDS)
                viewer.update(shot)
                if shot is not None:
                    frames += 1
                    delay.add(time.monotonic() - shot.captured)
                    for receiver in receivers:
                        receiver.write(shot.after, shot.seconds)
                now = time.monotonic()
                if now >= end:
                    break
                if now >= measuring_ends:
                    measuring_ends = math.inf
                    _log_rate(feed, settings.rate)
    log.info(
        "%d frames in %.1f s, %d dropped, median latency %.1f ms",
        frames, time.monotonic() - started, pipeline.dropped, viewer.latency.median_ms(),
    )  # fmt: skip
    if recordings.failure is not None:
        raise recordings.failure


def _own_outputs(
    settings: LiveSettings, recordings: Recordings, hearing: SoundSource
) -> Iterator[Output]:
    """The outputs that the settings name, one after another."""
    if settings.virtual_camera:
        yield VirtualCamera(settings.rate)
    if settings.publish is not None:
        yield Publisher(
            settings.publish, settings.rate,
            mbits=settings.publish_mbits, sound=lambda: hearing.sound,
        )  # fmt: skip
    yield recordings


def _make_folder(folder: Path) -> None:
    """Make the folder for snapshots and recordings, if it is missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ZeroDCEError(
            f"{folder}: cannot be made ({error.strerror}); choose another folder"
        ) from error


def _log_rate(feed: Feed, wanted: float) -> None:
    """Log what the source gives, which may be less than its driver reported."""
    slow = feed.slow_advice and feed.meter.rate(time.monotonic()) < _SLOW_SHARE * wanted
    advice = f"; {feed.slow_advice}" if slow else ""
    log.info("%s: gives %s%s", feed.name, feed.measured(), advice)


class Headless:
    """Takes the place of ``Viewer`` in a session without a window: a progress bar.

    Attributes:
        latency: from capture to the outputs.
    """

    def __init__(self, name: str, recordings: Recordings, *, progress: bool) -> None:
        self.latency = LatencyMeter()
        self._recordings = recordings
        self._bar = progress_bar(name, unit="frame", show=progress)

    @property
    def quit(self) -> bool:
        """Whether a recording broke off: without a window, nobody would notice it."""
        return self._recordings.failure is not None

    def update(self, shot: Shot | None) -> None:
        if shot is not None:
            self.latency.add(time.monotonic() - shot.captured)
            self._bar.update()

    def close(self) -> None:
        self._bar.close()
