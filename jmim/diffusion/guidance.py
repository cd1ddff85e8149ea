"""Classifier-free guidance and inpainting by replacement."""

from collections.abc import Callable
from typing import Any

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


def parted(made: Any) -> tuple[jax.Array, Any]:
  """What a network gives: (raw prediction, what else of a call, or None)."""
  return made if isinstance(made, tuple) else (made, None)


def twice(
  network: Callable[..., Any],
  x: jax.Array,
  t: jax.Array,
  cond: Any,
  null: Any,
) -> tuple[jax.Array, jax.Array, Any]:
  """Raw predictions [b, ...] with a condition and without.

  By one call, or by two where the conditions differ in size.

  Args:
    network: (x, t, condition) -> raw, or (raw, what else is of the call).
    x: [b, ...].
    t: [b].
    cond: tree of arrays, batch first.
    null: the same of nothing.

  Returns:
    both, and what else there is, of a batch of 2 b, with the condition first
    (of two calls: a pair); None if there is nothing.
  """
  if jax.tree.map(jnp.shape, cond) != jax.tree.map(jnp.shape, null):
    calls = [parted(network(x, t, told)) for told in (cond, null)]
    raws, others = zip(*calls, strict=True)
    return (*raws, None if others[0] is None else others)
  both = lambda a, b: jnp.concatenate([a, b])
  made = network(both(x, x), both(t, t), jax.tree.map(both, cond, null))
  raw, more = parted(made)
  return (*jnp.split(raw, 2), more)


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


def falling(
  scale: jax.Array | float, time: jax.Array, rate: float
) -> jax.Array:
  """max(scale - rate time (scale - 1), 1) (Step-Video Turbo, rate 9).

  Args:
    scale: at time 0.
    time: 0 .. 1, 0 is noise; from 1 / rate on nothing is guided.
    rate: above 0.
  """
  return jnp.maximum(scale - rate * time * (scale - 1), 1.0)


def scheduled(
  scale: float,
  time: jax.Array,
  power: float,
  fall: float,
  between: tuple[float, float],
  clean: float,
) -> jax.Array | float:
  """`power_cosine` and `falling`, if asked for; `interval`, if not everywhere.

  Args:
    scale: the greatest.
    time: 0 .. 1, the network's, as a share.
    power: of `power_cosine`; 0: constant.
    fall: rate of `falling`; 0: constant.
    between: times.
    clean: the time of data, 0 or 1.
  """
  grown: jax.Array | float = scale
  if power:
    grown = power_cosine(scale, jnp.abs(time - clean), power)
  if fall:
    grown = falling(grown, 1 - jnp.abs(time - clean), fall)
  if tuple(between) == (0.0, 1.0):  # also where time is no share (EDM)
    return grown
  low, high = between
  return interval(grown, time, low=low, high=high)


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
