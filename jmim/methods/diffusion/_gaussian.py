"""What diffusion methods with discrete times share: schedule and respacing.

A method derives from `Gaussian`, trains as its paper says, and defines
`network`; the rest of it, sampling included, is in `_conditional`.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.diffusion import guidance as guiding
from jmim.diffusion import respace
from jmim.diffusion import sampler as samplers
from jmim.diffusion import schedule as schedules
from jmim.diffusion import solvers
from jmim.diffusion import targets
from jmim.methods.diffusion import _conditional


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gaussian(_conditional.Conditional):
  """Fields and functions of processes in discrete times."""

  schedule: str = field.value(
    "linear", "noise schedule", choices=schedules.NAMES
  )
  times: int = field.value(1000, "T, discrete times", low=2)
  beta_start: float = field.value(
    1e-4, "first beta (linear and alike)", above=0
  )
  beta_end: float = field.value(0.02, "last beta (linear and alike)", above=0)
  zero_snr: bool = field.value(False, "end in pure noise (Lin et al.)")
  spacing: str = field.value(
    "even", "which times sampling visits", choices=respace.SPACINGS
  )
  eta: float = field.value(0.0, "noise of ddim: 0 none, 1 DDPM's", low=0.0)
  variance: str = field.value(
    "small", "variance of ddpm", choices=("small", "large", "learned")
  )
  guidance_interval: tuple = field.value(
    (0.0, 1.0), "guide only between these times, 0 data and 1 noise"
  )
  guidance_rescale: float = field.value(
    0.0, "share in which guidance keeps the deviation", low=0.0, high=1.0
  )

  @property
  def process(self) -> schedules.Schedule:
    """The noise schedule."""
    return schedules.make(
      self.schedule,
      self.times,
      start=self.beta_start,
      end=self.beta_end,
      zero_snr=self.zero_snr,
    )

  @property
  def table(self) -> samplers.Table:
    """The sampler along its path."""
    visited = respace.visited(self.spacing, self.times, self.steps)
    # LDM's path, which is told one time late, ends at the first time.
    end = 0 if self.spacing == "offset" else None
    levels = self.process.levels(visited, end)
    return solvers.make(self.sampler, levels, self.eta, self.variance)

  @property
  def end(self) -> float:
    """The time that the network is told of pure noise, or just beyond."""
    return float(self.times)

  def inputs(self) -> dict[str, method.Input]:
    """Normalised images (or moments) and, if conditional, labels.

    Raises:
      ValueError: fields that do not go together.
    """
    if len(self.guidance_interval) != 2:
      raise ValueError(f"guidance_interval {self.guidance_interval}: two times")
    respace.visited(self.spacing, self.times, self.steps)
    return super().inputs()

  def draw(self, key, batch, step):
    """t [b] ints, noise like the images, label_drop [b] ~ U[0, 1).

    With a first stage also the noise of its posterior.
    """
    del step
    k_t, k_noise, k_drop = jax.random.split(key, 3)
    shape = (len(jax.tree.leaves(batch)[0]), *self.shape)
    found = {
      "t": jax.random.randint(k_t, shape[:1], 0, self.times),
      "noise": jax.random.normal(k_noise, shape),
    }
    if self.classes:
      found["label_drop"] = jax.random.uniform(k_drop, shape[:1])
    return found | self.draw_latents(jax.random.fold_in(key, 1), shape[0])

  def noised(self, images, draws):
    """(x_t, signal, noise), the latter [b, 1, 1, 1], at the drawn times."""
    a, s = self.process.at(targets.expand(draws["t"], images.ndim))
    return targets.noised(images, draws["noise"], a, s), a, s

  def output(self, raw, x, level) -> targets.Output:
    """What the sampler needs of a (guided) raw prediction: of eps."""
    eps = raw[..., : self.channels]
    return targets.output(
      "eps",
      eps,
      x=x,
      a=level.signal,
      s=level.noise,
      clip=self.clip,
      scales=level.scales,
    )

  def guided(self, cond, null, time) -> jax.Array:
    """Both raw predictions [b, h, w, ...] as one; time of 0 .. 1."""
    scale = guiding.interval(self.guidance, time, *self.guidance_interval)
    channels, c = self.guidance_channels or None, self.channels
    raw = guiding.combine(cond, null, scale, channels)
    if not self.guidance_rescale:
      return raw
    eps = guiding.rescale(raw[..., :c], cond[..., :c], self.guidance_rescale)
    return jnp.concatenate([eps, raw[..., c:]], axis=-1)
