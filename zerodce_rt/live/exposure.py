"""Holding a webcam's frame rate in the dark.

In the dark, the auto exposure of a webcam exposes for longer than a frame's interval, so that it
gives 10 to 15 frames a second instead of 30. Many V4L2 drivers have a control that forbids this,
``V4L2_CID_EXPOSURE_AUTO_PRIORITY`` (linux/v4l2-controls.h), which newer kernels list as
``exposure_dynamic_framerate``. The image gets darker, which the enhancement makes up for.
"""

from __future__ import annotations

import errno
import logging
import os
import struct
import sys

log = logging.getLogger(__name__)

_DYNAMIC_FRAMERATE = 0x009A0903
# linux/videodev2.h: _IOWR('V', 27 and 28, struct v4l2_control { __u32 id; __s32 value; })
_VIDIOC_G_CTRL, _VIDIOC_S_CTRL = 0xC008561B, 0xC008561C


class FrameRateHold:
    """Keeps a camera from lowering its frame rate, and puts its setting back afterwards.

    Args:
        path: of a V4L2 device, such as ``/dev/video0``.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._before: int | None = None

    def apply(self) -> bool:
        """Hold the rate; to be called whenever the camera was opened, since it may forget.

        Returns:
            Whether the rate is held; if not, a warning says why.
        """
        try:
            value = _control(self.path)
            if value != 0:
                _control(self.path, 0)
                self._before = value
        except OSError as error:
            log.warning("%s: its frame rate cannot be held (%s)", self.path, _reason(error))
            return False
        return True

    def restore(self) -> None:
        """Put back what ``apply`` changed."""
        if self._before is None:
            return
        try:
            _control(self.path, self._before)
        except OSError as error:  # unplugged: the camera forgets by itself
            log.debug("%s: setting not put back: %s", self.path, error)
        self._before = None


def _control(path: str, value: int | None = None) -> int:
    """Get the control of a device, after setting it if a value is given.

    Raises:
        OSError: no such device, or it has no such control.
    """
    if sys.platform != "linux":
        raise OSError(f"not possible on {sys.platform}; the camera's own program may offer it")
    import fcntl

    request = _VIDIOC_G_CTRL if value is None else _VIDIOC_S_CTRL
    device = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        answer = fcntl.ioctl(device, request, struct.pack("=Ii", _DYNAMIC_FRAMERATE, value or 0))
    finally:
        os.close(device)
    return int(struct.unpack("=Ii", answer)[1])


def _reason(error: OSError) -> str:
    if error.errno in (errno.EINVAL, errno.ENOTTY):
        return "its driver has no such setting"
    return error.strerror or str(error)
