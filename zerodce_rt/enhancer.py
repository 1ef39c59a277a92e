"""The class that people use: an image in, the same image bright out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.appliers import create_applier
from zerodce_rt.checkpoint import load_bundled, load_weights
from zerodce_rt.control import ControlSettings, CurveControl
from zerodce_rt.curve import CurveMaps, resize_bilinear
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.estimators import create_estimator
from zerodce_rt.frame import Frame, from_array
from zerodce_rt.working_size import WorkingSize

if TYPE_CHECKING:
    import av

    FrameT = TypeVar("FrameT", NDArray[Any], av.VideoFrame)
else:
    FrameT = TypeVar("FrameT")

DEFAULT_MODEL = "plus"
# Larger ones cost more and score no better on held-out photographs (see weights/README.md).
DEFAULT_WORKING_SIZE = 64
# Above the middle of the range nothing needs to be brightened. On held-out photographs, 0.45 is
# better for slightly dark ones and worse for very dark ones; 0.55 the other way round.
DEFAULT_MAX_LEVEL = 0.5


class Enhancer:
    """Brightens frames: thumbnail -> network -> control -> fused curve at full size.

    Args:
        model: ``"plus"`` (3 shared maps, the default) or ``"dcenet"`` (24 maps); with
            ``weights`` the file decides.
        weights: a weights file, ours or any published Zero-DCE layout; default: our own.
        backend: ``"auto"`` or a key of ``estimators.BACKENDS``.
        working_size: see ``WorkingSize.parse``.
        strength: 0 (unchanged) to 1 (full curve).
        smoothing_seconds: time constant over which maps follow the video; it acts on frames
            that carry a time. 0 treats every frame alone.
        estimate_seconds: for how long the maps of a video's frame are good for those after it,
            unless a cut comes before; 0 estimates every frame.
        max_level: mean level, 0 to 1 of the gamma-encoded range, that the curve does not lift a
            frame above, so that a well-lit one stays as it is; 1 is off. Default: 0.5, but off
            for the working sizes of the published programs, which know no limit.
        applier: ``"cpu"`` or ``"reference"``.
        threads: threads of the applier; default: the usable cores.

    Raises:
        ZeroDCEError: weights that cannot be read, a backend that is not available.
        ValueError: a setting outside its range.
    """

    def __init__(
        self,
        *,
        model: str | None = None,
        weights: Path | str | None = None,
        backend: str = "auto",
        working_size: int | str | WorkingSize = DEFAULT_WORKING_SIZE,
        strength: float = 1.0,
        smoothing_seconds: float = 0.0,
        estimate_seconds: float = 0.0,
        max_level: float | None = None,
        applier: str = "cpu",
        threads: int | None = None,
    ) -> None:
        self.working_size = WorkingSize.parse(working_size)
        if max_level is None:
            max_level = 1.0 if self.working_size.published else DEFAULT_MAX_LEVEL
        self.control = CurveControl(
            ControlSettings(
                strength=strength,
                smoothing_seconds=smoothing_seconds,
                estimate_seconds=estimate_seconds,
                max_level=max_level,
            )
        )
        checkpoint = load_weights(weights) if weights else load_bundled(model or DEFAULT_MODEL)
        if model is not None and checkpoint.model != model:
            raise ZeroDCEError(
                f"{checkpoint.source}: holds weights of model {checkpoint.model!r}, "
                f"not {model!r}; leave --model out"
            )
        self.model = checkpoint.model
        # What a faster precision does to our own weights is known and small.
        self.estimator = create_estimator(checkpoint, backend, exact=weights is not None)
        self.applier = create_applier(applier, threads=threads)

    def __call__(
        self, frame: FrameT, *, order: str = "rgb", seconds: float | None = None
    ) -> FrameT:
        """Enhance one frame.

        Args:
            frame: ``(H, W, 3)`` array of uint8, uint16, or float32 in [0, 1], gamma-encoded; or
                an ``av.VideoFrame`` in any format, with its tags.
            order: ``"rgb"`` or ``"bgr"`` (OpenCV's) for arrays.
            seconds: the time of an array's frame, for smoothing; a video frame has its own.

        Returns:
            A new frame of the same kind: shape, dtype and order, or format, tags and pts.
        """
        if isinstance(frame, np.ndarray):
            source = from_array(frame, order=order)
            target = source.empty_like()
            self.enhance(source, target, seconds=seconds)
            return target.planes[0].reshape(frame.shape)
        from zerodce_rt.video.frames import enhanced_video_frame

        return enhanced_video_frame(self, frame)

    def enhance(self, source: Frame, target: Frame, *, seconds: float | None = None) -> None:
        """Enhance planes into planes of the same format and size."""
        maps = self.curve_maps(source, seconds=seconds)
        if maps.values.any():
            self.applier.apply(source, maps, target)
        else:  # bit for bit: the way to RGB and back would clip colours outside of it
            source.copy_to(target)

    def curve_maps(self, frame: Frame, *, seconds: float | None = None) -> CurveMaps:
        """The maps that would be applied to a frame (and the step in time that goes with it)."""
        size = self.working_size.of(frame.height, frame.width)
        divisor = self.working_size.divisor
        if divisor is None:
            thumbnail = self.applier.thumbnail(frame, *size)
        else:
            whole = self.applier.thumbnail(frame, frame.height, frame.width)
            thumbnail = resize_bilinear(whole, *size, scale=float(divisor))

        def estimate() -> CurveMaps:
            values = self.estimator.estimate(np.ascontiguousarray(thumbnail))
            return CurveMaps(values, align_corners=divisor is not None)

        return self.control.update(estimate, thumbnail, seconds)
