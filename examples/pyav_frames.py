"""Brighten a video frame by frame with PyAV, where you want to do more with the frames.

python pyav_frames.py night.mp4 bright.mp4

Sound, rotation and metadata are not copied; enhance_video does that.
"""

from __future__ import annotations

import argparse

import av

from zerodce_rt import Enhancer


def main() -> None:
    parser = argparse.ArgumentParser(description="Brighten a video frame by frame.")
    parser.add_argument("source")
    parser.add_argument("output")
    options = parser.parse_args()
    with (
        av.open(options.source) as source,
        av.open(options.output, "w") as output,
        Enhancer.for_video() as enhancer,
    ):
        video = source.streams.video[0]
        encoder = output.add_stream("libx264", rate=video.average_rate)
        encoder.time_base = encoder.codec_context.time_base = video.time_base
        encoder.width, encoder.height, encoder.pix_fmt = video.width, video.height, video.pix_fmt
        encoder.color_range, encoder.colorspace = video.color_range, video.colorspace
        encoder.color_primaries, encoder.color_trc = video.color_primaries, video.color_trc
        for frame in source.decode(video):
            bright = enhancer(frame)  # pixel format, colour tags and pts are the frame's
            output.mux(encoder.encode(bright))
        output.mux(encoder.encode(None))  # the frames that the encoder still holds


if __name__ == "__main__":
    main()
