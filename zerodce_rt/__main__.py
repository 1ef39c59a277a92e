"""``python -m zerodce_rt``."""

from zerodce_rt.cli import console

console()
