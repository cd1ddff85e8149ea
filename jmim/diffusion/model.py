"""A frozen diffusion model as functions of arrays, whatever its network is.

What is done with a model that is there (inverting, editing, protecting) is
written against this record: a run of any diffusion method makes one, and so do
a few lines around an exact posterior or a toy.
"""

import dataclasses
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jmim.diffusion import guidance
from jmim.diffusion import respace
from jmim.diffusion import sampler
from jmim.diffusion import schedule as schedules
from jmim.diffusion import targets

Array = jax.Array
Shape = tuple[int, ...]
Scale = float | Array  # of guidance: one, or [b, 1, ...]


def noise_of(
  raw: Array, x: Array, level: sampler.Level, clip: float = 0.0
) -> targets.Output:
  """`output` of a network that predicts the noise."""
  a, s = level.signal, level.noise
  return targets.output(
    "eps", raw, x=x, a=a, s=s, clip=clip, scales=level.scales
  )


def unconditional(batch: Mapping[str, Array]) -> tuple[None, None]:
  """`tell` of a model that is told nothing."""
  del batch
  return None, None


def as_it_is(images: Array, noise: Array | None = None) -> Array:
  """`encode` of a model of images."""
  del noise
  return images


@dataclasses.dataclass(frozen=True, kw_only=True)
class Diffuser:
  """Functions of a frozen diffusion model; what is diffused is called z.

  Attributes:
    shape: of z, without the batch.
    schedule: of discrete times; None: straight paths in continuous time.
    network: (x [b, ...], network times [b], told) -> raw prediction.
    image: shape of images; (): that of z.
    reads: entries of a batch that `tell` reads -> what they are.
    output: (raw, x, level, clip) -> x0 and eps.
    tell: batch -> (what the network is told, the same of nothing), trees with
      the batch first; (None, None): it is told nothing.
    encode: (images, noise [b, *shape] or None) -> z, differentiable; without
      noise the mean where it is random.
    decode: z -> images.
    random: whether `encode` uses noise.
    can: what of "encode" and "decode" it can; the other raises ValueError.
    spacing: of the times that it samples by.
    path: steps -> levels, where there is no schedule.
    guides: whether it was also trained without what it is told.
  """

  shape: Shape
  schedule: schedules.Schedule | None
  network: Callable[[Array, Array, Any], Array]
  image: Shape = ()
  reads: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  output: Callable[..., targets.Output] = noise_of
  tell: Callable[[Mapping[str, Array]], tuple[Any, Any]] = unconditional
  encode: Callable[..., Array] = as_it_is
  decode: Callable[[Array], Array] = as_it_is
  random: bool = False
  can: tuple[str, ...] = ("encode", "decode")
  spacing: str = "even"
  path: Callable[[int], schedules.Levels] | None = None
  guides: bool = True

  def __post_init__(self):
    """Images are what is diffused where nothing else is said."""
    object.__setattr__(self, "image", self.image or self.shape)

  @property
  def classes(self) -> int:
    """Of labels that it is told; 0: it is told none."""
    return self.reads["label"].high if "label" in self.reads else 0

  def require(self, *wanted: str, of: str = "") -> None:
    """Raises ValueError unless it has what is wanted.

    Args:
      *wanted: "encode", "decode", or "times": discrete ones.
      of: its name, for messages.
    """
    who = f"{of} is a model" if of else "a model"
    if "times" in wanted and self.schedule is None:
      raise ValueError(f"{who} of straight paths, without discrete times")
    for name in wanted:
      if name != "times" and name not in self.can:
        raise ValueError(f"{who} that cannot {name}")

  def check_guidance(
    self,
    scale: float | tuple[float, ...],
    key: str = "guidance",
    of: str = "a model",
    unused: float = 1.0,
  ) -> None:
    """Raises ValueError for guidance that does nothing, or by noise.

    Args:
      scale: one or several.
      key: of it, for messages.
      of: its name, for messages.
      unused: the scale that asks for nothing of a model that is told nothing.
    """
    scales = np.ravel(scale)
    if not self.reads and (scales != unused).any():
      raise ValueError(f"{key}={scale} of {of} that is told nothing")
    if self.reads and not self.guides and (scales != 1).any():
      raise ValueError(
        f"{key}={scale} of {of} that always was told something "
        "(labels.drop=0): what it predicts without was never trained"
      )

  def levels(self, steps: int, spacing: str = "") -> schedules.Levels:
    """The path of a sampler, from noise to data.

    Args:
      steps: calls of the network.
      spacing: which times are visited, see `respace`; "": as the model does.

    Raises:
      ValueError: more steps than times, or a spacing of straight paths.
    """
    if self.schedule is None:
      if spacing or self.path is None:
        raise ValueError(f"spacing {spacing!r} of a model without times")
      return self.path(steps)
    spacing = spacing or self.spacing
    visited = respace.visited(spacing, len(self.schedule), steps)
    return self.schedule.levels(visited, respace.end(spacing))

  def denoise(
    self,
    told: Any = None,
    nothing: Any = None,
    *,
    scale: Scale = 1.0,
    clip: float = 0.0,
  ) -> sampler.Denoise:
    """The network with guidance, as a sampler calls it.

    Args:
      told: by `tell`, or anything that the network takes.
      nothing: the same for nothing; both go through it as one batch.
      scale: of guidance. The numbers 1 and 0 are one pass, with and without
        what is told.
      clip: limit of |x0|; 0: none.
    """

    def call(x, level):
      t = jnp.full(len(x), level.time)
      raw = self.guided(x, t, told, nothing, scale=scale)
      return self.output(raw, x, level, clip)

    return call

  def guided(
    self,
    x: Array,
    t: Array,
    told: Any = None,
    nothing: Any = None,
    *,
    scale: Scale = 1.0,
  ) -> Array:
    """The raw prediction at network times t [b]; arguments as `denoise`."""
    number = isinstance(scale, int | float)
    if nothing is None or number and scale == 1:
      return self.network(x, t, told)
    if number and scale == 0:
      return self.network(x, t, nothing)
    cond, null, _ = guidance.twice(
      self.network, x, t=t, cond=told, null=nothing
    )
    return guidance.combine(cond, null, scale)

  def noised(self, z: Array, t: Array, noise: Array) -> Array:
    """a_t z + s_t noise at discrete times t [b]."""
    a, s = self.schedule.at(targets.expand(t, z.ndim))
    return targets.noised(z, noise, a, s)

  def eps(self, x: Array, t: Array, told: Any = None) -> Array:
    """The noise predicted in x [b, ...] at discrete times t [b]."""
    times = self.schedule.times
    inputs = t if times is None else jnp.asarray(times)[t]
    a, s = self.schedule.at(targets.expand(t, x.ndim))
    unused = jnp.zeros(())
    level = sampler.Level(
      index=unused,
      time=inputs,
      signal=a,
      noise=s,
      to_signal=a,
      to_noise=s,
      log_small=unused,
      log_large=unused,
      scales=(1 / a, s / a),
    )
    return self.output(self.network(x, inputs, told), x, level, 0.0).eps

  def told(self, batch: Mapping[str, Array], **changes: Array) -> Any:
    """What the network is told of a batch with some entries changed."""
    return self.tell({**batch, **changes})[0]
