"""``zerodce-rt live``: a camera, a stream or a file, brightened while it plays."""

from __future__ import annotations

import argparse
from pathlib import Path

from zerodce_rt.cli.enhancers import make_enhancer
from zerodce_rt.cli.options import add_camera_options, add_model_options, number
from zerodce_rt.errors import UsageError
from zerodce_rt.names import DARK_LEVEL, VIEWS

SUMMARY = "show a camera, a stream or a file, brightened while it plays"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", nargs="?", default="0",
        help="camera number or /dev/video path, rtsp:// http:// udp:// ... stream, or video file "
        "(default: camera 0)",
    )  # fmt: skip
    parser.add_argument("--seconds", type=number, metavar="N", help="stop after N seconds")
    parser.add_argument("--loop", action="store_true", help="play a file again and again")
    camera = parser.add_argument_group("camera")
    camera.add_argument("--list-cameras", action="store_true", help="list the cameras, and exit")
    add_camera_options(camera)
    camera.add_argument(
        "--keep-fps", action="store_true",
        help="keep the camera from lowering its frame rate in the dark; its own setting is "
        "restored at the end",
    )  # fmt: skip
    window = parser.add_argument_group("window (press H in it for its keys)")
    window.add_argument(
        "--view", choices=VIEWS, default="enhanced",
        help="what to show first; in split, drag the divider (default: enhanced)",
    )  # fmt: skip
    window.add_argument("--mirror", action="store_true", help="swap left and right in the window")
    window.add_argument(
        "--no-overlay", action="store_true", help="hide frame rate, delay and the like"
    )
    window.add_argument("--full-screen", action="store_true", help="start in full screen")
    window.add_argument(
        "--no-window",
        action="store_true",
        help="open no window; needs --record, --publish or --virtual-camera",
    )
    outputs = parser.add_argument_group("output")
    outputs.add_argument(
        "--record", type=Path, metavar="FILE",
        help="record the enhanced picture and the sound to .mp4, .mov or .mkv",
    )  # fmt: skip
    outputs.add_argument(
        "--publish", metavar="URL",
        help="send the enhanced picture and the sound to rtsp:// or rtmp:// (a server), udp:// "
        "(MPEG-TS), http:// (WHIP), or - (MPEG-TS on standard output)",
    )  # fmt: skip
    outputs.add_argument(
        "--publish-mbits", type=number, metavar="N",
        help="at most N Mbit/s for the published picture (default: by its size, 4 for 720p)",
    )  # fmt: skip
    outputs.add_argument(
        "--microphone", metavar="NAME",
        help="take the sound from this microphone, such as 'default', instead of from the source",
    )  # fmt: skip
    outputs.add_argument("--overwrite", action="store_true", help="replace an existing recording")
    outputs.add_argument(
        "--virtual-camera", action="store_true",
        help="offer the enhanced picture to other programs as a camera (needs pyvirtualcam)",
    )  # fmt: skip
    outputs.add_argument(
        "-o", "--output", type=Path, default=Path(), metavar="FOLDER",
        help="folder for the snapshots and recordings made with keys; made if it is missing "
        "(default: the current one)",
    )  # fmt: skip
    parser.add_argument(
        "--only-when-dark", dest="dark_level", nargs="?", type=number, const=DARK_LEVEL,
        metavar="0..1",
        help="leave the picture as it is while its mean brightness is above this "
        f"(default: {DARK_LEVEL:g})",
    )  # fmt: skip
    add_model_options(parser)


def run(options: argparse.Namespace) -> int:
    from zerodce_rt.live.camera import CameraSettings, list_cameras
    from zerodce_rt.live.feeds import frame_rate_hold, open_feed
    from zerodce_rt.live.recorder import SUFFIXES as RECORDING_SUFFIXES
    from zerodce_rt.live.session import LiveSettings, run_live
    from zerodce_rt.media.paths import check_output

    if options.list_cameras:
        print("\n".join(list_cameras()) or "no cameras found")
        return 0
    others = options.record or options.virtual_camera or options.publish
    if options.no_window and not others:
        raise UsageError("--no-window needs --record, --publish or --virtual-camera")
    try:
        camera = CameraSettings(width=options.size[0], height=options.size[1], rate=options.fps)
        settings = LiveSettings(
            window=not options.no_window, view=options.view, mirror=options.mirror,
            overlay=not options.no_overlay, full_screen=options.full_screen,
            folder=options.output, record=options.record,
            virtual_camera=options.virtual_camera, publish=options.publish,
            publish_mbits=options.publish_mbits, microphone=options.microphone,
            dark_level=options.dark_level, rate=options.fps,
            seconds=options.seconds, loop=options.loop, progress=not options.quiet,
        )  # fmt: skip
    except ValueError as error:
        raise UsageError(str(error)) from error
    if options.record is not None:
        file = Path(options.source)
        source = file if file.is_file() else None
        check_output(source, options.record, RECORDING_SUFFIXES, overwrite=options.overwrite)
    hold = frame_rate_hold(options.source) if options.keep_fps else None
    feed = open_feed(options.source, camera=camera, hold=hold)
    try:
        enhancer = make_enhancer(options)
    except ValueError as error:
        raise UsageError(str(error)) from error
    try:
        run_live(feed, enhancer, settings)
    finally:
        if hold is not None:
            hold.restore()
    return 0
