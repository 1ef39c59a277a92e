"""YUYV to planes and back: faster kernels of its own would not be worth their code."""

from __future__ import annotations

from typing import Any

from zerodce_rt.backends.cpu.compiling import U1, U2, U3, U4, U, compiled


@compiled
def split_yuyv(src: Any, y: Any, u: Any, v: Any) -> None:
    """Rows of Y, U, Y, V, for two pixels each, as planes of 4:2:2 with an even width."""
    for row in range(u.shape[0]):
        samples, y_row, u_row, v_row = src[row], y[row], u[row], v[row]
        for i in range(u.shape[1]):
            j = U(i)
            y_row[U2 * j] = samples[U4 * j]
            u_row[j] = samples[U4 * j + U1]
            y_row[U2 * j + U1] = samples[U4 * j + U2]
            v_row[j] = samples[U4 * j + U3]


@compiled
def join_yuyv(y: Any, u: Any, v: Any, out: Any) -> None:
    """The inverse of ``split_yuyv``."""
    for row in range(u.shape[0]):
        samples, y_row, u_row, v_row = out[row], y[row], u[row], v[row]
        for i in range(u.shape[1]):
            j = U(i)
            samples[U4 * j] = y_row[U2 * j]
            samples[U4 * j + U1] = u_row[j]
            samples[U4 * j + U2] = y_row[U2 * j + U1]
            samples[U4 * j + U3] = v_row[j]
