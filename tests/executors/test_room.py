"""How a cluster is shared out among workers."""

from __future__ import annotations

import pytest

from zerodce_rt.executors.room import Node, Room, divide

CASES = [
    ([(2, 0)], None, None, Room(1, 2)),
    ([(0, 0), (1, 0), (1, 0)], None, None, Room(2, 1)),
    ([(0, 0), (64, 0)], None, None, Room(32, 2)),
    ([(64, 0)], 4, None, Room(4, 8)),
    ([(16, 0), (4, 0)], 3, None, Room(3, 5)),
    ([(2, 0)], 5, None, Room(5, 1)),
    ([(0, 0)], None, None, Room(0, 1)),
    ([(0, 0)], 5, None, Room(5, 1)),
    ([], None, None, Room(0, 1)),
    ([(16, 1), (16, 1)], None, None, Room(2, 8, 1.0)),
    ([(16, 1), (64, 0)], None, None, Room(1, 8, 1.0)),
    ([(16, 1), (64, 0)], None, 0.0, Room(40, 2)),
    ([(16, 1)], None, 0.25, Room(4, 4, 0.25)),
    ([(2, 1)], None, 0.1, Room(2, 1, 0.1)),
    ([(16, 0)], None, 1.0, Room(0, 1, 1.0)),
]


@pytest.mark.parametrize(("nodes", "jobs", "gpus", "room"), CASES)
def test_room(
    nodes: list[tuple[int, int]], jobs: int | None, gpus: float | None, room: Room
) -> None:
    assert divide([Node(*each) for each in nodes], jobs, gpus) == room
