"""``zerodce-rt demo``: a ray-traced room in the dark, enhanced, to see before and after.

``program`` does it; ``scene`` films the room with the camera of ``raytrace``, in the surfaces of
``textures``.
"""

from zerodce_rt.demo.program import run_demo

__all__ = ["run_demo"]
