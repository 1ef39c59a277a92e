"""The live window's contents and keys: views, figures, messages."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.errors import ZeroDCEError, plain
from zerodce_rt.live.captures import new_capture, save_snapshot
from zerodce_rt.live.keys import ACTIONS, ESCAPE, LEFT, help_lines
from zerodce_rt.live.meters import LatencyMeter, RateMeter
from zerodce_rt.live.outputs import Recordings
from zerodce_rt.live.overlay import draw_text
from zerodce_rt.live.shots import Brightener, Shot
from zerodce_rt.live.sources import Feed
from zerodce_rt.live.views import view_of
from zerodce_rt.live.window import Window
from zerodce_rt.names import VIEWS

log = logging.getLogger(__name__)

_MESSAGE_SECONDS, _ALARM_SECONDS = 2.5, 15.0
# For so long after the first image, the window says which key shows the others.
_HINT_SECONDS = 6.0
# Figures that change with every image cannot be read.
_FIGURES_SECONDS = 0.5
# How often the text is drawn while no image comes.
_IDLE_SECONDS = 0.1
_STRENGTH_STEP = 0.1
_SEEK_SECONDS = 5.0
# So long after the last image of a file was read, it has been shown and recorded.
_DRAIN_SECONDS = 0.3
_BLANK = np.full((720, 1280, 3), 24, np.uint8)


class Viewer:
    """Shows shots in a window, and acts on its keys.

    Attributes:
        view: one of ``VIEWS``.
        quit: whether somebody asked to end, or closed the window.
        frozen: whether the picture is frozen.
        latency: from capture to screen.

    Args:
        figures: gives a line for each output.
        dropped: gives the number of images dropped so far.
        folder: where snapshots and recordings go.
        view, mirror, overlay: how to begin; see ``LiveSettings``.
    """

    def __init__(
        self, window: Window, feed: Feed, brightener: Brightener, recordings: Recordings,
        *, figures: Callable[[], list[str]], dropped: Callable[[], int], folder: Path, view: str,
        mirror: bool, overlay: bool,
    ) -> None:  # fmt: skip
        self._window, self._feed = window, feed
        self._brightener, self._recordings = brightener, recordings
        self._output_figures, self._dropped, self._folder = figures, dropped, folder
        self.view, self._mirror, self._overlay, self._help = view, mirror, overlay, False
        self._divider = 0.5
        self._quit = self.frozen = False
        self._shot: Shot | None = None
        self._changed = True
        self._drawn = 0.0
        self._message, self._message_until = "", 0.0
        self._hint_until = 0.0
        self._end_at: float | None = None
        self._failure: ZeroDCEError | None = None
        self._figures: list[str] = []
        self._figures_until = 0.0
        self._rate, self.latency = RateMeter(), LatencyMeter()
        window.on_drag = self._drag
        window.fit(_BLANK.shape[1], _BLANK.shape[0])

    @property
    def quit(self) -> bool:
        return self._quit or self._window.closed

    def update(self, shot: Shot | None) -> None:
        """Show a shot, unless the picture is frozen, and act on the keys.

        Args:
            shot: None if there is no new one.
        """
        now = time.monotonic()
        fresh = None if self.frozen else shot
        if fresh is not None:
            if self._shot is None:
                self._window.fit(fresh.before.shape[1], fresh.before.shape[0])
                self._hint_until = now + _HINT_SECONDS
            self._shot = fresh
        if self._failure is not self._recordings.failure:
            self._failure = self._recordings.failure
            self._say(str(self._failure), _ALARM_SECONDS)
        if not self._feed.ended:
            self._end_at = None
        elif self._end_at is None:
            self._end_at = now + _DRAIN_SECONDS
        elif self._end_at <= now:
            self._end_at = math.inf  # once is enough
            self._end()
        if fresh is not None or self._changed or now - self._drawn > _IDLE_SECONDS:
            self._window.show(self._picture(), self._annotate)
            self._changed, self._drawn = False, now
            if fresh is not None:
                now = time.monotonic()
                self._rate.tick(now)
                self.latency.add(now - fresh.captured)
        for character in self._window.take_keys():
            action = ACTIONS.get(character.lower())
            if action is not None:
                self._changed = True
                getattr(self, f"key_{action}")(character)
        if notches := self._window.take_notches():
            self._change_strength(notches * _STRENGTH_STEP)

    def _status(self) -> str | None:
        """Why no images come just now; None while they do."""
        return self._feed.status or self._feed.silence

    def _picture(self) -> NDArray[np.uint8]:
        if self._shot is None:
            return _BLANK
        return view_of(
            self._shot.before, self._shot.after, self.view,
            divider=self._divider, mirror=self._mirror,
        )  # fmt: skip

    def _annotate(self, canvas: NDArray[np.uint8]) -> None:
        """Draw the text on an image of the window's size."""
        now = time.monotonic()
        if (status := self._status()) is not None:
            canvas //= 3
            draw_text(canvas, [plain(status)], "centre")
        if self._overlay and not self._help:
            draw_text(canvas, self._figures_at(now), "top left")
        if (seconds := self._recordings.seconds) is not None:
            text = f"REC {int(seconds) // 60:02}:{int(seconds) % 60:02}"
            draw_text(canvas, [text], "top right", alarm=True)
        if self._help:
            draw_text(canvas, help_lines(), "centre")
        if now < self._message_until:
            draw_text(canvas, [plain(self._message)], "bottom")
        elif self._overlay and not self._help and now < self._hint_until:
            draw_text(canvas, ["H: help"], "bottom")

    def _figures_at(self, now: float) -> list[str]:
        if self._changed or now >= self._figures_until:
            self._figures_until = now + _FIGURES_SECONDS
            brightener, feed = self._brightener, self._feed
            state = "" if brightener.enabled else " · OFF"
            state += " · DAY" if brightener.is_day else ""
            state += " · FROZEN" if self.frozen else ""
            self._figures = [
                f"{self._rate.rate(now):.1f} fps · {self.latency.median_ms():.0f} ms · "
                f"{self._dropped()} dropped",
                f"{brightener.backend} · strength {brightener.strength:.1f} · "
                f"{_denoising(brightener)}{state}",
                f"{feed.name} gives {feed.measured()}" if feed.size[0] else feed.name,
                feed.description,
                *self._output_figures(),
            ]
        return self._figures

    def _say(self, message: str, seconds: float = _MESSAGE_SECONDS) -> None:
        """Show a message for a moment."""
        self._message, self._message_until = message, time.monotonic() + seconds
        self._changed = True

    def _drag(self, x: float) -> None:
        if self.view == "split":
            self._divider = x
            self._changed = True

    def _end(self) -> None:
        """A file has come to its end: its last image stays."""
        saved = None if self._recordings.seconds is None else self._recordings.stop()
        self._say(
            (f"saved {saved.name} · " if saved else "")
            + ("end · left arrow: back · Q: quit" if self._feed.seekable else "end · Q: quit"),
            _ALARM_SECONDS,
        )

    def _adjusted(self, message: str) -> None:
        """Report a changed setting, and apply it to an image that stays; others follow anyway."""
        if (self.frozen or self._feed.ended) and self._shot is not None:
            self._shot = self._brightener.again(self._shot)
        self._say(message)

    def key_view(self, _: str) -> None:
        self._show_view(VIEWS[(VIEWS.index(self.view) + 1) % len(VIEWS)])

    def key_choose_view(self, character: str) -> None:
        self._show_view(VIEWS[int(character) - 1])

    def _show_view(self, view: str) -> None:
        self.view = view
        self._say({"side": "before and after"}.get(view, view))

    def key_toggle(self, _: str) -> None:
        self._brightener.enabled = not self._brightener.enabled
        self._adjusted(f"enhancement {'on' if self._brightener.enabled else 'off'}")

    def key_stronger(self, _: str) -> None:
        self._change_strength(_STRENGTH_STEP)

    def key_weaker(self, _: str) -> None:
        self._change_strength(-_STRENGTH_STEP)

    def _change_strength(self, step: float) -> None:
        strength = min(1.0, max(0.0, round(self._brightener.strength + step, 2)))
        self._brightener.strength = strength
        self._adjusted(f"strength {strength:.1f}")

    def key_denoise(self, _: str) -> None:
        self._brightener.toggle_denoise()
        self._adjusted(f"noise removal {'on' if self._brightener.denoise else 'off'}")

    def key_freeze(self, _: str) -> None:
        if self._shot is None:
            self._say("no picture yet")
            return
        self.frozen = not self.frozen
        self._say("frozen" if self.frozen else "live")

    def key_overlay(self, _: str) -> None:
        self._overlay = not self._overlay

    def key_mirror(self, _: str) -> None:
        self._mirror = not self._mirror

    def key_help(self, _: str) -> None:
        self._help = not self._help

    def key_full_screen(self, _: str) -> None:
        self._window.full_screen = not self._window.full_screen

    def key_seek(self, character: str) -> None:
        if not self._feed.seekable:
            self._say("not a file: there is no way back or on")
            return
        self.frozen = False
        back = character == LEFT
        self._feed.seek(-_SEEK_SECONDS if back else _SEEK_SECONDS)
        self._say(f"{_SEEK_SECONDS:g} s {'back' if back else 'on'}")

    def key_quit(self, character: str) -> None:
        if character == ESCAPE and self._window.full_screen:
            self._window.full_screen = False
        else:
            self._quit = True

    def key_snapshot(self, _: str) -> None:
        if self._shot is None:
            self._say("no picture yet")
            return
        try:
            before, after = save_snapshot(self._folder, self._shot)
            log.info("%s", before)
            log.info("%s", after)
            self._say(f"saved {before.name} and _after.png")
        except ZeroDCEError as error:
            log.error("no snapshot: %s", error)
            self._say(f"no snapshot: {error}", _ALARM_SECONDS)

    def key_record(self, _: str) -> None:
        if self._recordings.seconds is None:
            try:
                path = new_capture(self._folder, ".mp4")
                self._recordings.start(path)
                self._say(f"recording to {path.name}")
            except ZeroDCEError as error:
                log.error("%s", error)
                self._say(str(error), _ALARM_SECONDS)
        elif (saved := self._recordings.stop()) is not None:
            self._say(f"saved {saved.name}")


def _denoising(brightener: Brightener) -> str:
    """How noise is removed just now, for people."""
    if not brightener.denoise:
        return "denoise off"
    left_out = {2: " (not along motion)", 1: " (over time only)", 0: " (no time)"}
    return f"denoise {brightener.denoise:.1f}{left_out.get(brightener.denoise_effort, '')}"
