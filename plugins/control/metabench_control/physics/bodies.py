"""Four bodies whose masses, lengths, friction, damping and gears are drawn per task.

The models are written for this benchmark. A task multiplies their nominal values by factors; what a
factor acts on is said at each body.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, dataclass, fields

import numpy as np
import numpy.typing as npt

from metabench_control.physics.arm import Arm
from metabench_control.physics.mjcf import number
from metabench_control.physics.simulator import Simulator

Floats = npt.NDArray[np.float64]

SUBSTEPS = 10
_TIMESTEP = "0.004"
_SOLE = 0.05


@dataclass(frozen=True)
class Factors:
    """What the nominal values of a body are multiplied by."""

    mass: float = 1.0
    length: float = 1.0
    friction: float = 1.0
    damping: float = 1.0
    gear: float = 1.0

    def values(self) -> tuple[float, ...]:
        """The factors in the order of `FACTORS`."""
        return astuple(self)


FACTORS = tuple(field.name for field in fields(Factors))


@dataclass(frozen=True)
class Body:
    """One kind of mechanism.

    Attributes:
        name: Its name.
        xml: Factors to a model in MJCF.
        seen: Coordinates that an observation holds as they are.
        angles: Coordinates that an observation holds as sine and cosine.
        controls: Number of motors.
        low: ``[nq]`` smallest start position, m or rad.
        high: ``[nq]`` largest start position.
        speed: ``[nq]`` largest start velocity, m/s or rad/s.
    """

    name: str
    xml: Callable[[Factors], str]
    seen: tuple[int, ...]
    angles: tuple[int, ...]
    controls: int
    low: tuple[float, ...]
    high: tuple[float, ...]
    speed: tuple[float, ...]

    @property
    def coordinates(self) -> int:
        """Number of joints, and of velocities."""
        return len(self.low)

    @property
    def features(self) -> int:
        """Length of an observation with its control."""
        return len(self.seen) + 2 * len(self.angles) + self.coordinates + self.controls

    def simulator(self, factors: Factors) -> Simulator:
        """Compile the body."""
        return Simulator(self.xml(factors), SUBSTEPS)

    def observe(self, position: Floats, velocity: Floats, control: Floats) -> Floats:
        """Put states and controls into one row each.

        Args:
            position: ``[n, nq]``.
            velocity: ``[n, nq]``.
            control: ``[n, nu]``.

        Returns:
            ``[n, features]``.
        """
        turned = position[:, self.angles]
        parts = [position[:, self.seen], np.sin(turned), np.cos(turned), velocity, control]
        return np.concatenate(parts, axis=1)


def pendulum(factors: Factors) -> str:
    """A point mass of 1 kg on a rod of 0.5 m, hanging at angle 0; a motor of 3 N m."""
    length = 0.5 * factors.length
    return _model(
        "pendulum",
        f"""<body>
      {_hinge("swing", 0.1 * factors.damping, 0.05 * factors.friction)}
      <inertial pos="0 0 {number(-length)}" mass="{number(factors.mass)}"
        diaginertia="1e-6 1e-6 1e-6"/>
    </body>""",
        {"swing": 3.0 * factors.gear},
    )


def cart_pole(factors: Factors) -> str:
    """A cart of 1 kg on a rail with a pole of 0.3 kg and 0.6 m, hanging at angle 0.

    Mass scales cart and pole; friction and gear (10 N) act on the cart, damping on both joints.
    """
    length, mass = 0.6 * factors.length, 0.3 * factors.mass
    moment = mass * length**2 / 12
    return _model(
        "cart-pole",
        f"""<body>
      <joint name="rail" type="slide" axis="1 0 0" damping="{number(0.5 * factors.damping)}"
        frictionloss="{number(0.5 * factors.friction)}"/>
      <inertial pos="0 0 0" mass="{number(factors.mass)}" diaginertia="0.01 0.01 0.01"/>
      <body>
        {_hinge("pole", 0.02 * factors.damping, 0.0)}
        <inertial pos="0 0 {number(-length / 2)}" mass="{number(mass)}"
          diaginertia="{number(moment)} {number(moment)} {number(moment * 1e-3)}"/>
      </body>
    </body>""",
        {"rail": 10.0 * factors.gear},
    )


def reacher(factors: Factors) -> str:
    """The nominal `Arm`, all of whose parts are scaled alike."""
    nominal = Arm()
    return Arm(
        lengths=(nominal.lengths[0] * factors.length, nominal.lengths[1] * factors.length),
        masses=(nominal.masses[0] * factors.mass, nominal.masses[1] * factors.mass),
        damping=nominal.damping * factors.damping,
        friction=nominal.friction * factors.friction,
        gears=(nominal.gears[0] * factors.gear, nominal.gears[1] * factors.gear),
    ).xml(timestep=float(_TIMESTEP))


def hopper(factors: Factors) -> str:
    """A torso on a leg of thigh, shank and foot, in the plane, on a floor; upright at height 0.

    Mass scales the density, length the thigh, shank and foot, friction the sliding friction of the
    body on the floor (0.8), damping and gear the three driven joints (40, 25 and 12 N m).
    """
    thigh, shank, foot = (base * factors.length for base in (0.40, 0.45, 0.35))
    density = number(1000.0 * factors.mass)
    damping = factors.damping

    def capsule(along: str, size: float) -> str:
        # of two friction values in contact the larger counts: the floor's
        return (
            f'<geom type="capsule" fromto="{along}" size="{size}" density="{density}" '
            'conaffinity="1" friction="0.01 0.005 0.0001"/>'
        )

    return _model(
        "hopper",
        f"""<geom type="plane" size="50 50 1" contype="1"
      friction="{number(0.8 * factors.friction)} 0.005 0.0001"/>
    <body pos="0 0 {number(thigh + shank + _SOLE)}">
      <joint name="along" type="slide" axis="1 0 0"/>
      <joint name="height" type="slide" axis="0 0 1"/>
      <joint name="pitch" type="hinge" axis="0 1 0"/>
      {capsule("0 0 0 0 0 0.35", 0.05)}
      <body>
        {_hinge("hip", 1.0 * damping, 0.0)}
        {capsule(f"0 0 0 0 0 {number(-thigh)}", 0.045)}
        <body pos="0 0 {number(-thigh)}">
          {_hinge("knee", 1.0 * damping, 0.0)}
          {capsule(f"0 0 0 0 0 {number(-shank)}", 0.04)}
          <body pos="0 0 {number(-shank)}">
            {_hinge("ankle", 0.5 * damping, 0.0)}
            {capsule(f"{number(-0.35 * foot)} 0 0 {number(0.65 * foot)} 0 0", _SOLE)}
          </body>
        </body>
      </body>
    </body>""",
        {"hip": 40.0 * factors.gear, "knee": 25.0 * factors.gear, "ankle": 12.0 * factors.gear},
    )


_PI = float(np.pi)
BODIES = (
    Body("pendulum", pendulum, (), (0,), 1, (-_PI,), (_PI,), (6.0,)),
    Body("cart-pole", cart_pole, (0,), (1,), 1, (-1.0, -_PI), (1.0, _PI), (2.0, 6.0)),
    Body("reacher", reacher, (), (0, 1), 2, (-_PI, -_PI), (_PI, _PI), (5.0, 5.0)),
    Body(
        "hopper",
        hopper,
        (1, 3, 4, 5),
        (2,),
        3,
        (0.0, 0.0, -0.3, -0.6, -0.2, -0.4),
        (0.0, 0.3, 0.3, 0.2, 1.0, 0.4),
        (1.5, 1.5, 2.0, 3.0, 3.0, 3.0),
    ),
)


def _model(name: str, bodies: str, motors: dict[str, float]) -> str:
    """Wrap bodies into a model; geoms touch nothing unless they say so."""
    driven = "\n    ".join(
        f'<motor joint="{joint}" gear="{number(gear)}"/>' for joint, gear in motors.items()
    )
    return f"""<mujoco model="{name}">
  <option timestep="{_TIMESTEP}" integrator="implicitfast" gravity="0 0 -9.81">
    <flag autoreset="disable"/>
  </option>
  <default><geom contype="0" conaffinity="0"/></default>
  <worldbody>
    {bodies}
  </worldbody>
  <actuator>
    {driven}
  </actuator>
</mujoco>"""


def _hinge(name: str, damping: float, friction: float) -> str:
    return (
        f'<joint name="{name}" type="hinge" axis="0 1 0" damping="{number(damping)}" '
        f'frictionloss="{number(friction)}"/>'
    )
