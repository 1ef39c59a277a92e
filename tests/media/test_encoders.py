"""Which encoder is used, and with which options."""

from __future__ import annotations

from typing import Any

import pytest

from zerodce_rt.media.encoders import EncoderSettings, find_encoder
from zerodce_rt.names import CODECS


@pytest.mark.parametrize(
    ("settings", "suffix", "bits", "encoder"),
    [
        ({}, ".mp4", 8, "libx264"),
        ({}, ".mkv", 10, "libx265"),
        ({}, ".webm", 8, "libvpx-vp9"),
        ({"codec": "hevc"}, ".mp4", 8, "libx265"),
        ({"codec": "mpeg4"}, ".mkv", 8, "mpeg4"),
    ],
)
def test_the_encoder_for_a_container_and_a_depth(
    settings: dict[str, Any], suffix: str, bits: int, encoder: str
) -> None:
    assert EncoderSettings(**settings).encoder_for(suffix, bits) == encoder


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_has_an_encoder_and_a_quality(codec: str) -> None:
    assert find_encoder(codec).name == CODECS[codec]
    assert float(EncoderSettings(codec=codec).options(CODECS[codec])["crf"]) >= 18
    assert EncoderSettings(codec=codec, crf=21.5).options(CODECS[codec])["crf"] == "21.5"


def test_crf_is_given_to_nvenc_as_cq() -> None:
    options = EncoderSettings(crf=23).options("hevc_nvenc")
    assert options["cq"] == "23"
    assert options["rc"] == "vbr"
    assert "crf" not in options


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"codec": "betamax"}, "unknown video codec 'betamax'; valid: h264, h265, "),
        ({"codec": "aac"}, "unknown video codec 'aac'"),
        ({"crf": -1}, "`crf` must be between 0 and 63, not -1"),
        ({"crf": 64}, "`crf` must be between 0 and 63, not 64"),
        ({"preset": "warp"}, "`preset` must be one of ultrafast, .*, placebo, not 'warp'"),
        ({"codec": "h265", "preset": "8"}, "`preset` must be one of"),
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EncoderSettings(**wrong)
