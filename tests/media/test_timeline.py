"""What holds for packets of whatever times: inputs are made up by Hypothesis."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from zerodce_rt.media.timeline import Timeline

BASE = Fraction(1, 1000)
LENGTH = 40
# A stream, and when its packet comes, in milliseconds.
packets = st.lists(st.tuples(st.integers(0, 2), st.integers(-(10**6), 10**6)), max_size=40)
quick = settings(max_examples=100, deadline=None, derandomize=True)


def placed(times: list[tuple[int, int]], kinds: str = "vas") -> list[tuple[int, int]]:
    """Streams and times of packets after they were placed; pts and dts stay as far apart."""
    timeline, result = Timeline(Path("made up")), []
    names = {"v": "video", "a": "audio", "s": "subtitle"}
    for stream, time in times:
        packet: Any = SimpleNamespace(
            stream=SimpleNamespace(index=stream, type=names[kinds[stream]]),
            time_base=BASE, dts=time, pts=time + 80, duration=LENGTH,
        )  # fmt: skip
        timeline.place(packet)
        assert packet.pts - packet.dts == 80
        result.append((stream, packet.dts))
    return result


@quick
@given(packets)
def test_sound_and_picture_hardly_go_back(times: list[tuple[int, int]]) -> None:
    ends: dict[int, int] = {}
    for stream, time in placed(times, "vaa"):
        if stream in ends:
            assert time >= ends[stream] - 1000
        ends[stream] = time + LENGTH


@quick
@given(packets)
def test_what_does_not_go_back_stays(times: list[tuple[int, int]]) -> None:
    latest: dict[int, int] = {}
    rising = []
    for stream, step in times:
        start = latest.get(stream, step) + LENGTH
        latest[stream] = start + abs(step) if stream in latest else start
        rising.append((stream, latest[stream]))
    assert placed(rising, "vaa") == rising


@quick
@given(st.integers(1, 5), st.integers(26, 60), st.integers(0, 10**6))
def test_equal_pieces_keep_streams_together(pieces: int, count: int, start: int) -> None:
    """Of two streams that begin together in each piece, one of which is longer by three packets."""
    piece = [(0, start + LENGTH * i) for i in range(count)]
    piece += [(1, start + LENGTH * i) for i in range(count - 3)]
    # In a file, packets come in the order of their times.
    piece.sort(key=lambda packet: packet[1])
    result = placed(piece * pieces)
    for number in range(pieces):
        part = result[number * len(piece) : (number + 1) * len(piece)]
        shifts = {after - before for (_, after), (_, before) in zip(part, piece, strict=True)}
        assert shifts == {number * LENGTH * count}
