"""Prints when a microphone heard beeps: ``python -m tests.support.listener NAME SECONDS``.

The first line says that it listens; the second is a list of times on ``time.monotonic``'s clock.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import av
import numpy as np

from zerodce_rt.live.microphone import Microphone
from zerodce_rt.live.sound import SoundPacket

_LOUD, _QUIET_SECONDS = 0.05, 0.3


def main() -> None:
    name, seconds = sys.argv[1], float(sys.argv[2])
    beeps: list[float] = []
    loud_until = 0.0
    decoder: Any = None

    def listen(packet: SoundPacket) -> None:
        nonlocal decoder, loud_until
        decoder = decoder or packet.sound.decoder()
        for frame in decoder.decode(av.Packet(packet.data)):
            samples = frame.to_ndarray().reshape(-1, len(frame.layout.channels))
            loud = np.flatnonzero(np.abs(samples).max(1) > _LOUD * np.iinfo(samples.dtype).max)
            for at in packet.seconds + loud / frame.sample_rate:
                if at - loud_until > _QUIET_SECONDS:
                    beeps.append(float(at))
                loud_until = float(at)

    with Microphone(name) as microphone:
        microphone.listeners.append(listen)
        print("listening", flush=True)
        time.sleep(seconds)
    print(json.dumps(beeps))


if __name__ == "__main__":
    main()
