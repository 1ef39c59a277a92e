"""A program of its own that starts, enhances a frame, and prints what took how long, in seconds.

As ``Enhancer`` starts on a card, with its check, but without packages for files.
"""

from __future__ import annotations

import os
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

started = time.monotonic()

modules: Any = sys.modules
if find_spec("platformdirs") is None:  # only says where the cache is
    modules["platformdirs"] = SimpleNamespace(
        user_cache_path=lambda name, appauthor: Path(os.environ["XDG_CACHE_HOME"], name)
    )

from tests.support.noise import random_frame  # noqa: E402
from tests.support.published import random_checkpoint  # noqa: E402
from zerodce_rt.backends import BACKENDS  # noqa: E402
from zerodce_rt.backends.cuda.check import checked_runner  # noqa: E402
from zerodce_rt.curve.control import ControlSettings  # noqa: E402
from zerodce_rt.curve.working_size import WorkingSize  # noqa: E402
from zerodce_rt.frame import Colour  # noqa: E402


def main() -> None:
    before = started

    def done(what: str) -> None:
        nonlocal before
        print(f"{what}\t{time.monotonic() - before:.3f}", flush=True)
        before = time.monotonic()

    checkpoint, frame = random_checkpoint("plus"), random_frame("nv12", 1920, 1080, Colour())
    done("imports")
    runner = checked_runner(BACKENDS["cuda"], checkpoint, WorkingSize(64))
    done("network and the check at the start")
    runner.begin(frame, frame.empty_like(), ControlSettings(max_level=0.5), 0.0)()
    done("the frame itself")
    runner.begin(frame, frame.empty_like(), ControlSettings(max_level=0.5), 0.1)()
    done("the frame after it")
    runner.close()


if __name__ == "__main__":
    main()
