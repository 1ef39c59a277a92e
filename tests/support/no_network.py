"""A process that ends at once if anything in it makes an internet socket.

Linux has a filter for that, which also sees what libraries do without Python.
"""

from __future__ import annotations

import ctypes
import platform
import struct
import sys

SUPPORTED = sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64")

# linux/filter.h, linux/seccomp.h, linux/prctl.h
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_KILL, _ALLOW = 0x80000000, 0x7FFF0000
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2
_SOCKET_CALL = {"x86_64": 41, "aarch64": 198}
_INET, _INET6 = 2, 10
# Places in struct seccomp_data: the call, and the lower half of its first argument.
_CALL, _FIRST = 0, 16


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def forbid_network() -> None:
    """Let the kernel kill this process (SIGSYS) when it makes an IPv4 or IPv6 socket."""
    steps = [
        (_LOAD, 0, 0, _CALL),
        (_EQUAL, 0, 4, _SOCKET_CALL[platform.machine()]),
        (_LOAD, 0, 0, _FIRST),
        (_EQUAL, 1, 0, _INET),
        (_EQUAL, 0, 1, _INET6),
        (_RETURN, 0, 0, _KILL),
        (_RETURN, 0, 0, _ALLOW),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    program = _Program(len(steps), ctypes.cast(code, ctypes.c_void_p))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.prctl(
        _SET_SECCOMP, _FILTER, ctypes.byref(program)
    ):
        raise OSError(ctypes.get_errno(), "the filter was refused")
