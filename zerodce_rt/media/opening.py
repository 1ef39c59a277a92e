"""What may be opened for reading, and how large it may be: files come from anywhere.

FFmpeg goes by a file's contents. A text named ``holiday.mp4`` could be a playlist that pulls in
other files of this machine, and a few bytes can announce a picture of gigabytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import av

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.names import MAX_PICTURE_PIXELS, MAX_VIDEO_PIXELS

if TYPE_CHECKING:
    from av.codec.hwaccel import HWAccel
    from av.container import InputContainer

# Containers and bare streams that hold their video themselves, as FFmpeg names their demuxers.
_FORMATS = (
    "amv apng apv asf av1 avi avs2 avs3 cavsvideo cine dhav dirac dnxhd dv evc flic flv gif gxf "
    "h261 h263 h264 hevc ifv ivf ivr jpegxl_anim kux live_flv lxf m4v matroska mjpeg mov mpeg "
    "mpegts mpegtsraw mpegvideo mpjpeg mxf mxg nsv nut nuv obu ogg pva r3d rm swf ty vc1 vc1test "
    "vvc webm wtv yuv4mpegpipe"
).split()
# Lists of segments, each of which is opened in turn.
_PLAYLISTS = ("dash", "hls")
# A list of lists may hold itself, and FFmpeg would follow it without end.
_LIST_OF_LISTS = (b"#EXT-X-STREAM-INF", b"#EXT-X-I-FRAME-STREAM-INF", b"#EXT-X-MEDIA:")
_LONGEST_PLAYLIST = 1_000_000
_PLAYLIST_SUFFIXES = (".m3u8", ".m3u")
# While it is opened, and later.
_PLAYLIST_TIMEOUT_SECONDS = (10.0, 10.0)
_DECODER_MARGIN, _MOST_THAT_FFMPEG_TAKES = 128, 2**31 - 1
_STREAM_FORMATS = ("rtp", "rtsp", "sdp")
_STREAM_PROTOCOLS = (
    "crypto data http httpproxy https rtmp rtmpe rtmps rtmpt rtmpte rtmpts rtp rtsp srtp tcp "
    "tls udp"
).split()


def open_file(
    path: Path, max_pixels: float | None = None, hwaccel: HWAccel | None = None
) -> InputContainer:
    """Open a video file for reading, and nothing else.

    A playlist opens the files that it lists, but only if its name says that it is one.

    Args:
        max_pixels: of a frame; default: ``names.MAX_VIDEO_PIXELS``.

    Raises:
        ZeroDCEError: see ``check_file``.
        av.FFmpegError, OSError: it cannot be read, or its container is not one that is read.
    """
    check_file(path)
    # FFmpeg decodes the first frames while it opens a file.
    options, timeout = decoder_options(max_pixels), None
    if _is_playlist(path):
        options |= _whitelists([*_FORMATS, "hls"], ["file", "crypto", "data"])
        # A list without an end is taken for a live one, and would be read again for ever.
        options["m3u8_hold_counters"] = "3"
        timeout = _PLAYLIST_TIMEOUT_SECONDS
    else:
        options |= _whitelists(_FORMATS, ["file"])
    # A relative name like "-x.mp4" or "a:b.mp4" would be taken for an option or a URL.
    return av.open(
        str(path.absolute()), metadata_errors="replace", options=options, timeout=timeout,
        hwaccel=hwaccel,
    )  # fmt: skip


def _is_playlist(path: Path) -> bool:
    return path.suffix.lower() in _PLAYLIST_SUFFIXES


def stream_options() -> dict[str, str]:
    """FFmpeg's options for opening a URL: no file of this machine is opened."""
    return decoder_options() | _whitelists(
        [*_FORMATS, *_PLAYLISTS, *_STREAM_FORMATS], _STREAM_PROTOCOLS
    )


def _whitelists(formats: list[str], protocols: list[str]) -> dict[str, str]:
    return {"format_whitelist": ",".join(formats), "protocol_whitelist": ",".join(protocols)}


def check_file(path: Path) -> None:
    """Refuse what would be read without end: pipes, devices, playlists of playlists.

    Raises:
        ZeroDCEError: there is no such file, or it is one of those.
    """
    if path.is_file():
        if _is_playlist(path):
            with path.open("rb") as file:
                text = file.read(_LONGEST_PLAYLIST)
            if any(tag in text for tag in _LIST_OF_LISTS):
                raise ZeroDCEError(f"{path}: lists other playlists; give one of those")
        return
    if path.is_dir():
        raise ZeroDCEError(f"{path}: cannot be read (it is a folder)")
    if path.exists():
        raise ZeroDCEError(f"{path}: cannot be read (it is no regular file; a pipe or a device?)")
    raise ZeroDCEError(f"{path}: no such file")


def check_pixels(
    where: Path | str, width: int, height: int, max_pixels: float | None, *, video: bool
) -> None:
    """Refuse what would take too much memory, going by its header.

    Args:
        where: the file or stream, for the message.
        max_pixels: None is the default for videos or pictures.

    Raises:
        ZeroDCEError: ``width * height`` is larger.
    """
    most = pixel_limit(max_pixels, video=video)
    if width * height > most:
        raise ZeroDCEError(
            f"{where}: says that it has {width}x{height} pixels, more than {most / 1e6:g} million; "
            f"if that is right, `max_pixels={width * height}` allows it"
        )


def decoder_options(
    max_pixels: float | None = None, *, width: int = 0, height: int = 0
) -> dict[str, str]:
    """A video decoder's options: later frames may be larger than the header says.

    Args:
        width, height: by the header, if it is known, and within ``max_pixels``.
    """
    # The decoder counts its margins, too.
    padded = (width + _DECODER_MARGIN) * (height + _DECODER_MARGIN)
    most = max(padded, 1.25 * pixel_limit(max_pixels, video=True))
    return {"max_pixels": f"{min(most, _MOST_THAT_FFMPEG_TAKES):.0f}"}


def pixel_limit(max_pixels: float | None, *, video: bool) -> float:
    """``max_pixels``, or the default if it is None."""
    if max_pixels is not None:
        return max_pixels
    return MAX_VIDEO_PIXELS if video else MAX_PICTURE_PIXELS
