"""What became of each file of a run, as a table beside the outputs."""

from __future__ import annotations

import csv
import io
import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.storage.remote import Place, opened_file, place
from zerodce_rt.storage.transfer import write_text

log = logging.getLogger(__name__)

REPORT_NAME = "report.csv"


@dataclass(frozen=True)
class Row:
    """One file of a run.

    Attributes:
        result: ``"enhanced"``, ``"finished before"``, ``"exists already"`` or ``"failed"``.
        seconds: from its beginning to its end; empty if nothing was done.
        error: why it failed.
    """

    input: str
    output: str
    result: str
    frames: int | None = None
    seconds: float | None = None
    error: str = ""


_HEADER = ",".join(field.name for field in fields(Row))


def write_reports(rows: Iterable[Row], folder: Place | None) -> None:
    """Write the table of a run; one of an earlier run is replaced, anything else is not.

    Args:
        folder: that all outputs go to; None if each goes beside its input, and each folder gets a
            table of its own.
    """
    by_folder: dict[Place, list[Row]] = defaultdict(list)
    for row in rows:
        by_folder[folder or place(row.output or row.input).parent].append(row)
    for where, some in by_folder.items():
        path = where / REPORT_NAME
        try:
            if not _has_results(where, some):
                continue
            if not _is_ours(path):
                log.warning("%s: is not a report of ours, and is left as it is", path)
                continue
            text = io.StringIO()
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(_HEADER.split(","))
            writer.writerows(astuple(row) for row in some)
            write_text(path, text.getvalue())
        except (ZeroDCEError, OSError) as error:
            log.warning("%s: no report was written (%s)", where, error)


def _has_results(where: Place, rows: list[Row]) -> bool:
    """Whether anything has come of a folder; a storage has none without files."""
    if isinstance(where, Path):
        return where.is_dir()
    return any(row.result != "failed" for row in rows)


def _is_ours(path: Place) -> bool:
    """Whether a report may be written there."""
    try:
        with opened_file(path) as file:
            # Not all storages' files take the length of a line.
            return bool(file.read(1000).partition(b"\n")[0].rstrip() == _HEADER.encode())
    except FileNotFoundError:
        return True
    except OSError:
        return False
