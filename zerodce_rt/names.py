"""Names that people choose from, and defaults.

Imports nothing, so that the command line can list the names without loading the modules behind
them; those modules take their names from here, or tests compare them.
"""

MODELS = ("light", "plus", "dcenet")
"""Networks: ``light`` has a curve of luma that depends on place and on luma (our own), ``plus`` 3
RGB curve maps shared by all iterations (TPAMI 2021), ``dcenet`` 24 (CVPR 2020)."""

PAPER_MODELS = ("plus", "dcenet")
"""Those of the papers."""

DEFAULT_MODEL = "light"

PUBLISHED_MODEL = "plus"
"""The default for the working sizes of the published programs."""

DEFAULT_WORKING_SIZE = 64
"""Long side in pixels of what the network sees. Larger ones cost more and score no better on
held-out photographs (see ``network/weights/README.md``)."""

DEFAULT_MAX_LEVEL = 0.5
"""Mean level in [0, 1] above which no frame is lifted. On held-out photographs, 0.45 is better for
slightly dark ones and worse for very dark ones; 0.55 the other way round."""

DEFAULT_DENOISE = 1.0
"""Share of the measured noise that is filtered for, 0 to 1."""

DARK_LEVEL = 0.25
"""Mean of a picture, 0 to 1, below which it is dark."""

MAX_PICTURE_PIXELS = 300_000_000
"""Larger pictures are refused unless they are allowed: each pixel takes some nine bytes."""

MAX_VIDEO_PIXELS = 70_000_000
"""The same for the frames of videos, of which dozens are in memory at once."""

COMPARE_MODES = ("split", "side")
"""Before and after in one picture: ``split`` shows half of each, ``side`` both side by side."""

VIEWS = ("enhanced", "original", *COMPARE_MODES)
"""What the live window shows."""

CODECS = {
    "h264": "libx264",
    "h265": "libx265",
    "hevc": "libx265",
    "av1": "libsvtav1",
    "vp9": "libvpx-vp9",
}
"""Short names of video codecs, with FFmpeg's encoder for each. FFmpeg's own names work as well."""

AUDIO_CHOICES = ("copy", "opus", "aac", "none")
"""What becomes of sound: copied as it is, encoded again, or left out."""

LOSSES = ("spatial", "exposure", "colour", "smoothness", "agreement")
"""Terms of the training loss of ``plus`` and ``dcenet``; each has a weight (see
``training.LossWeights``)."""

LIGHT_LOSSES = ("level", "brightness", "chroma", "structure", "smoothness", "monotony")
"""Terms of the training loss of ``light`` (see ``training.LightLossWeights``)."""

FRAME_SIZES = {
    "480p": (640, 480),
    "720p": (1280, 720),
    "1080p": (1920, 1080),
    "1440p": (2560, 1440),
    "4K": (3840, 2160),
}
"""Width and height in pixels of the frame sizes that ``zerodce-rt bench`` knows by name."""

RAY_HERE = "local"
"""In the place of a Ray cluster's address: a Ray on this machine, for as long as it is used."""
