"""Draw the loss curves of training runs from their CSV logs.

pip install matplotlib && python scripts/plot_losses.py plus.csv dcenet.csv -o losses.png
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import matplotlib.pyplot as plt

from zerodce_rt.names import LIGHT_LOSSES, LOSSES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("logs", type=Path, nargs="+", help="CSV logs of zerodce-rt train")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the chart")
    options = parser.parse_args()

    count = len(options.logs)
    figure, axes = plt.subplots(1, count, figsize=(6 * count, 4), squeeze=False)
    for axis, log in zip(axes[0], options.logs, strict=True):
        with open(log, newline="") as file:
            rows = list(csv.DictReader(file))
        steps = [int(row["step"]) for row in rows]
        for name in dict.fromkeys(["loss", *LIGHT_LOSSES, *LOSSES]):
            if name not in rows[0]:  # a loss of other networks
                continue
            axis.plot(steps, [float(row[name]) for row in rows], label=name)
        axis.set(title=log.stem, xlabel="step", ylabel="weighted loss", yscale="log")
        axis.grid(visible=True, alpha=0.3)
        axis.legend()
    figure.tight_layout()
    figure.savefig(options.output, dpi=100)


if __name__ == "__main__":
    main()
