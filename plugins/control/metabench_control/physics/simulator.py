"""MuJoCo as a function: state and control in, next state out.

Todorov, Erez & Tassa, "MuJoCo: a physics engine for model-based control", IROS 2012. Nothing is
remembered between calls, the solver's warm start included, so that a transition depends on its
state and control alone and not on what was simulated before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import mujoco
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LARGEST = 1e3
"""A position (m, rad) or velocity (m/s, rad/s) beyond this has diverged."""


class Simulator:
    """One compiled model.

    Args:
        xml: The model in MJCF.
        substeps: Steps of the integrator in one control step.
    """

    def __init__(self, xml: str, substeps: int) -> None:
        self.model = mujoco.MjModel.from_xml_string(xml)
        self._data = mujoco.MjData(self.model)
        self._substeps = substeps

    @property
    def seconds(self) -> float:
        """Length of one control step."""
        return float(self.model.opt.timestep) * self._substeps

    def step(self, position: Floats, velocity: Floats, control: Floats) -> tuple[Floats, Floats]:
        """Simulate one control step.

        Args:
            position: ``[nq]`` m or rad.
            velocity: ``[nv]`` m/s or rad/s.
            control: ``[nu]`` in -1 .. 1; larger values are clipped.

        Returns:
            The next position and velocity; both NaN if the state diverged, that is, became
            non-finite or larger than `LARGEST`, or was so before.
        """
        data = self._data
        if not (np.isfinite(control).all() and _sound(position) and _sound(velocity)):
            return np.full_like(position, np.nan), np.full_like(velocity, np.nan)
        data.qpos[:] = position
        data.qvel[:] = velocity
        data.qacc_warmstart[:] = 0.0
        data.ctrl[:] = np.clip(control, -1.0, 1.0)
        mujoco.mj_step(self.model, data, self._substeps)
        if not (_sound(data.qpos) and _sound(data.qvel)):
            return np.full_like(position, np.nan), np.full_like(velocity, np.nan)
        return data.qpos.copy(), data.qvel.copy()

    def site(self, name: str, position: Floats) -> Floats:
        """``[3]`` place of a site, in m, at a position of the joints."""
        self._data.qpos[:] = position
        mujoco.mj_kinematics(self.model, self._data)
        return np.array(self._data.site(name).xpos)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep MuJoCo from printing warnings and writing ``MUJOCO_LOG.TXT`` at a diverging state."""
    before = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(lambda _: None)
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(before)


def _sound(values: Floats) -> bool:
    return bool(np.abs(values).max() <= LARGEST)
