"""What is made of codes and images by a model that refines decoded codes.

    c = D(z);  u_T = tau n;  n ~ N(0, I);  u_T -> ... -> u_0, the image

A code, a noise and the step noise belong to a number (`index`): each of them
can be shared or moved while the others stay.
"""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jmim.core import method
from jmim.core import randomness
from jmim.methods.parts import coarse as coarse_parts
from jmim.methods.parts import code_prior
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided

Array = jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class Refiner:
  """The ways to sample of a method.

  Attributes:
    coarse: its VAE.
    prior: of its codes.
    noise: its process.
    sampling: its sampler; tau is its temperature.
    network: (params, u, t, shown) -> predicted noise.
    shape: [h, w, c] of an image.
    points: images from one end of `interpolate` to the other.
  """

  coarse: coarse_parts.Coarse
  prior: code_prior.Prior
  noise: gaussian.Gaussian
  sampling: guided.Guided
  network: Callable[..., Array]
  shape: tuple[int, int, int]
  points: int = 8

  def outputs(self) -> dict[str, method.Predict]:
    """sample, condition, restore, vary, interpolate."""
    names = ("sample", "condition", "restore", "vary", "interpolate")
    return {name: getattr(self, name) for name in names}

  def refine(
    self,
    weights: method.Weights,
    code: Array,
    *,
    index: Array,
    key: Array,
    of: Array | None = None,
    start: Callable[[Array], Array] | None = None,
  ) -> Array:
    """Images [b, h, w, c] around codes [b, Z].

    Args:
      weights: of the method.
      code: what is decoded and refined.
      index: [b] numbers of the noises: equal numbers share all of theirs.
      key: of all noises.
      of: image to begin with, noised; None: pure noise.
      start: standard normal [b, h, w, c] -> the noise to begin with; None: as
        it is.
    """
    return self.sampling.sample(
      self.noise,
      functools.partial(self.network, weights.params),
      condition=self.coarse.guiding(weights, code),
      shape=self.shape,
      batch={"index": index},
      key=key,
      of=of,
      start=start,
      reproject=False,
    )

  def codes(
    self, weights: method.Weights, batch: method.Batch, key: Array
  ) -> tuple[Array, Array]:
    """(codes [b, Z] of the batch or of the prior, their numbers [b])."""
    index = method.numbers(batch)
    if "code" in batch:
      return batch["code"], index
    width = self.coarse.width
    return self.prior.codes(weights, index, key=key, width=width), index

  def sample(
    self, weights: method.Weights, batch: method.Batch, key: Array
  ) -> Array:
    """Images of codes of the prior, or of the batch's entry "code"."""
    k_code, k_noise = jax.random.split(key)
    code, index = self.codes(weights, batch, k_code)
    return self.refine(weights, code, index=index, key=k_noise)

  def condition(
    self, weights: method.Weights, batch: method.Batch, key: Array
  ) -> Array:
    """c [b, h, w, c] of the codes that `sample` refines."""
    k_code, _ = jax.random.split(key)
    return self.coarse.decode(weights, self.codes(weights, batch, k_code)[0])

  def vary(
    self, weights: method.Weights, batch: method.Batch, key: Array
  ) -> Array:
    """`sample` with the noise of number 0 for all: only codes differ."""
    k_code, k_noise = jax.random.split(key)
    code, index = self.codes(weights, batch, k_code)
    return self.refine(weights, code, index=0 * index, key=k_noise)

  def restore(
    self, weights: method.Weights, batch: method.Batch, key: Array
  ) -> dict[str, Array]:
    """image [b, h, w, c]: sampling from the noised image, with its code."""
    x, (k_code, k_noise) = batch["image"], jax.random.split(key)
    normal = lambda k: jax.random.normal(k, (1, 1, self.coarse.width))
    noise = jax.vmap(normal)(randomness.numbered(k_code, method.numbers(batch)))
    image = self.refine(
      weights,
      self.coarse.encode(weights, x, noise),
      index=method.numbers(batch),
      key=k_noise,
      of=x,
    )
    return {"image": image}

  def interpolate(
    self, weights: method.Weights, batch: method.Batch, key: Array
  ) -> dict[str, Array]:
    """Between two samples, at the shares [b] of the batch, else 0 .. 1 of them.

    Example i stands at the share (i mod points) / (points - 1), whatever the
    batch it is in.

    code: on the line from the code of number 0 to that of number 1, with the
    noise of number 0; noise: on the circle from the first noise of number 0 to
    another, with the code of number 0.
    """
    k_code, k_noise = jax.random.split(key)
    numbers = method.numbers(batch)
    steps = numbers % self.points / (self.points - 1)
    share = batch.get("share", steps)
    ends, _ = self.codes(weights, {"index": jnp.arange(2)}, k_code)
    line = ends[0] + share[:, None] * (ends[1] - ends[0])
    # Of all numbers only 0 draws noise here: this key is nobody else's.
    other = jax.random.normal(
      randomness.numbered(k_noise, jnp.arange(2))[1], self.shape
    )
    angle = (jnp.pi / 2 * share)[:, None, None, None]
    circle = lambda n: jnp.cos(angle) * n + jnp.sin(angle) * other
    refine = functools.partial(
      self.refine, weights, index=0 * numbers, key=k_noise
    )
    first = jnp.broadcast_to(ends[0], line.shape)
    return {"code": refine(line), "noise": refine(first, start=circle)}
