"""Frames enhanced on the CPU, each while the caller waits."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from zerodce_rt.backends.interfaces import Applier, Estimator
from zerodce_rt.curve.control import LEAST_DENOISE, ControlSettings, CurveControl
from zerodce_rt.curve.maps import CurveMaps, lift_of, resize_bilinear
from zerodce_rt.curve.working_size import WorkingSize
from zerodce_rt.frame import Frame


class CPURunner:
    """Thumbnail -> network -> control -> denoiser -> fused curve at full size. Is a ``Runner``."""

    device: None = None

    def __init__(self, estimator: Estimator, applier: Applier, working_size: WorkingSize) -> None:
        self.name = estimator.name
        self.estimator, self.applier = estimator, applier
        self._working_size = working_size
        self.control = CurveControl(ControlSettings())
        self._denoiser = applier.denoiser()
        # When a GPU fails, its frames in flight come here from the threads that wait for them.
        self._lock = threading.Lock()

    def reset(self) -> None:
        self.control.reset()
        self._denoiser.reset()

    def begin(
        self, source: Frame, target: Frame, settings: ControlSettings, seconds: float | None
    ) -> Callable[[], None]:
        with self._lock:
            self.control.settings = settings
            is_pq = source.colour.transfer == "pq"
            before = self.applier.pq_to_gamma(source) if is_pq else source
            after = before.empty_like() if is_pq else target
            maps = self.curve_maps(before, seconds)
            if maps.curves.any():
                self.applier.apply(self._denoised(before, after, maps, seconds), maps, after)
                if is_pq:
                    self.applier.gamma_to_pq(after, source, target)
            else:  # an exact copy: converting to RGB would clip colours outside its range
                source.copy_to(target)
                self._denoiser.reset()
        return _done

    def warm_up(
        self, source: Frame, settings: ControlSettings, seconds: float | None, *, denoise: bool
    ) -> None:
        with self._lock:
            self.control.settings = settings
            is_pq = source.colour.transfer == "pq"
            before = self.applier.pq_to_gamma(source) if is_pq else source
            maps = self.curve_maps(before, seconds)
            if denoise and maps.curves.any():
                self._denoised(before, None, maps, seconds)
            else:
                self._denoiser.reset()

    def _denoised(
        self, frame: Frame, target: Frame | None, maps: CurveMaps, seconds: float | None
    ) -> Frame:
        """The frame without as much of its noise as the curve would make visible."""
        settings = self.control.settings
        strength, effort = settings.denoise, settings.denoise_effort
        if strength > 0:
            strength *= lift_of(maps)
        if strength < LEAST_DENOISE or effort == 0:
            self._denoiser.reset()
            return frame
        if target is not None and np.may_share_memory(frame.planes[0], target.planes[0]):
            frame = frame.copy()  # what is filtered may still refer to it
        if seconds is None:  # stands alone, and must not disturb a video
            return self.applier.denoiser(alone=True)(frame, strength, effort)
        if self.control.new_scene:
            self._denoiser.reset()
        return self._denoiser(frame, strength, effort)

    def close(self) -> None:
        with self._lock:
            self.applier.close()

    def curve_maps(self, frame: Frame, seconds: float | None) -> CurveMaps:
        """The maps to apply to a frame; moves the control on in time, as ``begin`` does."""
        size = self._working_size.of(frame.height, frame.width)
        divisor = self._working_size.divisor
        if divisor is None:
            thumbnail = self.applier.thumbnail(frame, *size)
        else:
            whole = self.applier.thumbnail(frame, frame.height, frame.width)
            thumbnail = resize_bilinear(whole, *size, scale=float(divisor))

        def estimate() -> CurveMaps:
            values = self.estimator.estimate(np.ascontiguousarray(thumbnail))
            maps = CurveMaps(values, divisor is not None, self.estimator.knots)
            return self.applier.finished(frame, maps) if maps.light else maps

        return self.control.update(estimate, thumbnail, seconds)


def _done() -> None:
    """Nothing is left to wait for."""
