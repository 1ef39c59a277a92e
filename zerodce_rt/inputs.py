"""The kinds of image that people hold, as frames of planes and back.

Nothing is imported for a kind: who holds a torch tensor has imported torch.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.frame import Frame, from_array, packed_format

if TYPE_CHECKING:
    import av

TAKEN = (
    "a NumPy array (H, W, 3), a torch tensor (3, H, W), batches of these, a PIL image, an "
    "av.VideoFrame, or what has __dlpack__"
)

Times = float | Sequence[float] | None


class FrameEnhancer(Protocol):
    """What is needed of an ``Enhancer`` here."""

    @property
    def device(self) -> Any:
        """The ``torch.device`` on which frames may lie as well; None if they may not."""

    def time_of(self, seconds: float | None) -> float | None: ...

    def enhance(self, source: Frame, target: Frame, *, seconds: float | None = None) -> None: ...


# Float images are in [0, 1]. Resampling overshoots that a little; other ranges exceed it at once.
_OVERSHOOT = 0.5


def enhance_image(
    enhancer: FrameEnhancer, image: Any, *, order: str, seconds: Times, out: Any
) -> Any:
    """What ``Enhancer.__call__`` does, and documents."""
    if isinstance(image, np.ndarray):
        return _enhance_array(enhancer, image, order, seconds, out)
    if _is(image, "torch", "Tensor"):
        return _enhance_tensor(enhancer, image, order, seconds, out)
    if out is not None:
        raise TypeError(f"`out` is for arrays and tensors, not for {_kind(image)}")
    if _is(image, "PIL.Image", "Image"):
        _check_rgb(order)
        return _enhance_pil(enhancer, image, _one_time(seconds))
    if _is(image, "av", "VideoFrame"):
        _check_rgb(order)
        return enhance_video_frame(enhancer, image, _one_time(seconds))
    if hasattr(image, "__dlpack__") and hasattr(image, "__dlpack_device__"):
        return _enhance_dlpack(enhancer, image, order, seconds)
    raise TypeError(_refusal(image))


def enhance_video_frame(
    enhancer: FrameEnhancer, frame: av.VideoFrame, seconds: float | None = None
) -> av.VideoFrame:
    """Enhance a PyAV frame of any format; the result has its format, tags and time.

    Args:
        seconds: instead of the frame's own time.

    Raises:
        ZeroDCEError: for Dolby Vision of profile 5.
    """
    from zerodce_rt.media import frames, hdr

    hdr.check_base_layer(frame, "this frame")
    own = frames.downloaded(frame)
    work = frames.convert(own, frames.nearest_format(own.format))
    enhanced = frames.blank_like(work, format=work.format.name)
    moment = enhancer.time_of(frame.time if seconds is None else seconds)
    enhancer.enhance(frames.wrap(work), frames.wrap(enhanced), seconds=moment)
    if work is own:
        return enhanced
    back = enhanced.reformat(format=own.format.name)
    frames.copy_timing(frame, back)
    return back


def _is(image: Any, module: str, name: str) -> bool:
    """Whether an image is an instance of a class whose module somebody has imported."""
    found = sys.modules.get(module)
    return found is not None and isinstance(image, getattr(found, name))


def _kind(image: Any) -> str:
    return f"{type(image).__module__}.{type(image).__qualname__}".removeprefix("builtins.")


def _refusal(image: Any) -> str:
    """What to say of something that is no image."""
    if image is None:
        return (
            f"an image must be {TAKEN}; this is None, which OpenCV's read() gives at the end of a "
            "video or for a file that it cannot read"
        )
    if isinstance(image, (str, bytes)) or hasattr(image, "__fspath__"):
        return (
            f"an image must be {TAKEN}; this is {_kind(image)}: for files there are "
            "enhance_picture and enhance_video"
        )
    if isinstance(image, (list, tuple)):
        return f"an image must be {TAKEN}; this is {_kind(image)}: enhance its images one by one"
    return f"an image must be {TAKEN}, not {_kind(image)}"


def _check_rgb(order: str) -> None:
    if order != "rgb":
        raise ValueError(
            f"`order` is for arrays and tensors; this image has its own, not {order!r}"
        )


def _one_time(seconds: Times) -> float | None:
    if isinstance(seconds, Sequence):
        raise ValueError("`seconds` must be one number for one image, not a sequence")
    return seconds


def _times(seconds: Times, count: int) -> Iterator[float | None]:
    """The time of each image of a batch."""
    if seconds is None:
        return iter([None] * count)
    if not isinstance(seconds, Sequence) or len(seconds) != count:
        raise ValueError(f"`seconds` must be a sequence of {count} numbers, one for each image")
    return iter(seconds)


def _enhance_array(
    enhancer: FrameEnhancer, image: NDArray[Any], order: str, seconds: Times, out: Any
) -> NDArray[Any]:
    if out is None:
        out = np.empty(image.shape, image.dtype.newbyteorder("="))
    elif not isinstance(out, np.ndarray) or (out.shape, out.dtype) != (image.shape, image.dtype):
        raise ValueError(
            f"`out` must be a NumPy array of shape {image.shape} and {image.dtype}, as the image"
        )
    elif not out.flags.writeable:
        raise ValueError("`out` cannot be written to")
    if image.ndim == 4:
        times = _times(seconds, len(image))
        for one, one_out, moment in zip(image, out, times, strict=True):
            _fill(enhancer, one, order, moment, one_out)
    else:
        _fill(enhancer, image, order, _one_time(seconds), out)
    return out


def _fill(
    enhancer: FrameEnhancer,
    image: NDArray[Any],
    order: str,
    seconds: float | None,
    out: NDArray[Any],
) -> None:
    """Enhance one ``(H, W, 3)`` array into another."""
    source = from_array(image, order=order)
    if image.dtype.kind == "f":
        _check_range(float(image.min()), float(image.max()))
    apart = out.ctypes.data == image.ctypes.data or not np.may_share_memory(out, image)
    direct = out.flags.c_contiguous and out.dtype.isnative and apart
    target = from_array(out, order=order) if direct else source.empty_like()
    enhancer.enhance(source, target, seconds=enhancer.time_of(seconds))
    if not direct:
        out[...] = target.planes[0].reshape(image.shape)


def _check_range(lowest: float, highest: float) -> None:
    if math.isnan(lowest) or math.isnan(highest):
        raise ValueError("a float image must be in [0, 1], and this one contains NaN")
    if lowest < -_OVERSHOOT or highest > 1 + _OVERSHOOT:
        raise ValueError(
            f"a float image must be in [0, 1], and this one reaches from {lowest:g} to "
            f"{highest:g}; scale it so that black is 0 and white 1"
        )


def _enhance_tensor(
    enhancer: FrameEnhancer, image: Any, order: str, seconds: Times, out: Any
) -> Any:
    import torch

    if image.ndim not in (3, 4) or image.shape[-3] != 3 or 0 in image.shape:
        raise ValueError(
            f"a tensor must have shape (3, height, width) or (N, 3, height, width), "
            f"not {tuple(image.shape)}"
        )
    integers = {torch.uint8: torch.uint8, torch.uint16: torch.uint16}
    work = integers.get(image.dtype, torch.float32)
    if work == torch.float32 and not image.dtype.is_floating_point:
        raise ValueError(f"a tensor must be uint8, uint16 or float, not {image.dtype}")
    same = out is None or (
        isinstance(out, torch.Tensor)
        and (out.shape, out.dtype, out.device) == (image.shape, image.dtype, image.device)
    )
    if not same:
        raise ValueError(
            f"`out` must be a tensor of shape {tuple(image.shape)}, {image.dtype} on "
            f"{image.device}, as the image"
        )
    with torch.no_grad():
        # Kernels read packed pixels; (3, H, W) is how networks want them.
        packed = image.detach().to(work).movedim(-3, -1).contiguous()
        if enhancer.device == packed.device:
            result = torch.empty_like(packed)
            _enhance_on_device(enhancer, packed, order, seconds, result)
        else:
            array = _enhance_array(enhancer, packed.cpu().numpy(), order, seconds, None)
            result = torch.from_numpy(array).to(image.device)
        planar = result.movedim(-1, -3).to(image.dtype)
        return planar.contiguous() if out is None else out.copy_(planar)


def _enhance_on_device(
    enhancer: FrameEnhancer, packed: Any, order: str, seconds: Times, result: Any
) -> None:
    """Enhance packed pixels, ``(..., H, W, 3)``, that lie where the enhancer works."""
    *batch, height, width, _ = packed.shape
    if packed.dtype.is_floating_point:
        _check_range(float(packed.min()), float(packed.max()))
    format = packed_format(order, str(packed.dtype).removeprefix("torch."))
    times = _times(seconds, batch[0]) if batch else iter([_one_time(seconds)])
    sources = packed.reshape(-1, height, 3 * width)
    targets = result.view(-1, height, 3 * width)
    for source, target, moment in zip(sources, targets, times, strict=True):
        enhancer.enhance(
            Frame(format, (source,), width, height),
            Frame(format, (target,), width, height),
            seconds=enhancer.time_of(moment),
        )


def _enhance_pil(enhancer: FrameEnhancer, image: Any, seconds: float | None) -> Any:
    from PIL import Image

    if image.mode not in ("RGB", "RGBA", "L", "LA"):
        raise ValueError(
            f"a PIL image must have mode RGB, RGBA, L or LA, not {image.mode}; "
            "image.convert('RGB') makes such a one"
        )
    samples = np.asarray(image)
    grey, has_alpha = image.mode[0] == "L", image.mode[-1] == "A"
    bands = samples.reshape(*samples.shape[:2], -1)
    rgb = np.repeat(bands[..., :1], 3, axis=2) if grey else bands[..., :3]
    bright = _enhance_array(enhancer, rgb, "rgb", seconds, None)
    if grey:
        bright = ((bright.sum(axis=2, keepdims=True, dtype=np.uint16) + 1) // 3).astype(np.uint8)
    if has_alpha:
        bright = np.dstack([bright, bands[..., -1]])
    result = Image.fromarray(bright[..., 0] if image.mode == "L" else bright)
    result.info = dict(image.info)
    return result


def _enhance_dlpack(enhancer: FrameEnhancer, image: Any, order: str, seconds: Times) -> Any:
    """An array shared by DLPack; returned in its own library if that can import DLPack."""
    cpu = 1  # DLDeviceType.kDLCPU
    bright: Any
    if image.__dlpack_device__()[0] == cpu:
        bright = _enhance_array(enhancer, np.from_dlpack(image), order, seconds, None)
    else:
        from torch.utils.dlpack import from_dlpack

        tensor = from_dlpack(image)
        bright = _enhance_tensor(enhancer, tensor.movedim(-1, -3), order, seconds, None)
        bright = bright.movedim(-3, -1).contiguous()
    if hasattr(image, "__array_namespace__"):
        return image.__array_namespace__().from_dlpack(bright)
    return bright
