"""Draw the loss curves of training runs from the CSV logs that they leave.

pip install matplotlib && python scripts/plot_losses.py plus.csv dcenet.csv -o losses.png
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import matplotlib.pyplot as plt

TERMS = ("loss", "exposure", "smoothness", "colour", "agreement", "spatial")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("logs", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()

    figure, axes = plt.subplots(
        1, len(options.logs), figsize=(6 * len(options.logs), 4), squeeze=False
    )
    for axis, log in zip(axes[0], options.logs, strict=True):
        with open(log, newline="") as file:
            rows = list(csv.DictReader(file))
        steps = [int(row["step"]) for row in rows]
        for term in TERMS:
            axis.plot(steps, [float(row[term]) for row in rows], label=term)
        axis.set(title=log.stem, xlabel="step", ylabel="weighted loss", yscale="log")
        axis.grid(visible=True, alpha=0.3)
        axis.legend()
    figure.tight_layout()
    figure.savefig(options.output, dpi=100)


if __name__ == "__main__":
    main()
