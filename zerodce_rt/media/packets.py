"""Packets whose bytes or side data are to be others: PyAV's cannot be changed."""

from __future__ import annotations

import av


def with_data(packet: av.Packet, data: bytes) -> av.Packet:
    """A new packet with the times of another one, and without its stream and side data."""
    new = av.Packet(data)
    new.pts, new.dts, new.duration = packet.pts, packet.dts, packet.duration
    new.time_base, new.is_keyframe = packet.time_base, packet.is_keyframe
    return new
