"""A planar arm of two links, in the horizontal plane: the model, its geometry, and an expert."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metabench_control.physics.mjcf import number

Floats = npt.NDArray[np.float64]

TIMESTEP = 0.01
SUBSTEPS = 5
"""Integrator steps of 10 ms in a control step of 50 ms."""


@dataclass(frozen=True)
class Arm:
    """What an arm is made of.

    Attributes:
        lengths: Of both links, in m.
        masses: Of both links, in kg; thin rods.
        damping: Viscous friction of each joint, in N m s/rad.
        friction: Dry friction of each joint, in N m.
        gears: Torque of each motor at full control, in N m.
    """

    lengths: tuple[float, float] = (0.2, 0.2)
    masses: tuple[float, float] = (0.3, 0.3)
    damping: float = 0.05
    friction: float = 0.01
    gears: tuple[float, float] = (1.0, 0.5)

    def xml(self, *, timestep: float = TIMESTEP) -> str:
        """Write the model in MJCF."""
        (first, second), (m1, m2) = self.lengths, self.masses
        joint = (
            f'damping="{number(self.damping)}" frictionloss="{number(self.friction)}" axis="0 0 1"'
        )
        return f"""<mujoco model="arm">
  <option timestep="{number(timestep)}" integrator="implicitfast" gravity="0 0 0">
    <flag contact="disable" autoreset="disable"/>
  </option>
  <worldbody>
    <body name="upper">
      <joint name="shoulder" type="hinge" {joint}/>
      {_rod(first, m1)}
      <body name="lower" pos="{number(first)} 0 0">
        <joint name="elbow" type="hinge" {joint}/>
        {_rod(second, m2)}
        <site name="fingertip" pos="{number(second)} 0 0"/>
      </body>
    </body>
  </worldbody>
  <actuator>
    <motor joint="shoulder" gear="{number(self.gears[0])}"/>
    <motor joint="elbow" gear="{number(self.gears[1])}"/>
  </actuator>
</mujoco>"""


def fingertip(lengths: Floats, angles: Floats) -> Floats:
    """Forward kinematics.

    Args:
        lengths: ``[..., 2]`` m.
        angles: ``[..., 2]`` of the shoulder, and of the elbow against the upper link, in rad.

    Returns:
        ``[..., 2]`` m.
    """
    both = angles[..., 0] + angles[..., 1]
    x = lengths[..., 0] * np.cos(angles[..., 0]) + lengths[..., 1] * np.cos(both)
    y = lengths[..., 0] * np.sin(angles[..., 0]) + lengths[..., 1] * np.sin(both)
    return np.stack([x, y], axis=-1)


def reaching(lengths: Floats, goal: Floats) -> Floats:
    """Inverse kinematics with the elbow bent to the left (a positive angle).

    Args:
        lengths: ``[..., 2]`` m.
        goal: ``[..., 2]`` m; where it is out of reach, the arm is stretched or folded towards it.

    Returns:
        ``[..., 2]`` angles in rad.
    """
    first, second = lengths[..., 0], lengths[..., 1]
    square = (goal**2).sum(-1)
    cosine = (square - first**2 - second**2) / (2 * first * second)
    elbow = np.arccos(np.clip(cosine, -1.0, 1.0))
    shoulder = np.arctan2(goal[..., 1], goal[..., 0]) - np.arctan2(
        second * np.sin(elbow), first + second * np.cos(elbow)
    )
    return np.stack([shoulder, elbow], axis=-1)


def inertia(lengths: Floats, masses: Floats, elbow: Floats) -> Floats:
    """Joint-space inertia of two thin rods.

    Args:
        lengths: ``[..., 2]`` m.
        masses: ``[..., 2]`` kg.
        elbow: ``[...]`` rad.

    Returns:
        ``[..., 2, 2]`` kg m² (Spong, Hutchinson & Vidyasagar, "Robot modeling and control", 2006,
        planar elbow manipulator, with centres at half the links and moments ``m l² / 12``).
    """
    (l1, l2), (m1, m2) = (np.moveaxis(a, -1, 0) for a in (lengths, masses))
    tip = m2 * l2**2 / 3
    cross = m2 * l1 * l2 * np.cos(elbow) / 2
    base = m1 * l1**2 / 3 + m2 * l1**2
    rows = [
        np.stack([base + tip + 2 * cross, tip + cross], axis=-1),
        np.stack([tip + cross, tip + np.zeros_like(cross)], axis=-1),
    ]
    return np.stack(rows, axis=-2)


def _rod(length: float, mass: float) -> str:
    moment = mass * length**2 / 12
    # a body's moments have to fulfil the triangle inequality, so a thin rod gets a little width
    return (
        f'<inertial pos="{number(length / 2)} 0 0" mass="{number(mass)}" '
        f'diaginertia="{number(moment * 1e-3)} {number(moment)} {number(moment)}"/>'
    )
