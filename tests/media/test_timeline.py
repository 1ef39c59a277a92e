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
    """Streams and times of packets after they were placed, in the order in which they came."""
    names = {"v": "video", "a": "audio", "s": "subtitle"}
    packets: list[Any] = [
        SimpleNamespace(
            stream=SimpleNamespace(index=stream, type=names[kinds[stream]]),
            time_base=BASE, dts=time, pts=time + 80, duration=LENGTH,
        )
        for stream, time in times
    ]  # fmt: skip
    result = list(Timeline(Path("made up")).placed(packets))
    assert sorted(map(id, result)) == sorted(map(id, packets)), "none is lost"
    for stream in {0, 1, 2}:  # a stream's own order stays
        own = [id(p) for p in packets if p.stream.index == stream]
        assert [id(p) for p in result if p.stream.index == stream] == own
    assert all(packet.pts - packet.dts == 80 for packet in packets)
    return [(packet.stream.index, packet.dts) for packet in packets]


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


@quick
@given(
    st.integers(1, 48),
    st.integers(-5000, 5_000_000).filter(lambda by: abs(by) > 100),
    st.integers(0, 1000),
    st.integers(0, 1),
)
def test_a_single_wrong_time_moves_nothing_else(at: int, by: int, lead: int, which: int) -> None:
    """Of two streams, one of which is ahead of the other in the file, as in TS."""
    times = [(s, LENGTH * i + lead * (s == 0)) for i in range(50) for s in (0, 1)]
    index = 2 * at + which
    wrong = [(s, t + by * (i == index)) for i, (s, t) in enumerate(times)]
    result = placed(wrong, "vaa")
    assert result[:index] + result[index + 1 :] == times[:index] + times[index + 1 :]
    assert result[index] == times[index]
