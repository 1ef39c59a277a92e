"""What the tests with made-up inputs share: Hypothesis's profile, and strategies.

The profile holds for every test that is written below an import of this module.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st

# The same examples in every run: a failure must be the change's, not chance's.
settings.register_profile("zerodce-rt", max_examples=60, deadline=None, derandomize=True)
settings.load_profile("zerodce-rt")
few = settings(max_examples=15)

sides = st.integers(1, 40)
frame_sides = st.integers(1, 8192)
seeds = st.integers(0, 2**32 - 1)
levels = st.floats(0, 1, width=32)
finite = st.floats(allow_nan=False, allow_infinity=False)
