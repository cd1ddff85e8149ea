"""Classifier-free guidance and inpainting by replacement."""

import jax
import jax.numpy as jnp

from jmim.diffusion import sampler


def combine(
  cond: jax.Array,
  null: jax.Array,
  scale: jax.Array | float,
  channels: int | None = None,
  rest: jax.Array | None = None,
) -> jax.Array:
  """null + scale (cond - null): scale 1 is conditional, 0 unconditional.

  Args:
    cond: [..., c] conditional prediction.
    null: [..., c] unconditional prediction.
    scale: guidance, a number or broadcasting to [..., c].
    channels: guide the first so many channels only (DiT: 3 of 4); None: all.
    rest: the others come from here; None: `cond`.
  """
  guided = null + scale * (cond - null)
  if channels is None:
    return guided
  rest = cond if rest is None else rest
  return jnp.concatenate([guided[..., :channels], rest[..., channels:]], -1)


def interval(
  scale: jax.Array | float, time: jax.Array, low: float, high: float
) -> jax.Array:
  """`scale` where low <= time <= high, else 1 (Kynkaanniemi et al. 2024)."""
  return jnp.where((time >= low) & (time <= high), scale, 1.0)


def power_cosine(scale: float, time: jax.Array, power: float) -> jax.Array:
  """1 + (scale - 1) (1 - cos(pi (1 - time)^power)) / 2: 1 at noise.

  (MDTv2 by Gao et al. 2023; DiMR.) It grows to `scale` at data, the later the
  greater the power.

  Args:
    scale: of data.
    time: 0 .. 1, 0 is data.
    power: above 0.
  """
  grown = (1 - jnp.cos(jnp.pi * (1 - time) ** power)) / 2
  return 1 + (scale - 1) * grown


def falling(scale: float, time: jax.Array, rate: float) -> jax.Array:
  """max(scale - rate time (scale - 1), 1) (Step-Video Turbo, rate 9).

  Args:
    scale: at time 0.
    time: 0 .. 1; from 1 / rate on nothing is guided.
    rate: above 0.
  """
  return jnp.maximum(scale - rate * time * (scale - 1), 1.0)


def rescale(
  guided: jax.Array, cond: jax.Array, share: float = 0.7
) -> jax.Array:
  """Gives `guided` the deviation of `cond`, per example (Lin et al. 2024).

  Args:
    guided: [b, ...].
    cond: [b, ...].
    share: 0 leaves `guided`, 1 rescales fully.
  """
  axes = tuple(range(1, guided.ndim))
  ratio = cond.std(axes, keepdims=True) / guided.std(axes, keepdims=True)
  return guided * (share * ratio + 1 - share)


def inpaint(
  known: jax.Array, mask: jax.Array, eps: jax.Array
) -> sampler.Callback:
  """A callback that puts the known region back after every step.

  Where mask is 1 the state becomes the known data noised to the level just
  reached (RePaint without resampling, LDM): at the end, the data itself.

  Args:
    known: clean data, the shape of the state.
    mask: 1 = known, broadcasts to the state.
    eps: noise of the known region, the shape of the state; zeros keep it
      clean all the way.
  """

  def callback(level, x, out):
    del out
    there = level.to_signal * known + level.to_noise * eps
    return mask * there + (1 - mask) * x, None

  return callback
