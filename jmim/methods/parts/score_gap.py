"""Score distillation: where a frozen network sees other noise, is moved to.

He et al. 2024 (LearningHx/TAD-SR@8b0373f). At one of the first times, where
little but fine detail is lost, with one noise u on the sample z of a student
and on the teacher's z',

    g = e(z_t, t) - e(z'_t, t)               e: noise that the teacher implies
        or e(z_t, t) - u                     kind "sds" (Poole et al. 2023)
    loss = weight mean sg(g) z

so that the gradient of z is g. At z = z' both are 0.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.methods.parts import residual

Array = jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoreGap:
  """Weight, times and noise of the distillation."""

  weight: float = field.value(1.0, "weight of the loss", low=0.0)
  kind: str = field.value(
    "hsd",
    "subtracted: the noise in the teacher's sample (hsd), or that which was "
    "added (sds)",
    choices=("hsd", "sds"),
  )
  times: int = field.value(3, "it is at one of so many first times", low=1)
  noise: str = field.value(
    "gauss",
    "noise that is added; uniform in 0 .. 1: as released",
    choices=tuple(residual.NOISES),
  )
  double_scale: bool = field.value(
    False, "the network's input is scaled twice, as released"
  )

  def check(self, times: int) -> None:
    """Raises ValueError for more times than the process has."""
    if self.times > times:
      raise ValueError(f"hsd.times={self.times} of noise.times={times}")

  def draw(
    self, keys: randomness.Keys, shape: tuple[int, ...]
  ) -> dict[str, Array]:
    """hsd_t [b] ints, hsd_noise of that shape [b, ...]."""
    options = dict(times=self.times, noise=self.noise)
    return residual.drawn(keys, shape, "hsd", **options)

  def gap(
    self,
    process: residual.Residual,
    network: residual.Network,
    *,
    student: Array,
    teacher: Array,
    y: Array,
    draws: method.Draws,
  ) -> Array:
    """g [b, h, w, c], a constant.

    Args:
      process: of the teacher.
      network: the teacher, also of several batches one after the other.
      student: its sample.
      teacher: its own sample.
      y: degraded data.
      draws: of `draw`.
    """
    t, noise = draws["hsd_t"], draws["hsd_noise"]

    samples = [student] if self.kind == "sds" else [student, teacher]
    many = lambda a: jnp.concatenate([a] * len(samples))
    z, y, t, noise = jnp.concatenate(samples), many(y), many(t), many(noise)
    x = process.add(z, y, t, noise)
    read = process.inside(x, t) if self.double_scale else x
    seen = process.eps(x, network(read, t), y, t)
    ours, *others = jnp.split(seen, len(samples))
    return jax.lax.stop_gradient(ours - (others[0] if others else noise))

  def loss(
    self,
    process: residual.Residual,
    network: residual.Network,
    *,
    student: Array,
    **options: Any,
  ) -> Array:
    """[b], whose gradient is that of the gap; arguments as of `gap`."""
    gap = self.gap(process, network, student=student, **options)
    return self.weight * (gap * student).mean((1, 2, 3))
