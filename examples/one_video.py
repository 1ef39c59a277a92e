"""Brighten a video file, or a part of it, and show how far it is.

python one_video.py night.mp4 bright.mp4
python one_video.py night.mp4 compared.mp4 --start 2 --end 4.5 --strength 0.8 --compare split
"""

from __future__ import annotations

import argparse
import sys

from zerodce_rt import ZeroDCEError, enhance_video


def show_progress(done: int, expected: int | None) -> None:
    """Called after each frame, from a worker thread."""
    print(f"{done} of {expected or '?'} frames", end="\r", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description="Brighten a video file, or a part of it.")
    parser.add_argument("source")
    parser.add_argument("output", help="its ending chooses the container: .mp4, .mkv, ...")
    parser.add_argument("--strength", type=float, default=1.0, help="0 to 1 (default)")
    parser.add_argument("--start", type=float, help="in seconds")
    parser.add_argument("--end", type=float, help="in seconds")
    parser.add_argument("--compare", choices=["split", "side"], help="before and after")
    options = parser.parse_args()
    try:
        result = enhance_video(
            options.source,
            options.output,
            strength=options.strength,
            start=options.start,
            end=options.end,
            compare=options.compare,
            progress=show_progress,
        )
    except (ZeroDCEError, ValueError) as error:  # a problem with the files; a wrong setting
        sys.exit(f"error: {error}")
    print(f"{result.output}: {result.frames} frames")


if __name__ == "__main__":
    main()
