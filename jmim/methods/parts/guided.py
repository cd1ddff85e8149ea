"""Sampling with classifier-free guidance, by any sampler of `solvers`.

    raw = null + scale (cond - null)         scale 1 where it does not act

A sample is a function of (key, its number, its condition) alone: not of the
batch it is made in, nor of the number of devices.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any
from typing import ClassVar

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.core import runtime
from jmim.diffusion import guidance as guiding
from jmim.diffusion import sampler as samplers
from jmim.diffusion import solvers
from jmim.diffusion import targets

Array = jax.Array
# (x [b, h, w, c], times [b], condition) -> raw prediction [b, h, w, ...]; or
# that and what else is of this call, of both conditions (`Output.aux`).
Network = Callable[[Array, Array, Any], Any]
# (table, network -> denoiser, state to begin with, noise) -> what is returned.
Walk = Callable[..., Any]
Output = Callable[[Array, Array, samplers.Level], targets.Output]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Guided:
  """Sampler, steps and guidance."""

  asked: ClassVar[bool] = True  # a run may be sampled otherwise

  sampler: str = field.value("ddim", "sampler", choices=solvers.NAMES)
  steps: int = field.value(50, "sampling steps", low=1)
  eta: float = field.value(0.0, "noise of ddim: 0 none, 1 DDPM's", low=0.0)
  guidance: float = field.value(
    1.0, "classifier-free guidance: 1 conditional, 0 unconditional"
  )
  guidance_channels: int = field.value(
    0, "guide the first so many channels only; 0: all", low=0
  )
  guidance_interval: tuple = field.value(
    (0.0, 1.0),
    "guide only between these network times, as shares of the greatest",
    was={
      "guidance_interval": None,
      "guidance_start": lambda start: (start, 1.0),
    },
  )
  guidance_power: float = field.value(
    0.0, "grows from 1 at noise by a cosine of this power; 0: constant", low=0.0
  )
  guidance_fall: float = field.value(
    0.0, "falls to 1 within 1 / this of the way from noise; 0: never", low=0.0
  )
  guidance_rescale: float = field.value(
    0.0, "share in which guidance keeps the std", low=0.0, high=1.0
  )
  temperature: float = field.value(
    1.0, "factor of the noise that sampling begins with", above=0.0
  )
  clip: float = field.value(
    1.0, "limit of |x0| while sampling; 0: none (latents)", low=0.0
  )
  rt: runtime.Runtime = field.runtime()

  def check(self, drop: float | None = None, key: str = "labels.drop") -> None:
    """Raises ValueError for fields that do not go together.

    Args:
      drop: share of conditions dropped in training; None: there are none.
      key: of that share.
    """
    if drop == 0 and self.guidance != 1:
      raise ValueError(
        f"sampling.guidance={self.guidance} with {key}=0: guidance is by a "
        "prediction without a condition, which was never trained"
      )
    if self.guidance_fall and self.guidance_power:
      raise ValueError(
        "sampling.guidance_fall with .guidance_power: one of both"
      )
    if len(self.guidance_interval) != 2:
      raise ValueError(
        f"sampling.guidance_interval {self.guidance_interval}: two times"
      )

  def combine(
    self, cond: Array, null: Array, time: Array, channels: int, clean: float = 0
  ) -> Array:
    """Both raw predictions [b, h, w, ...] as one.

    Args:
      cond: with the condition.
      null: without.
      time: of 0 .. 1, see `guidance_interval`.
      channels: of what is diffused; those after it are not rescaled.
      clean: the time of data, 0 or 1, from which `guidance_power` counts.
    """
    when = dict(power=self.guidance_power, fall=self.guidance_fall)
    when |= dict(between=self.guidance_interval, clean=clean)
    scale = guiding.scheduled(self.guidance, time, **when)
    raw = guiding.combine(cond, null, scale, self.guidance_channels or None)
    if not self.guidance_rescale:
      return raw
    first = [x[..., :channels] for x in (raw, cond)]
    first = guiding.rescale(*first, self.guidance_rescale)
    return jnp.concatenate([first, raw[..., channels:]], axis=-1)

  def denoiser(
    self,
    network: Network,
    output: Output,
    *,
    condition: tuple[Any, Any],
    end: float,
    channels: int,
    clean: float = 0.0,
  ) -> samplers.Denoise:
    """The network with guidance, as a sampler calls it.

    Args:
      network: both conditions go through it as one batch, or one after the
        other where they differ in size.
      output: what the sampler needs of its raw prediction.
      condition: (what is shown, the same for none), trees with the batch
        first; (None, None): nothing to guide by.
      end: the network's time at one end of the path, 0 at the other.
      channels: of what is diffused.
      clean: the network's time of data: 0 or `end`.
    """
    cond, null = condition
    options = dict(channels=channels, clean=clean / end)

    def call(x, level):
      t = jnp.full(len(x), level.time)
      if cond is None or self.guidance == 1:
        raw, aux = guiding.parted(network(x, t, cond))
      else:
        *both, aux = guiding.twice(network, x, t=t, cond=cond, null=null)
        raw = self.combine(*both, time=level.time / end, **options)
      return output(raw, x, level)._replace(aux=aux)

    return call

  def sample(
    self,
    noise: Any,
    network: Network,
    *,
    condition: tuple[Any, Any],
    shape: tuple[int, ...],
    batch: method.Batch,
    key: Array,
    of: Array | None = None,
    share: float = 1.0,
    start: Callable[[Array], Array] | None = None,
    walk: Walk | None = None,
    **options: Any,
  ) -> Any:
    """Samples [b, *shape] of what is diffused, or what a walk returns.

    Args:
      noise: the process, `parts/gaussian.py` or `parts/flow.py`: its table of
        this sampler, its network's time, and what its predictions mean.
      network: see `denoiser`.
      condition: see `denoiser`.
      shape: of one sample, channels last.
      batch: "index" [b], else 0 .. b - 1, is the number of each sample; another
        entry shows b.
      key: of all samples.
      of: data [b, *shape] to begin with, noised (SDEdit); None: pure noise.
      share: of the calls, the last of the path, that are then made.
      start: standard normal [b, *shape] -> the noise to begin with; None: as it
        is. Pure noise has the temperature as a factor.
      walk: makes the calls, with networks of its own; None: one loop.
      **options: of `noise.output`.
    """
    channels, table = shape[-1], noise.table(self, share)
    options |= dict(channels=channels, clip=self.clip)
    output = functools.partial(noise.output, **options)
    how = dict(condition=condition, channels=channels)
    how |= dict(end=noise.end, clean=noise.clean)
    make = lambda network: self.denoiser(network, output, **how)
    draw = randomness.normals(key, method.numbers(batch), shape)
    normal = lambda call: self.rt.shard(draw(call))
    # Numbers 0 .. n - 1 are the sampler's calls; n is the state it begins in.
    z = (start or (lambda z: z))(normal(len(table)))
    z = targets.begun(table.level, z, of, self.temperature)
    if walk is not None:
      return walk(table, make, z, normal)
    return samplers.sample(table, make(network), z, normal)[0]
