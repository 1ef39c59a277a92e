"""What becomes of Qt's events before OpenCV gets them; test_window.py turns a real wheel."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from zerodce_rt.live.wheel import change_wheel

WHEEL, MOVE = 31, 5


@pytest.mark.parametrize(
    ("kind", "turn", "zoom"),
    [(WHEEL, 120, 120 - 65536), (WHEEL, 15, 15 - 65536), (WHEEL, -120, -120), (MOVE, 120, 120)],
)
def test_the_zoom_only_gets_turns_towards_the_user(kind: int, turn: int, zoom: int) -> None:
    event = np.zeros(32, np.int32)
    event.view(np.uint16)[8] = kind
    event[19:21] = turn
    before = event.copy()
    data = np.array([0, event.ctypes.data, 0], np.uintp)
    call = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p)(change_wheel().address)
    for _ in range(2):  # Qt shows an event again when it hands it on
        assert call(data.ctypes.data) is False, "the event goes on"
    assert event[19:21].tolist() == [zoom, zoom]
    assert event[19:21].astype(np.int16).tolist() == [turn, turn], "what the callbacks get"
    event[19:21] = before[19:21]
    assert np.array_equal(event, before), "nothing else has changed"
