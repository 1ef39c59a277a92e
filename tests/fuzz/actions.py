"""What is done with a damaged file, and whether its output is whole."""

from __future__ import annotations

import io
import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import Any, TypeVar
from unittest.mock import patch

import av
import numpy as np

from tests.conftest import run as run_command_line
from tests.fuzz import seeds
from tests.fuzz.outcome import BROKEN, OTHER_FILE_READ, UNEXPECTED, Fault, complaint_about
from tests.fuzz.stderr import captured_stderr
from zerodce_rt import files
from zerodce_rt.backends.tensorrt import engines
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.media.paths import PICTURE_SUFFIXES, VIDEO_SUFFIXES, default_output
from zerodce_rt.names import COMPARE_MODES
from zerodce_rt.network.checkpoint import load_weights

COMMAND_LINE = "command line"
MODES = {
    "video": ("plain",) * 8 + ("span",) * 2 + ("compare",) * 2 + ("container",) * 3
    + (COMMAND_LINE,),
    "picture": ("plain",) * 8 + ("compare",) * 3 + ("container",) * 3 + (COMMAND_LINE,),
    "weights": ("load",) * 15 + (COMMAND_LINE,),
    "manifest": ("plain",) * 7 + (COMMAND_LINE,),
}  # fmt: skip
"""What may be done with each kind of file; what is listed more often is done more often."""

T = TypeVar("T")

_EXIT_CODES = (0, 1, 2, 130)


@dataclass(frozen=True)
class Case:
    """A file, and what to do with it.

    Attributes:
        kind, number: what repeats it.
        name: of the file.
        data: its content.
        mode: one of ``MODES[kind]``.
    """

    kind: str
    number: int
    name: str
    data: bytes
    mode: str

    @property
    def random(self) -> Random:
        """Chooses the settings; the same ones each time."""
        return Random(f"{self.kind} {self.number} settings")


Action = Callable[[Case, Path, Path], "set[str]"]
"""Does what a case says with a file and an empty folder; returns the names of the files that must
be in the folder afterwards. Raises ``ZeroDCEError`` if the file is refused, ``Fault`` if something
is wrong."""


@cache
def enhancer(kind: str) -> Enhancer:
    """One for all cases of a kind, as a program would have."""
    return Enhancer.for_video() if kind == "video" else Enhancer()


def act(case: Case, source: Path, results: Path) -> set[str]:
    """The ``Action`` of every kind and mode."""
    if case.kind == "weights":
        return _use_weights(case, source, results)
    if case.kind == "manifest" and case.name.startswith("tensorrt."):
        return _use_engine(case, results)
    if case.kind == "picture":
        return _enhance_picture(case, source, results)
    if case.kind == "manifest":
        return _play_list(case, source, results)
    return _enhance_video(case, source, results)


def _play_list(case: Case, source: Path, results: Path) -> set[str]:
    """A text in place of a video; only one that says so may name other files."""
    neighbour = seeds.named("video", "full.mkv").data
    source.with_name(seeds.NEIGHBOUR).write_bytes(neighbour)
    outputs = _enhance_video(case, source, results)
    if source.suffix != seeds.PLAYLIST_SUFFIX:
        raise Fault(OTHER_FILE_READ, f"{case.name} is a text, and gave a video")
    return outputs


def _enhance_video(case: Case, source: Path, results: Path) -> set[str]:
    random, settings = case.random, dict[str, Any]()
    suffix = default_output(source).suffix
    if case.mode == "span" or (case.mode == COMMAND_LINE and random.random() < 0.2):
        settings["start"] = round(random.choice((0.0, random.uniform(0.0, 0.2))), 3)
        if random.random() < 0.7:
            settings["end"] = round(settings["start"] + random.uniform(0.05, 0.3), 3)
    if case.mode == "compare" or (case.mode == COMMAND_LINE and random.random() < 0.2):
        settings["compare"] = random.choice(COMPARE_MODES)
    if case.mode == "container":
        suffix = random.choice(sorted(VIDEO_SUFFIXES))
    if case.kind == "manifest" and suffix not in VIDEO_SUFFIXES:
        suffix = ".mp4"
    output = results / f"bright{suffix}"
    if case.mode == COMMAND_LINE:
        _command("enhance", source, "-o", output, *_as_options(settings), about=(source, output))
        frames = None
    else:
        frames = files.enhance_video(source, output, enhancer=enhancer("video"), **settings).frames
    counts = _checked(output, _frames_in)
    if not any(counts) if frames is None else frames not in counts:
        raise Fault(BROKEN, f"{output.name} has {counts} frames, and {frames} were written")
    return {output.name}


def _enhance_picture(case: Case, source: Path, results: Path) -> set[str]:
    random, settings = case.random, dict[str, Any]()
    suffix = default_output(source).suffix
    if case.mode == "compare":
        settings["compare"] = random.choice(COMPARE_MODES)
    if case.mode == "container":
        suffix = random.choice(sorted(PICTURE_SUFFIXES))
    output = results / f"bright{suffix}"
    if case.mode == COMMAND_LINE:
        _command("enhance", source, "-o", output, about=(source, output))
    else:
        files.enhance_picture(source, output, enhancer=enhancer("picture"), **settings)
    _checked(output, _mean_of_picture)
    return {output.name}


def _use_weights(case: Case, source: Path, results: Path) -> set[str]:
    if case.mode == COMMAND_LINE:
        picture = source.with_name("dark.png")
        picture.write_bytes(seeds.named("picture", "plain.png").data)
        output = results / "bright.png"
        _command("enhance", picture, "-o", output, "--weights", source, about=(source, output))
        _checked(output, _mean_of_picture)
        return {output.name}
    checkpoint = load_weights(source)
    for name, array in checkpoint.weights.items():
        if array.dtype != np.float32 or not np.isfinite(array).all():
            raise Fault(BROKEN, f"{checkpoint.model}: {name} of {array.dtype} is not finite")
    return set()


def _use_engine(case: Case, results: Path) -> set[str]:
    """Either the engine or its description is damaged; the cache must notice, and mend it."""
    key = seeds.ENGINE_KEY
    whole = {name: seeds.named("manifest", name).data for name in seeds.ENGINE_FILES}
    results.chmod(0o700)
    for name, data in (whole | {case.name: case.data}).items():
        (results / f"{key.stem}{Path(name).suffix}").write_bytes(data)
    if case.mode == COMMAND_LINE:
        with patch.object(engines, "cache_folder", lambda name: str(results)):
            _command("engines", "list", about=(f"in {results}",))
        return {f"{key.stem}{Path(name).suffix}" for name in whole}
    engine_cache = engines.EngineCache(results)
    list(engine_cache)
    load = partial(engine_cache.load, key, lambda: seeds.ENGINE, lambda engine, new: (engine, new))
    if load()[0] != seeds.ENGINE:
        raise Fault(BROKEN, "a damaged engine was used")
    if load() != (seeds.ENGINE, False):
        raise Fault(BROKEN, "the engine was not kept")
    if len(list(engine_cache)) != 1:
        raise Fault(BROKEN, "the engine is not listed")
    return {f"{key.stem}.{suffix}" for suffix in ("engine", "json", "lock")}


def _command(*arguments: object, about: tuple[object, ...]) -> None:
    """Run the command line, and judge what it prints.

    Args:
        about: what lines that are no errors may begin with: the files, in warnings.

    Raises:
        ZeroDCEError: with the message, if it failed as it should.
    """
    printed = io.StringIO()
    quiet = ("--quiet",) if arguments[0] == "enhance" else ()
    with captured_stderr() as complained, redirect_stdout(printed), _as_it_was():
        code = run_command_line(*arguments, *quiet)
    for line in printed.getvalue().splitlines():
        if complaint := complaint_about(line):
            raise Fault(UNEXPECTED, f"stdout: {complaint}: {line!r}")
    message = judged(code, complained(), [str(start) for start in about])
    if message is not None:
        raise ZeroDCEError(message)


def judged(code: int, stderr: str, starts: list[str]) -> str | None:
    """The error that a command printed; None if it succeeded.

    Args:
        starts: what lines that are no errors may begin with.

    Raises:
        Fault: for anything that a person should not see.
    """
    lines = [line for line in stderr.split("\n") if line.strip()]
    errors = [line for line in lines if line.startswith("zerodce-rt: ")]
    strange = [n for n in lines if n not in errors and not n.startswith(tuple(starts))]
    if "Traceback" in stderr or any(e.startswith("zerodce-rt: unexpected ") for e in errors):
        raise Fault(UNEXPECTED, "; ".join(errors or lines[-1:]))
    if code not in _EXIT_CODES:
        raise Fault(UNEXPECTED, f"exit code {code}")
    if strange:
        raise Fault(UNEXPECTED, f"strange line on stderr: {strange[0]!r}")
    if len(errors) != (0 if code == 0 else 1):
        raise Fault(UNEXPECTED, f"exit code {code} with {len(errors)} error lines")
    return errors[0] if errors else None


@contextmanager
def _as_it_was() -> Iterator[None]:
    """Put back what the command line sets in its process."""
    root, ours = logging.getLogger(), logging.getLogger("zerodce_rt")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    numbers = [n for n in (signal.SIGTERM, getattr(signal, "SIGHUP", None)) if n is not None]
    on_signal = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(levels[0])
        ours.setLevel(levels[1])
        for number, action in on_signal.items():
            signal.signal(number, action)


def _as_options(settings: dict[str, Any]) -> list[str]:
    return [text for name, value in settings.items() for text in (f"--{name}", str(value))]


def _checked(output: Path, read: Callable[[Path], T]) -> T:
    """What ``read`` finds in an output.

    Raises:
        Fault: if it cannot be read.
    """
    try:
        return read(output)
    except Exception as error:
        raise Fault(BROKEN, f"{output.name}: {type(error).__name__}: {error}") from None


def _frames_in(path: Path) -> list[int]:
    """Frames of each video stream; the main one may be any, and others are copied as they were."""
    # FFmpeg does not know a whole TS of a few frames by its contents.
    format = "mpegts" if path.suffix in (".m2ts", ".mts", ".ts") else None
    with av.open(str(path), format=format) as container:
        indices = [stream.index for stream in container.streams.video]
    counts, failure = [], None
    for index in indices:
        with av.open(str(path), format=format) as container:
            try:
                counts.append(sum(1 for _ in container.decode(container.streams[index])))
            except av.FFmpegError as error:
                failure = error
    if failure is not None and not any(counts):
        raise failure
    return counts


def _mean_of_picture(path: Path) -> int:
    return int(seeds.libvips().Image.new_from_buffer(path.read_bytes(), "", fail_on="error").avg())
