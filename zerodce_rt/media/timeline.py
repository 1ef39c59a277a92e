"""Packets whose times go back, put in order again.

A recording that was joined from pieces, such as ``cat a.ts b.ts``, starts anew in the middle. What
comes after a joint is placed after what came before it, in all streams by the same time. A single
wrong time is no joint: the packet is placed where it was due.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av

log = logging.getLogger(__name__)

# By less than this, packets of a stream are out of step, but not out of order.
_STEP = Fraction(1, 10)
# By so much, the streams of a piece may begin before and after the end of the one before it.
_BEFORE, _AFTER = Fraction(1), Fraction(10)
# A packet after a wrong one comes so soon after that was due.
_SOON = Fraction(1)
# Others have too few packets to tell a joint from a pause.
_STEADY = ("video", "audio")


class Timeline:
    """Moves the times of a file's packets, in place, so that no stream goes back.

    Args:
        path: of the file, for the message.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # What is added to the times of each piece, in seconds.
        self._offsets = [Fraction(0)]
        self._piece = 0  # of the last packet
        self._pieces: dict[int, int] = {}  # of each stream's last packet
        self._ends: dict[int, Fraction] = {}  # when each stream's last packet ends
        # A stream's packet that does not follow the one before; the next one tells why.
        self._held: dict[int, av.Packet] = {}

    def placed(self, packets: Iterable[av.Packet]) -> Iterator[av.Packet]:
        """The packets, pts and dts moved; one that does not follow waits for its stream's next."""
        for packet in packets:
            index = packet.stream.index
            held = self._held.pop(index, None)
            if held is not None:
                yield self._released(held, packet)
            if self._is_odd(packet):
                self._held[index] = packet
            else:
                yield self._moved(packet)
        for held in self._held.values():
            yield self._released(held, None)

    def _late(self, packet: av.Packet) -> Fraction | None:
        """How long after it was due a packet comes; None if that cannot be said."""
        index = packet.stream.index
        expected = self._ends.get(index)
        if expected is None or packet.dts is None or not packet.time_base:
            return None
        if packet.stream.type not in _STEADY:
            return None
        piece = self._pieces[index]
        return packet.dts * packet.time_base + self._offsets[piece] - expected

    def _is_odd(self, packet: av.Packet) -> bool:
        late = self._late(packet)
        return late is not None and abs(late) > _STEP

    def _released(self, held: av.Packet, following: av.Packet | None) -> av.Packet:
        """A packet that was held, after it was found out why it does not follow."""
        late = self._late(held)
        after = None if following is None else self._late(following)
        assert late is not None
        if after is not None and -_STEP <= after <= _SOON and (late < 0 or after < late):
            # The next one comes when this one was due, or soon after: its time is wrong.
            return self._moved(held, by=-late)
        if late < 0:
            self._join(held)
        return self._moved(held)

    def _join(self, packet: av.Packet) -> None:
        """Let a packet, whose time goes back, begin its stream's next piece."""
        assert packet.dts is not None
        index = packet.stream.index
        seconds, expected = packet.dts * packet.time_base, self._ends[index]
        for piece in range(self._pieces[index] + 1, len(self._offsets)):
            # Another stream has passed the joint first.
            if -_BEFORE <= seconds + self._offsets[piece] - expected <= _AFTER:
                self._pieces[index] = piece
                return
        end = max(self._ends.values())
        if len(self._offsets) == 1:
            log.warning(
                "%s: its times go back at %.2f s, as if it were joined from pieces; each piece is "
                "placed after the one before it", self._path, float(end),
            )  # fmt: skip
        self._offsets.append(end - seconds)
        self._pieces[index] = len(self._offsets) - 1

    def _moved(self, packet: av.Packet, by: Fraction = Fraction(0)) -> av.Packet:
        """The packet, moved as its piece is; without a dts, as the packets before it."""
        index, base = packet.stream.index, packet.time_base
        if not base:
            return packet
        piece = self._pieces.get(index, self._piece)
        if packet.dts is not None and packet.stream.type in _STEADY:
            self._piece = self._pieces[index] = piece
            start = packet.dts * base + self._offsets[piece] + by
            self._ends[index] = start + (packet.duration or 0) * base
        if ticks := round((self._offsets[piece] + by) / base):
            packet.dts = None if packet.dts is None else packet.dts + ticks
            packet.pts = None if packet.pts is None else packet.pts + ticks
        return packet
