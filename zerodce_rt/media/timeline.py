"""Packets whose times go back, put in order again.

A recording that was joined from pieces, such as ``cat a.ts b.ts``, starts anew in the middle. What
comes after a joint is placed after what came before it, in all streams by the same time.
"""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path

import av

log = logging.getLogger(__name__)

# By less than this, packets of a stream are out of step, but not out of order.
_STEP = Fraction(1, 10)
# By so much, the streams of a piece may begin before and after the end of the one before it.
_BEFORE, _AFTER = Fraction(1), Fraction(10)
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

    def place(self, packet: av.Packet) -> None:
        """Move a packet's pts and dts; without a dts, as the packets before it."""
        index, base = packet.stream.index, packet.time_base
        if not base:
            return
        if packet.dts is None or packet.stream.type not in _STEADY:
            piece = self._pieces.get(index, self._piece)
        else:
            seconds = packet.dts * base
            piece = self._piece_at(index, seconds)
            self._piece = self._pieces[index] = piece
            self._ends[index] = seconds + self._offsets[piece] + (packet.duration or 0) * base
        if moved := round(self._offsets[piece] / base):
            packet.dts = None if packet.dts is None else packet.dts + moved
            packet.pts = None if packet.pts is None else packet.pts + moved

    def _piece_at(self, index: int, seconds: Fraction) -> int:
        """The piece that a packet of a stream belongs to."""
        piece, expected = self._pieces.get(index, self._piece), self._ends.get(index)
        if expected is None:
            return piece
        late = [seconds + offset - expected for offset in self._offsets]
        if abs(late[piece]) <= _STEP:
            return piece
        if late[piece] > 0:
            # Either a damaged time was taken for a joint, or it is a pause.
            return next((p for p, by in enumerate(late) if abs(by) <= _STEP), piece)
        for later in range(piece + 1, len(late)):  # another stream has passed the joint first
            if -_BEFORE <= late[later] <= _AFTER:
                return later
        end = max(self._ends.values())
        if len(self._offsets) == 1:
            log.warning(
                "%s: its times go back at %.2f s, as if it were joined from pieces; each piece is "
                "placed after the one before it", self._path, float(end),
            )  # fmt: skip
        self._offsets.append(end - seconds)
        return len(self._offsets) - 1
