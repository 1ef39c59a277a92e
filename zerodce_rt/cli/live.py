"""``zerodce-rt live``: a camera, a stream or a file, brightened while it plays."""

from __future__ import annotations

import argparse
from pathlib import Path

from zerodce_rt.cli.enhancers import make_enhancer
from zerodce_rt.cli.options import add_model_options, frame_size, number
from zerodce_rt.errors import UsageError
from zerodce_rt.names import VIEWS

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
    camera.add_argument(
        "--size", type=frame_size, default=(1280, 720), metavar="WxH",
        help="ask the camera for this size (default: 1280x720)",
    )  # fmt: skip
    camera.add_argument(
        "--fps", type=number, default=30.0, metavar="N",
        help="ask the camera for this frame rate (default: 30)",
    )  # fmt: skip
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
        help="open no window; needs --record or --virtual-camera",
    )
    outputs = parser.add_argument_group("output")
    outputs.add_argument(
        "--record", type=Path, metavar="FILE",
        help="record the enhanced picture to .mp4, .mov or .mkv, without sound",
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
    if options.no_window and options.record is None and not options.virtual_camera:
        raise UsageError("--no-window needs --record or --virtual-camera")
    try:
        camera = CameraSettings(width=options.size[0], height=options.size[1], rate=options.fps)
        settings = LiveSettings(
            window=not options.no_window, view=options.view, mirror=options.mirror,
            overlay=not options.no_overlay, full_screen=options.full_screen,
            folder=options.output, record=options.record,
            virtual_camera=options.virtual_camera, rate=options.fps, seconds=options.seconds,
            loop=options.loop, progress=not options.quiet,
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
