"""``python -m zerodce_rt``."""

import sys

from zerodce_rt.cli import main

sys.exit(main())
