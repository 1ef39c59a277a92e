"""Does the picture get the right light? The light of enhanced pictures, against well-lit ones.

Well-lit photographs and clips are darkened in linear light, evenly or as by a screen, a window or
a lamp, with shot and read noise, and quantised to 8 bits. Each method makes them bright again, and
is compared with the photograph as it was. Roads at night, encoded with x264, well-lit photographs,
and photographs that are meant to be dark show what a method spoils. ``quality.py`` is for the
other half: how clean dark video gets.

    python benchmarks/light_quality.py PHOTOS CLIPS [--hold-out 13] [--inputs even-4 screen ...]
                                       [--weights FILE ...] [--show NAME ...]
                                       [--json FILE] [--plot FILE.png] [--sheet FOLDER]

PHOTOS holds photographs, of which every 13th is used, as training left them out; those that are
meant to be dark are few, and come from all of PHOTOS. CLIPS holds the clips that
``light_inputs.py`` names. An input without sources is left out.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import light_inputs as inputs
import numpy as np
from light_inputs import LAMPS, SIGNS, Night, Picture, Sample
from light_pictures import MOST_ROWS, Shown, plot, sheets
from light_scores import LightScores, NightScores, score_night, score_picture
from quality import enhanced, finite, mean
from quality_inputs import Frames, samples, to_frame

from zerodce_rt.bench import write_json
from zerodce_rt.bench.hardware import hardware
from zerodce_rt.bench.report import check_plotting
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.frame import FORMATS
from zerodce_rt.media.frames import convert
from zerodce_rt.progress import progress_bar
from zerodce_rt.training.photos import find_photos

ALL = "all that are darkened"
# SSIM takes ten times as long as all the rest, and hardly changes with fewer pictures.
SSIM_EVERY = 4
# What a sheet of a night shows closely: a lamp, and a sign in the black sky.
NIGHT_DETAILS = (LAMPS[1][:2], SIGNS[0][:2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photos", type=Path, help="folder of photographs")
    parser.add_argument("clips", type=Path, help="folder of clips")
    parser.add_argument("--hold-out", type=int, default=13, metavar="N",
                        help="use every N-th photograph")  # fmt: skip
    parser.add_argument("--inputs", nargs="+", choices=inputs.INPUTS, default=inputs.INPUTS,
                        metavar="INPUT", help=" ".join(inputs.INPUTS))  # fmt: skip
    parser.add_argument("--weights", type=Path, nargs="+", default=[], metavar="FILE",
                        help="score these weights, too")  # fmt: skip
    parser.add_argument("--show", nargs="+", default=[], metavar="NAME",
                        help="photographs whose names begin so are on the sheets")  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the scores")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw PSNR by input")
    parser.add_argument("--sheet", type=Path, metavar="FOLDER", help="write pictures")
    options = parser.parse_args()
    if options.plot:
        check_plotting()
    paths = find_photos(options.photos)
    photos = inputs.well_lit(paths[:: options.hold_out])
    methods = methods_to_score(options.weights)
    for key, value in hardware().items():
        print(f"{key}: {value}")
    print(f"{len(photos)} well-lit photographs of {len(paths[:: options.hold_out])}")

    rows: list[Row] = []
    for name in options.inputs:
        shown: list[Shown] = []
        if name == inputs.NIGHT:
            own = score_nights(methods, list(inputs.nights(options.clips)), shown)
        else:
            if name == inputs.SCREEN:
                pictures = list(inputs.screens(options.clips))
            elif name == inputs.DARK:
                pictures = inputs.meant_dark(paths)
            else:
                pictures = list(inputs.lit_photos(name, photos))
            own = score_samples(methods, name, pictures, options.show, shown)
        if not own:
            print(f"{name}: left out, for want of pictures")
        rows += own
        if options.sheet and shown:
            sheets(options.sheet, name, shown)

    means = [m for name in options.inputs for m in mean_rows(rows, name)]
    means = [*overall(means), *means]
    report(means)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        results = {
            "light": [finite(m.flat()) for m in means],
            "psnr": psnr_by_picture(rows),
        }
        write_json(options.json, results, program="python benchmarks/light_quality.py")
    if options.plot:
        title = f"Light against the well-lit picture, {len(photos)} photographs, 8 clips"
        plot(psnr_by_method(means), options.plot, title)


@dataclass(frozen=True)
class Method:
    """What makes dark pictures bright.

    Attributes:
        picture: from and to ``(H, W, 3)`` uint8 RGB.
        clip: from and to frames of yuv420p.
    """

    picture: Callable[[Picture], Picture]
    clip: Callable[[Frames], Frames]


def methods_to_score(weights: Sequence[Path]) -> dict[str, Method]:
    """All methods by name. Noise is left as it is, but for one row: it would hide differences."""
    methods = {
        "identity": Method(lambda picture: picture, lambda frames: frames),
        "gamma 0.4": by_picture(gamma),
        "CLAHE": by_picture(clahe),
    }
    for path in weights:
        methods[path.stem] = by_enhancer(weights=path, denoise=0.0)
    for model in ("dcenet", "plus", "light"):
        methods[model] = by_enhancer(model=model, denoise=0.0)
    methods["light, denoised"] = by_enhancer(model="light", denoise=1.0)
    return methods


def by_picture(method: Callable[[Picture], Picture]) -> Method:
    def clip(frames: Frames) -> Frames:
        results = (method(rgb(frame)).astype(np.float32) for frame in frames)
        return [to_frame(result / np.float32(255), i) for i, result in enumerate(results)]

    return Method(method, clip)


def by_enhancer(**options: Any) -> Method:
    video = Enhancer.for_video(**options)
    return Method(Enhancer(**options), lambda frames: enhanced(video, frames))


def rgb(frame: Any) -> Picture:
    """The picture of an ``av.VideoFrame``, ``(H, W, 3)``."""
    return convert(frame, FORMATS["rgb24"]).to_ndarray().astype(np.uint8)


def gamma(picture: Picture) -> Picture:
    """Plain gamma 0.4, the simplest way to brighten."""
    return np.rint(255 * (picture / 255) ** 0.4).astype(np.uint8)


def clahe(picture: Picture) -> Picture:
    """OpenCV's local histogram equalisation, of the lightness of Lab."""
    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2Lab)
    lab[..., 0] = cv2.createCLAHE(clipLimit=3, tileGridSize=(8, 8)).apply(lab[..., 0])
    return cv2.cvtColor(lab, cv2.COLOR_Lab2RGB).astype(np.uint8)


@dataclass(frozen=True)
class Row:
    """Scores of a method on one picture or clip, or their means over an input.

    Attributes:
        picture: its name; ``mean``.
        level_spread: standard deviation of ``level`` over the pictures; NaN for one.
    """

    input: str
    picture: str
    method: str
    scores: LightScores | NightScores
    level_spread: float = math.nan

    def flat(self) -> dict[str, Any]:
        """Names and values, for JSON."""
        values = asdict(self)
        return values | values.pop("scores")


def score_samples(
    methods: dict[str, Method], name: str, pictures: Sequence[Sample], wanted: Sequence[str],
    shown: list[Shown],
) -> list[Row]:  # fmt: skip
    """Score all methods on the pictures of an input, and add to ``shown`` what a sheet shows."""
    chosen = [i for i, s in enumerate(pictures) if s.name.startswith(tuple(wanted))]
    if not chosen:  # no wishes, or not for these pictures
        chosen = list(range(0, len(pictures), max(1, math.ceil(len(pictures) / MOST_ROWS))))
    rows = []
    for index, sample in enumerate(progress_bar(name, unit="picture", items=pictures)):
        results = {n: method.picture(sample.given) for n, method in methods.items()}
        for method, result in results.items():
            scores = score_picture(
                sample.given, result, sample.truth, sample.lit, with_ssim=index % SSIM_EVERY == 0
            )
            rows.append(Row(name, sample.name, method, scores))
        if index in chosen[:MOST_ROWS]:
            truth = {} if sample.truth is None else {"truth": sample.truth}
            details = [sample.detail] if sample.detail else []
            shown.append(Shown({"given": sample.given} | results | truth, details))
    return rows


def score_nights(
    methods: dict[str, Method], nights: Sequence[Night], shown: list[Shown]
) -> list[Row]:
    """Score all methods on clips, and add to ``shown`` a frame of each."""
    rows = []
    for night in progress_bar(inputs.NIGHT, unit="clip", items=nights):
        given, middle = samples(night.frames), len(night.frames) // 2
        pictures = {"given": rgb(night.frames[middle])}
        for name, method in methods.items():
            result = method.clip(night.frames)
            scores = score_night(given, samples(result), night.unlit)
            rows.append(Row(inputs.NIGHT, night.name, name, scores))
            pictures[name] = rgb(result[middle])
        if len(shown) < MOST_ROWS:
            shown.append(Shown(pictures, NIGHT_DETAILS))
    return rows


def mean_rows(rows: Iterable[Row], name: str) -> list[Row]:
    """Means over the pictures of an input, of each method; nothing to score does not count."""
    own = [row for row in rows if row.input == name]
    return [mean_row([r for r in own if r.method == method], name)
            for method in dict.fromkeys(row.method for row in own)]  # fmt: skip


def overall(means: Sequence[Row]) -> list[Row]:
    """Means over the darkened inputs with a truth, which count alike."""
    darkened = {*inputs.EVEN, inputs.SCREEN, *inputs.MIXED}
    return mean_rows([Row(ALL, m.input, m.method, m.scores) for m in means
                      if m.input in darkened], ALL)  # fmt: skip


def mean_row(rows: Sequence[Row], name: str) -> Row:
    first = rows[0]
    values: dict[str, list[float]] = {
        key: [v for v in (getattr(r.scores, key) for r in rows) if not math.isnan(v)]
        for key in asdict(first.scores)
    }
    scores = type(first.scores)(**{key: mean(own) for key, own in values.items()})
    levels = values.get("level", [])
    spread = statistics.pstdev(levels) if len(levels) > 1 else math.nan
    return Row(name, "mean", first.method, scores, spread)


def psnr_by_picture(rows: Sequence[Row]) -> dict[str, dict[str, dict[str, float]]]:
    """PSNR in dB of each method on each picture of each input that has a truth."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for row in rows:
        if isinstance(row.scores, LightScores) and not math.isnan(row.scores.psnr):
            own = found.setdefault(row.input, {}).setdefault(row.picture, {})
            own[row.method] = round(row.scores.psnr, 2)
    return found


def psnr_by_method(means: Sequence[Row]) -> dict[str, dict[str, tuple[float, float]]]:
    """What ``plot`` draws: of the darkened inputs with a truth."""
    scores: dict[str, dict[str, tuple[float, float]]] = {}
    for row in means:
        own = row.scores
        if isinstance(own, LightScores) and row.input not in (ALL, inputs.WELL_LIT, inputs.DARK):
            scores.setdefault(row.method, {})[row.input] = own.psnr, own.lit_psnr
    return scores


HEADER = (
    f"{'':<18}{'PSNR':>7}{'SSIM':>8}{'lit PSNR':>10}{'lit SSIM':>10}{'level':>16}{'hue':>7}"
    f"{'clipped':>9}{'lift':>8}"
)
NIGHT_HEADER = f"{'':<18}{'black':>7}{'fog':>8}{'flicker':>9}{'lift':>8}"
LEGEND = (
    "PSNR (dB) and SSIM of RGB against the picture in good light; lit: of the lit part.\n"
    "level: mean level minus the well-lit picture's, and how it spreads over pictures (over "
    "inputs, at the top).\n"
    "hue: mean change against the given picture, in degrees.\n"
    "clipped: growth of the clipped share, in percent of the picture. lift: growth of the mean "
    "level.\n"
    "black: level of the 1st percentile. fog: mean level where there is no signal. flicker: share "
    "of chroma samples\nthat jump by more than 8 levels where the given clip's do not, in percent. "
    "Levels are of 255."
)


def line(row: Row) -> str:
    """A line of the table under ``HEADER`` or ``NIGHT_HEADER``."""
    own = row.scores
    if isinstance(own, NightScores):
        return (
            f"{row.method:<18}{own.black:>7.2f}{own.fog:>8.2f}{own.flicker:>9.3f}{own.lift:>+8.1f}"
        )
    level = "-" if math.isnan(own.level) else f"{own.level:+.1f} ± {row.level_spread:.1f}"
    return (
        f"{row.method:<18}{cell(own.psnr, 7, 2)}{cell(own.ssim, 8, 3)}{cell(own.lit_psnr, 10, 2)}"
        f"{cell(own.lit_ssim, 10, 3)}{level:>16}{cell(own.hue, 7, 1)}{own.clipped:>+9.2f}"
        f"{own.lift:>+8.1f}"
    )


def cell(value: float, width: int, digits: int) -> str:
    return f"{'-':>{width}}" if math.isnan(value) else f"{value:>{width}.{digits}f}"


def report(means: Sequence[Row]) -> None:
    """Print a table for each input."""
    for name in dict.fromkeys(row.input for row in means):
        print(f"\n{name}\n{NIGHT_HEADER if name == inputs.NIGHT else HEADER}")
        for row in means:
            if row.input == name:
                print(line(row))
    print(f"\n{LEGEND}")


if __name__ == "__main__":
    main()
