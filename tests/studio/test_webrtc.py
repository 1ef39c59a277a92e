"""Connections to browsers that do not tell their addresses."""

from __future__ import annotations

import asyncio
import re
import sys

import pytest

if sys.version_info < (3, 11):
    pytest.skip("aiortc needs Python 3.11", allow_module_level=True)

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from zerodce_rt.studio.webrtc import Peer, PictureTrack


async def connect_hidden() -> str:
    """The state of a connection whose offer has names that nobody can look up, as Firefox's."""
    browser = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    browser.addTransceiver("video", "recvonly")
    connected = asyncio.Event()

    @browser.on("connectionstatechange")
    def look() -> None:
        if browser.connectionState in ("connected", "failed"):
            connected.set()

    peer = Peer(PictureTrack(), None, lambda: None)
    try:
        await browser.setLocalDescription(await browser.createOffer())
        offer = browser.localDescription.sdp
        assert "a=end-of-candidates" in offer
        hidden, count = re.subn(r"(udp \d+) \S+ (\d+ typ host)", r"\1 nobody.local \2", offer)
        assert count
        answer = await peer.answer(hidden)
        await browser.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await asyncio.wait_for(connected.wait(), 20)
        return str(browser.connectionState)
    finally:
        await peer.close()
        await browser.close()


def test_a_browser_that_hides_its_address_is_connected() -> None:
    assert asyncio.run(connect_hidden()) == "connected"
