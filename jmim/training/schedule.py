"""Learning rate as a function of the step."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jmim.core.settings import optim as settings

Schedule = Callable[[jax.Array], jax.Array]


def make(shape: settings.Schedule, peak: float, total: float) -> Schedule:
  """Warm-up, then one of five shapes, then an optional cool-down to 0.

  With t the (fractional) step and u = t - warmup:
    warm-up:  start + (peak - start) t / warmup
    cosine:   min + (peak - min) (1 + cos(pi u / (total - warmup))) / 2  (MAE)
    linear:   min + (peak - min) (1 - u / (total - warmup))
    rsqrt:    peak sqrt(T / (T + u)), T = timescale or warmup or 1
    constant: peak
    step:     peak, times drop_factor where t >= drop  (SimMIM)
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
  warmup, cooldown = shape.warmup_steps, shape.cooldown_steps
  span = max(total - warmup, 1e-9)
  after_warmup = _after_warmup(shape, peak, span)

  def schedule(step: jax.Array) -> jax.Array:
    t = jnp.asarray(step, jnp.float32)
    value = after_warmup(t, jnp.clip(t - warmup, 0.0, span))
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
    "step": lambda t, u: jnp.where(t < drop, peak, peak * shape.drop_factor),
  }[shape.name]
