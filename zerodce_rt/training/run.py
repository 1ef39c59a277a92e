"""A training run: from a folder of photographs to a file of weights."""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path

import torch

from zerodce_rt.atomic import finished_file, naming
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.network.checkpoint import save_weights
from zerodce_rt.progress import progress_bar
from zerodce_rt.training.curve_trainer import CurveTrainer
from zerodce_rt.training.distributed import Processes, as_one, launched
from zerodce_rt.training.folder import Photographs, load_photographs, split_folder
from zerodce_rt.training.light_trainer import LightTrainer
from zerodce_rt.training.settings import AnySettings, LightTrainingSettings
from zerodce_rt.training.trainer import Trainer

log = logging.getLogger(__name__)

RESUME_SUFFIX = ".resume.pt"
LOG_EVERY = 20  # steps


def train(
    photos: Path | str,
    output: Path | str,
    settings: AnySettings,
    *,
    device: str = "cpu",
    start_from: Path | str | None = None,
    resume: bool = False,
    hold_out: int = 0,
    sheet_every: int = 500,
    progress: bool = True,
) -> None:
    """Train a network on photographs and write its weights.

    Beside the weights appear ``<stem>.csv`` (running means of the losses, scores on held-out
    photographs) and ``<stem>.png`` (pictures before, after, and as they should be), and until
    training is done ``<stem>.resume.pt``. Existing files are replaced.

    In a program that ``torchrun`` has started several times, those processes train one network
    together: each takes its share of every batch and, with ``device="cuda"``, a GPU of its own. The
    first one writes. In the others, an error that another has raised becomes ``SystemExit``.

    Args:
        photos: folder of photographs; subfolders are searched, too.
        output: the weights to write; the name must end in ``.safetensors``.
        settings: ``LightTrainingSettings()`` trains ``light``; ``TrainingSettings(steps=2000)`` or
            ``published_settings("dcenet")`` train the networks of the papers.
        device: a PyTorch device, such as ``"cpu"`` or ``"cuda"``.
        start_from: weights of the same network to go on from, such as your last ones or ours
            (``zerodce_rt/network/weights/``); by default the first weights are random.
        resume: continue from ``<stem>.resume.pt``, with the settings and photographs of that run.
        hold_out: leave every n-th photograph (in the order of their paths) out, 2 or more, to
            score the weights with; 0 leaves none out. ``light`` is scored while it is trained.
        sheet_every: steps between updates of the picture, of the file to resume from and of the
            scores, 1 or more.
        progress: show a progress bar.

    Raises:
        ZeroDCEError: no photographs to train on, a device that cannot be used, nothing to resume
            from, or a loss that is not finite.
        ValueError: another name of ``output``, ``hold_out`` or ``sheet_every`` out of range; with
            several processes, a batch size that cannot be shared out evenly, or a device that is
            neither ``"cpu"`` nor ``"cuda"``.
    """
    photos, output = Path(photos), Path(output)
    processes = launched()
    with as_one():
        if output.suffix != ".safetensors":
            raise ValueError(f"{output}: the name of the weights must end in .safetensors")
        check_options(hold_out, sheet_every)
        processes.check_batch(settings.batch_size)
        device = processes.own_device(device)
        _check_device(device)
        paths, held_out = split_folder(photos, hold_out)
        with processes.joined(device):
            names = [p.relative_to(photos).as_posix() for p in (*paths, *held_out)]
            processes.check_same((settings, names, start_from is not None, resume))
            trainer = _trainer(settings, device, processes)
            if start_from is not None:
                trainer.start_from(Path(start_from))
            if processes.is_main:
                output.parent.mkdir(parents=True, exist_ok=True)
            state_path = output.with_name(output.stem + RESUME_SUFFIX)
            if resume:
                trainer.load_state(state_path, len(paths))
            scored = bool(held_out and trainer.scores)
            show = progress and processes.is_main
            pictures = load_photographs(
                photos, paths, held_out if scored else (),
                short_side=trainer.short_side, progress=show,
            )  # fmt: skip
            recording = (
                _recorded(
                    trainer, pictures, output, photos=len(paths),
                    resume=resume, scored=scored, sheet_every=sheet_every, progress=show,
                )
                if processes.is_main
                else nullcontext(_unrecorded)
            )  # fmt: skip
            with recording as record:
                while trainer.step < settings.steps:
                    trainer.train_step(pictures)
                    record()
        if processes.is_main:
            metadata = {"settings": str(asdict(settings)), "photos": str(len(paths))}
            if start_from is not None:
                metadata["start_from"] = Path(start_from).name
            save_weights(output, trainer.weights(), metadata=metadata)
            state_path.unlink(missing_ok=True)


@contextmanager
def _recorded(
    trainer: Trainer,
    pictures: Photographs,
    output: Path,
    *,
    photos: int,
    resume: bool,
    scored: bool,
    sheet_every: int,
    progress: bool,
) -> Iterator[Callable[[], None]]:
    """Log a run, draw its sheets, and write the file to resume from.

    Args:
        output: the weights, beside which all that is.
        photos: number of photographs in this run.
        resume: go on with the log.
        scored: the log has columns for scores.

    Yields:
        A function to call after each step.
    """
    settings = trainer.settings
    log_path = output.with_suffix(".csv")
    if resume:
        _drop_rows(log_path, after=trainer.step)
    columns = ["step", "loss", *trainer.losses, "learning_rate"]
    columns += trainer.scores if scored else ()
    with (
        naming(log_path),
        open(log_path, "a" if resume else "w", newline="") as log_file,
        progress_bar(
            f"training {settings.model}", unit="step", total=settings.steps,
            initial=trainer.step, show=progress, keep=True,
        ) as bar,
    ):  # fmt: skip
        writer = csv.DictWriter(log_file, columns)
        if not resume:
            writer.writeheader()
        shown: dict[str, str] = {}

        def record() -> None:
            bar.update()
            last = trainer.step == settings.steps
            pausing = trainer.step % sheet_every == 0 or last
            scores = trainer.score(pictures) if pausing else {}
            if trainer.step % LOG_EVERY == 0 or last or scores:
                row = trainer.log_row()
                writer.writerow(row | {name: f"{score:.2f}" for name, score in scores.items()})
                log_file.flush()
                shown["loss"] = row["loss"]
                if scores:
                    shown["held_out"] = f"{sum(scores.values()) / len(scores):.2f} dB"
                bar.set_postfix(shown, refresh=False)
            if pausing:
                trainer.write_sheet(output.with_suffix(".png"), pictures)
                trainer.save_state(output.with_name(output.stem + RESUME_SUFFIX), photos)

        yield record


def _unrecorded() -> None:
    """What the other processes do after a step."""


def check_options(hold_out: int, sheet_every: int) -> None:
    """Check options of ``train`` that are not part of its settings.

    Raises:
        ValueError: one of them is out of range.
    """
    if hold_out < 0 or hold_out == 1:
        raise ValueError(f"`hold_out` must be 0, or 2 or more, not {hold_out}")
    if sheet_every < 1:
        raise ValueError(f"`sheet_every` must be at least 1, not {sheet_every}")


def _trainer(settings: AnySettings, device: str, processes: Processes) -> Trainer:
    if isinstance(settings, LightTrainingSettings):
        return LightTrainer(settings, device, processes)
    return CurveTrainer(settings, device, processes)


def _check_device(device: str) -> None:
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # the latter from builds without CUDA
        reason = str(error).splitlines()[0]
        raise ZeroDCEError(
            f"device {device!r} cannot be used ({reason}); use `device='cpu'`"
        ) from error


def _drop_rows(log_path: Path, *, after: int) -> None:
    """Remove what was logged after the step of the resume file: those steps are repeated."""
    header, *rows = log_path.read_text().splitlines(keepends=True)
    with finished_file(log_path) as partial:
        partial.write_text("".join([header, *(r for r in rows if int(r.split(",")[0]) <= after)]))
