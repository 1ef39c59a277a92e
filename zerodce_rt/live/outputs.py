"""Where live pictures go besides the window: a recording, a virtual camera."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.live.recorder import Recorder
from zerodce_rt.live.shots import Shot
from zerodce_rt.live.virtual_camera import VirtualCamera

log = logging.getLogger(__name__)


class Outputs:
    """Sends the enhanced pictures on; what only concerns the window does not reach them.

    Attributes:
        failure: why a recording broke off; None if none did.

    Args:
        rate: nominal frames a second.

    Raises:
        ZeroDCEError: if the virtual camera's package is missing.
    """

    def __init__(self, *, rate: float, virtual_camera: bool) -> None:
        self.failure: ZeroDCEError | None = None
        self._rate = rate
        self._virtual_camera = VirtualCamera(rate) if virtual_camera else None
        self._recorder: Recorder | None = None
        self._recording_since = 0.0

    def record(self, path: Path) -> None:
        """Start a recording.

        Raises:
            ZeroDCEError: if the file cannot be written.
        """
        self._recorder = Recorder(path, self._rate)
        self._recording_since = time.monotonic()

    @property
    def recording_seconds(self) -> float | None:
        """For how long a recording has been running; None if there is none."""
        return None if self._recorder is None else time.monotonic() - self._recording_since

    def stop_recording(self) -> Path | None:
        """Finish the recording; its file, or None if it broke off."""
        recorder, self._recorder = self._recorder, None
        if recorder is None:
            return None
        try:
            recorder.close()
        except ZeroDCEError as error:
            self.failure = self.failure or error
            log.error("%s", error)
            return None
        left_out = f", {recorder.dropped} left out" if recorder.dropped else ""
        log.info("%s: %d frames recorded%s", recorder.path, recorder.frames, left_out)
        return recorder.path

    def send(self, shot: Shot) -> None:
        """To wherever pictures go just now.

        Raises:
            ZeroDCEError: if this system has no virtual camera.
        """
        if self._virtual_camera is not None:
            self._virtual_camera.write(shot.after)
        if self._recorder is not None:
            try:
                self._recorder.write(shot.after, shot.captured)
            except ZeroDCEError:
                self.stop_recording()

    def close(self) -> None:
        """Finish the recording, and give the virtual camera back."""
        self.stop_recording()
        if self._virtual_camera is not None:
            self._virtual_camera.close()
