r"""A sampler as a function of all the noises that it consumes, both ways.

    x_0 = a_0 z + s_0 n,   eps_1 .. eps_n  ->  G(x_0, eps) = z

Wu and De la Torre 2023 (CycleDiffusion): DDIM with eta > 0 or DDPM, along the
last steps of a path. `encode` finds the noises of data, `decode` is G; see
`diffusion.invert`.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.diffusion import invert
from jmim.diffusion import model
from jmim.diffusion import respace
from jmim.diffusion import sampler as samplers
from jmim.diffusion import schedule
from jmim.diffusion import solvers
from jmim.diffusion import targets

Array = jax.Array
Levels = schedule.Levels
Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CodeSampler:
  """Which sampler, along which path."""

  sampler: str = field.value("ddim", "sampler", choices=("ddim", "ddpm"))
  steps: int = field.value(100, "sampling steps from noise to data", low=1)
  spacing: str = field.value(
    "",
    "times that are visited; '': as the model samples",
    choices=("", *respace.SPACINGS),
  )
  eta: float = field.value(
    0.1, "noise of ddim: 0 none, 1 DDPM's", low=0.0, high=1.0
  )
  variance: str = field.value(
    "small", "variance of ddpm", choices=("small", "large")
  )
  early_stop: int = field.value(
    0,
    "last steps that are made; 0: all",
    low=0,
  )
  refine: int = field.value(
    0, "last steps made again, from the result noised, with eta 1", low=0
  )
  clip: float = field.value(0.0, "limit of |x0|; 0: none (latents)", low=0.0)

  def path(self, owner: model.Diffuser, skip: int = 0) -> Levels:
    """The path from where it begins to data.

    Args:
      owner: the model.
      skip: first steps of it that are left out.

    Raises:
      ValueError: nothing would be left, or what is to be left out is not there.
    """
    try:
      levels = owner.levels(self.steps, self.spacing)
    except ValueError as e:
      raise ValueError(f"code.steps, code.spacing: {e}") from e
    for name in ("early_stop", "refine"):
      if getattr(self, name) > len(levels):
        raise ValueError(
          f"code.{name}={getattr(self, name)} of {len(levels)} steps"
        )
    if self.early_stop and skip:
      raise ValueError(
        f"code.early_stop={self.early_stop} and search.skip={skip}: two ways "
        "to leave out steps"
      )
    first = len(levels) - self.early_stop if self.early_stop else skip
    if not 0 <= first < len(levels):
      raise ValueError(f"search.skip={skip} of {len(levels)} steps")
    return levels.part(first)

  def begun(self, levels: Levels, z: Array, noise: Array) -> Array:
    """Data [b, ...] noised to where the path begins.

    The authors' code of pixels begins an early stop at the time before the
    number of steps: the same, unless times are left out.
    """
    a, s = float(levels.signal[0]), float(levels.noise[0])
    return targets.noised(z, noise, a, s)

  def tables(self, levels: Levels) -> tuple[samplers.Table, samplers.Table]:
    """(the sampler, the one that draws the states of data) along a path.

    Raises:
      ValueError: it cannot be walked.
    """
    if self.sampler == "ddim":
      table = drawn = solvers.ddim(levels, self.eta)
    else:
      table = solvers.ddpm(levels, self.variance)
      drawn = solvers.ddpm(levels, "small")
    table.check(self.sampler)
    return table, drawn

  def encode(
    self,
    levels: Levels,
    denoise: samplers.Denoise,
    z: Array,
    *,
    x: Array,
    noise: Array,
  ) -> Array:
    """Noises [n, b, ...] that lead from x to data z; see `invert.encode`.

    Args:
      levels: path.
      denoise: of the model.
      z: data [b, ...].
      x: `begun`.
      noise: [n - 1, b, ...] standard normal.
    """
    table, drawn = self.tables(levels)
    return invert.encode(table, denoise, z, x=x, noise=noise, drawn_by=drawn)

  def decode(
    self,
    levels: Levels,
    denoise: samplers.Denoise,
    x: Array,
    noise: Array | None = None,
  ) -> Array:
    """G [b, ...]: what is made of x and of noises [n, b, ...].

    With eta 0 there are none.
    """
    return samplers.sample(self.tables(levels)[0], denoise, x, noise)[0]

  def draw_again(self, keys: randomness.Keys, shape: Shape) -> method.Draws:
    """again, again_noise of `refined`, where anything is."""
    if not self.refine:
      return {}
    draw = lambda name, *lead: jax.random.normal(keys(name), (*lead, *shape))
    noise = draw("again_noise", self.refine)
    return {"again": draw("again"), "again_noise": noise}

  def refined(
    self,
    owner: model.Diffuser,
    denoise: samplers.Denoise,
    z: Array,
    draws: method.Draws,
  ) -> Array:
    """The last `refine` steps of z [b, ...] made again, by other noise."""
    if not self.refine:
      return z
    last = dataclasses.replace(self, early_stop=self.refine, eta=1.0)
    levels = last.path(owner)
    x = last.begun(levels, z, draws["again"])
    return last.decode(
      levels, denoise, x, invert.steps_first(draws["again_noise"])
    )

  def rms(self, levels: Levels, noise: Array) -> Array:
    """[b]: root of the mean square of noises [n, b, ...] that are added.

    About 1 where they are of the model that the data are of.
    """
    added = max(1, np.count_nonzero(self.tables(levels)[0].std))
    mean = (noise**2).mean(tuple(range(2, noise.ndim)))
    return jnp.sqrt(mean.sum(0) / added)
