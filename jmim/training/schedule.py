"""Learning rate as a function of the step."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core.settings import optim as settings

Schedule = Callable[[jax.Array], jax.Array]


def make(shape: settings.Schedule, peak: float, total: float) -> Schedule:
  """Warm-up, then one of six shapes, then an optional cool-down to 0.

  With t the (fractional) step, rounded down to a multiple of `stair` where
  there is one, and u = t - warmup - hold, at least 0:
    warm-up:  start + (peak - start) t / warmup
    cosine:   min + (peak - min) (1 + cos(pi u / n)) / 2  (MAE)
    linear:   min + (peak - min) (1 - u / n)      n = total - warmup - hold
    rsqrt:    peak sqrt(T / (T + u)), T = timescale or warmup or 1
    constant: peak
    step:     peak, times drop_factor where t >= drop  (SimMIM), and again
              where t >= drop m, m in drop_again
    cycles:   half cosines in a row, each from peak to a floor of its own,
              floor + (peak - floor) (1 + cos(pi v / n_k)) / 2, whose lengths
              n_k are as `cycles` and fill n; v from its start  (Restormer)
  During the last `cooldown` steps the value is multiplied by a line from 1
  to 0.

  Args:
    shape: its durations in steps, which may be fractional (`units.resolve`);
      those in other units are not read.
    peak: learning rate after the warm-up.
    total: length of the run in steps.

  Returns:
    step -> float32 learning rate.
  """
  if shape.warmup_share:
    shape = dataclasses.replace(shape, warmup_steps=shape.warmup_share * total)
  warmup, cooldown = shape.warmup_steps, shape.cooldown_steps
  start, stair = warmup + shape.hold_steps, shape.stair_steps
  span = max(total - start, 1e-9)
  after_warmup = _after_warmup(shape, peak, span)
  # Of a fractional stair, multiples are rounded to either side; of a long one
  # this must stay less than a step.
  near = min(1e-4, 0.25 / max(stair, 1.0))

  def schedule(step: jax.Array) -> jax.Array:
    t = jnp.asarray(step, jnp.float32)
    if stair:
      t = stair * jnp.floor(t / stair + near)
    value = after_warmup(t, jnp.clip(t - start, 0.0, span))
    if warmup:
      rise = shape.start_lr + (peak - shape.start_lr) * t / warmup
      value = jnp.where(t < warmup, rise, value)
    if cooldown:
      value = value * jnp.clip((total - t) / cooldown, 0.0, 1.0)
    return value

  return schedule


def _after_warmup(
  shape: settings.Schedule, peak: float, span: float
) -> Callable[[jax.Array, jax.Array], jax.Array]:
  """(t, u) -> learning rate; u in 0 ... span."""
  low, drop = shape.min_lr, shape.drop_steps
  timescale = shape.timescale_steps or shape.warmup_steps or 1.0
  half_cosine = lambda u: 0.5 * (1 + jnp.cos(jnp.pi * u / span))
  return {
    "cosine": lambda t, u: low + (peak - low) * half_cosine(u),
    "linear": lambda t, u: low + (peak - low) * (1 - u / span),
    "rsqrt": lambda t, u: peak * jnp.sqrt(timescale / (timescale + u)),
    "constant": lambda t, u: jnp.full_like(t, peak),
    "step": lambda t, u: (
      peak
      * shape.drop_factor
      ** sum(
        jnp.where(t < drop * times, 0, 1) for times in (1.0, *shape.drop_again)
      )
    ),
    "cycles": lambda t, u: _cycles(shape, peak, u / span),
  }[shape.name]


def _cycles(
  shape: settings.Schedule, peak: float, share: jax.Array
) -> jax.Array:
  """Learning rate at a share of the cycles, 0 ... 1."""
  ends = np.cumsum(shape.cycles) / np.sum(shape.cycles)
  value = jnp.full_like(share, peak)
  for start, end, low in zip(
    (0.0, *ends[:-1]), ends, shape.floors, strict=True
  ):
    done = jnp.clip((share - start) / (end - start), 0.0, 1.0)
    own = low + (peak - low) * 0.5 * (1 + jnp.cos(jnp.pi * done))
    value = jnp.where(share >= start, own, value)
  return value
