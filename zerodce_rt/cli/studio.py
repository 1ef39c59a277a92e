"""``zerodce-rt studio``: a page in the browser, for live pictures and for files."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from zerodce_rt.cli.enhancers import make_enhancer
from zerodce_rt.cli.options import add_camera_options, add_model_options, number
from zerodce_rt.errors import UsageError, ZeroDCEError

SUMMARY = "open a page in the browser, for live pictures and for files"

log = logging.getLogger(__name__)

_NEEDED = ("aiohttp", "aiortc")
# Of aiortc.
_OLDEST_PYTHON = 3, 11


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", nargs="*",
        help="cameras, streams and files of this machine that the page offers to show live, as "
        "for 'live'; the camera of the page's own device is always offered",
    )  # fmt: skip
    parser.add_argument(
        "--folder", type=Path, metavar="FOLDER",
        help="whose pictures and videos the page may open; default: those only that are dropped "
        "on it",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FOLDER",
        help="where results, snapshots and recordings stay; made if it is missing (default: they "
        "are deleted at the end, download them in the page)",
    )  # fmt: skip
    parser.add_argument(
        "--max-upload", type=number, default=4.0, metavar="GB",
        help="refuse larger files (default: 4)",
    )  # fmt: skip
    parser.add_argument(
        "--no-browser", action="store_true", help="print the page's address, and do not open it"
    )
    network = parser.add_argument_group("network")
    network.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS",
        help="listen here; 0.0.0.0 lets other machines in who have the page's whole address "
        "(default: 127.0.0.1, this machine only)",
    )  # fmt: skip
    network.add_argument(
        "--port", type=int, default=8765, metavar="N",
        help="listen at this port; 0: a free one (default: 8765)",
    )  # fmt: skip
    network.add_argument(
        "--certificate", type=Path, metavar="FILE",
        help="serve the page by https, with this PEM file; other machines' cameras need that",
    )  # fmt: skip
    network.add_argument(
        "--key", type=Path, metavar="FILE",
        help="PEM file of the certificate's private key, if that is not in the same file",
    )  # fmt: skip
    add_camera_options(parser.add_argument_group("cameras of this machine"))
    add_model_options(parser)


def run(options: argparse.Namespace) -> int:
    check_packages()
    from zerodce_rt.live.camera import CameraSettings
    from zerodce_rt.studio.server import run_studio
    from zerodce_rt.studio.settings import GIGABYTE, Look, StudioSettings

    try:
        camera = CameraSettings(width=options.size[0], height=options.size[1], rate=options.fps)
        # Now, and not in the page, is the time to say what is wrong with the model's options.
        with make_enhancer(options) as enhancer:
            look = Look(enhancer.strength, enhancer.denoise)
    except ValueError as error:
        raise UsageError(str(error)) from error
    settings = StudioSettings(
        host=options.host, port=options.port, sources=tuple(options.source),
        folder=options.folder, output=options.output,
        max_upload_bytes=round(options.max_upload * GIGABYTE), look=look, camera=camera,
        certificate=options.certificate, key=options.key,
    )  # fmt: skip
    _say_what_host_means(settings.host, https=settings.certificate is not None)
    run_studio(settings, partial(make_enhancer, options), ready=partial(_ready, options))
    log.info("ended")
    return 0


def check_packages() -> None:
    """Refuse a Python that is too old for the packages of the extra, or one without them.

    Raises:
        ZeroDCEError: for such a one.
    """
    if sys.version_info < _OLDEST_PYTHON:
        version = ".".join(map(str, _OLDEST_PYTHON))
        raise ZeroDCEError(f"studio needs Python {version} or later; all other commands do not")
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ZeroDCEError(
            f"studio needs {' and '.join(missing)}; pip install 'zerodce-rt[studio]'"
        )


def _say_what_host_means(host: str, *, https: bool) -> None:
    from zerodce_rt.studio.security import is_loopback

    if is_loopback(host):
        return
    log.warning(
        "`host=%s`: whoever in the network has the page's whole address can use this studio%s",
        host,
        ""
        if https
        else ", and it is not encrypted; browsers give other machines' cameras to https pages "
        "only, see `certificate`",
    )


def _ready(options: argparse.Namespace, addresses: list[str]) -> None:
    import webbrowser

    print(f"Studio: {addresses[0]}")
    for address in addresses[1:]:
        print(f"In the network: {address}")
    print("Ctrl-C ends it.", flush=True)
    if not options.no_browser and _has_screen() and not webbrowser.open(addresses[0]):
        log.info("no browser found; open the address above in one")


def _has_screen() -> bool:
    """Whether a browser would open a window, and not take over the terminal."""
    return sys.platform != "linux" or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
