"""The one live session that a studio may have: the page that starts another one takes over."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import av

from zerodce_rt.enhancer import Enhancer
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.live.camera import CameraSettings
from zerodce_rt.live.feeds import open_feed
from zerodce_rt.live.sources import Feed
from zerodce_rt.studio.session import LiveSession
from zerodce_rt.studio.settings import Look
from zerodce_rt.studio.webrtc import BrowserCamera, Peer, PictureTrack

BROWSER = "browser"
"""The source that is the camera of the page's own device."""


@dataclass(frozen=True)
class _Running:
    """A session and the connection that it shows itself on."""

    session: LiveSession
    peer: Peer
    track: PictureTrack


class Live:
    """Starts and ends sessions; everything here is called in the loop's thread.

    Args:
        sources: of this machine that the page may choose.
        folder: for snapshots and recordings.
    """

    def __init__(
        self, make_enhancer: Callable[[], Enhancer], sources: tuple[str, ...], folder: Path,
        camera: CameraSettings,
    ) -> None:  # fmt: skip
        self._make_enhancer, self._folder, self._camera = make_enhancer, folder, camera
        self._sources = sources
        self._running: _Running | None = None
        # Of the session that was asked for last, by which a page tells whether it is its own.
        self._id = ""
        # A second page must not begin before the first has let go of the camera.
        self._turn = asyncio.Lock()
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def source_names(self) -> list[str]:
        """Of this machine's sources, for people; their places in it are their numbers."""
        return [open_feed(source).name for source in self._sources]

    async def start(self, offer: str, source: str, look: Look, view: str) -> tuple[str, str]:
        """Begin a session, instead of the one that runs.

        Args:
            offer: the browser's session description, with its candidates.
            source: ``BROWSER``, or the number of one of this machine's sources.

        Returns:
            Our session description, and the session's id.

        Raises:
            ZeroDCEError: for an offer or a source that cannot be used.
        """
        async with self._turn:
            self._id = secrets.token_hex(8)
            await self._end()
            camera = BrowserCamera() if source == BROWSER else None
            feed = self._feed(source) if camera is None else Feed("your camera", lambda: camera)
            track = PictureTrack()
            loop = asyncio.get_running_loop()

            def show(frame: av.VideoFrame, captured: float) -> None:
                loop.call_soon_threadsafe(track.show, frame, captured)

            peer = Peer(track, camera, lambda: self._lost(peer))
            try:
                answer = await peer.answer(offer)
            except ZeroDCEError:
                await peer.close()
                raise
            session = LiveSession(
                feed, self._make_enhancer, self._folder, show, rate=self._camera.rate
            )
            self._running = _Running(session, peer, track)
            session.set_look(look)
            session.set_view(view)
            return answer, self._id

    def _feed(self, source: str) -> Feed:
        if not source.isdecimal() or int(source) >= len(self._sources):
            raise ZeroDCEError("this source is not one of the studio's")
        feed = open_feed(self._sources[int(source)], camera=self._camera)
        feed.at_end = "again"
        return feed

    @property
    def session(self) -> LiveSession:
        """The one that runs.

        Raises:
            ZeroDCEError: if none does.
        """
        if self._running is None:
            raise ZeroDCEError("nothing is playing; press Start")
        return self._running.session

    def figures(self) -> dict[str, Any]:
        """How the session goes, as plain data; ``state`` is ``"off"`` if there is none."""
        if self._running is None:
            return {"state": "off", "id": self._id}
        track = self._running.track
        return asdict(self._running.session.figures()) | {
            "id": self._id, "fps": track.rate.rate(time.monotonic()),
            "delay_ms": track.latency.median_ms(),
        }  # fmt: skip

    async def stop(self, id: str | None = None) -> None:
        """End the session, if there is one.

        Args:
            id: leave it alone if it is not this one; default: end whichever runs.
        """
        async with self._turn:
            if id in (None, self._id):
                await self._end()

    async def _end(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            await running.peer.close()
            await asyncio.to_thread(running.session.close)

    def _lost(self, peer: Peer) -> None:
        """The connection is gone: nobody sees the session any more."""
        if self._running is not None and self._running.peer is peer:
            task = asyncio.ensure_future(self.stop(self._id))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
