"""Keeps the mouse wheel from zooming into the picture, which OpenCV's Qt windows do.

No flag of a window forbids it, and nothing but the wheel undoes it. Qt itself can show every event
to a function before anybody gets it; ours changes those of the wheel. It is compiled, because
Python would lose a Ctrl-C that comes while Qt calls it.
"""

from __future__ import annotations

import ctypes
import struct
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

# In the Qt of opencv-python, whose names are its own: it meets no other Qt in the process.
_REGISTER = "_ZN14QtOpenCVPython9QInternal16registerCallbackENS0_8CallbackEPFbPPvE"
_VERSION = "_ZN14QtOpenCVPython8qVersionEv"
_EVERY_EVENT = 0  # QInternal::EventNotifyCallback
_WHEEL = 31  # QEvent::Wheel
# Where they are in Qt 5's events, which its binary interface keeps: the type as a 16-bit number,
# the turns as 32-bit numbers, once for new programs and once as Qt 4 had it.
_TYPE, _TURN, _OLD_TURN = 8, 19, 20


@cache
def keep_from_zooming() -> None:
    """Make wheel events harmless for the rest of the process, in the Qt of opencv-python.

    The mouse callbacks of the windows get them as before.
    """
    if not cv2.currentUIFramework().startswith("QT") or struct.calcsize("P") != 8:
        return
    for path in (Path(cv2.__file__).parents[1] / "opencv_python.libs").glob("libQt5Core*.so*"):
        library = ctypes.CDLL(str(path))
        if hasattr(library, _REGISTER) and hasattr(library, _VERSION):
            version = getattr(library, _VERSION)
            version.restype = ctypes.c_char_p
            register = getattr(library, _REGISTER)
            register.argtypes, register.restype = [ctypes.c_int, ctypes.c_void_p], ctypes.c_bool
            if version().startswith(b"5."):
                register(_EVERY_EVENT, change_wheel().address)


@cache  # Qt keeps its address
def change_wheel() -> Any:
    """The function that Qt calls, compiled."""
    import numba

    library: Any = numba
    carray, types = library.carray, library.types

    @library.cfunc(types.intp(types.CPointer(types.voidptr)))
    def changed(data):  # type: ignore[no-untyped-def]
        event = data[1]  # after the object that will get it
        if carray(event, (_TYPE + 1,), np.uint16)[_TYPE] == _WHEEL:
            numbers = carray(event, (_OLD_TURN + 1,), np.int32)
            if numbers[_TURN] > 0:
                # The callbacks get the lower 16 bits. The zoom gets all: out, beyond the whole.
                numbers[_TURN] -= 65536
                numbers[_OLD_TURN] -= 65536
        return 0  # go on with the event

    return changed
