"""Holding a webcam's frame rate in the dark.

In auto exposure a webcam opens its shutter for longer than a frame takes when light is short,
and gives 10 to 15 frames a second instead of 30. V4L2 drivers can be told not to:
``V4L2_CID_EXPOSURE_AUTO_PRIORITY``, which newer kernels list as ``exposure_dynamic_framerate``
(linux/v4l2-controls.h). The picture gets darker, and making it bright is our work.
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
    """Forbids a camera to lower its frame rate, and puts its setting back afterwards.

    Args:
        path: of a V4L2 device, like ``/dev/video0``.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._before: int | None = None

    def apply(self) -> bool:
        """Hold the rate; called each time the camera was opened.

        Returns:
            whether it is held; if not, a warning says why.
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
    """Get or set the control of a device.

    Raises:
        OSError: no such device, or no such control.
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
