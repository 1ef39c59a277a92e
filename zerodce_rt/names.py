"""What people choose by name, and what is chosen for them if they do not.

Imports nothing heavy, so that ``--help`` is immediate: the command line lists these names, and the
modules that do the work are held to them.
"""

MODELS = ("plus", "dcenet")
"""Networks: 3 curve maps shared by all iterations (TPAMI 2021), 24 maps (CVPR 2020)."""

DEFAULT_MODEL = "plus"

# Larger ones cost more and score no better on held-out photographs (see weights/README.md).
DEFAULT_WORKING_SIZE = 64

# Above the middle of the range nothing needs to be brightened. On held-out photographs, 0.45 is
# better for slightly dark ones and worse for very dark ones; 0.55 the other way round.
DEFAULT_MAX_LEVEL = 0.5

COMPARE_MODES = ("split", "side")
"""Before and after in one picture: two halves, or side by side."""

VIEWS = ("enhanced", "original", *COMPARE_MODES)
"""What the live window shows."""

CODECS = {
    "h264": "libx264",
    "h265": "libx265",
    "hevc": "libx265",
    "av1": "libsvtav1",
    "vp9": "libvpx-vp9",
}
"""Short names of video codecs and FFmpeg's encoder for each; its own names are taken as well."""

LOSSES = ("spatial", "exposure", "colour", "smoothness", "agreement")
"""Terms of the training loss, each with a weight."""

FRAME_SIZES = {
    "480p": (640, 480),
    "720p": (1280, 720),
    "1080p": (1920, 1080),
    "1440p": (2560, 1440),
    "4K": (3840, 2160),
}
"""Width and height in pixels of the sizes that ``zerodce-rt bench`` knows by name."""
