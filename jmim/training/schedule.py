"""Learning rate as a function of the step."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

Schedule = Callable[[jax.Array], jax.Array]


def make(
  name: str,
  peak: float,
  total: float,
  warmup: float = 0.0,
  cooldown: float = 0.0,
  min_lr: float = 0.0,
  timescale: float = 0.0,
  start_lr: float = 0.0,
  drop: float = 0.0,
  drop_factor: float = 0.1,
) -> Schedule:
  """Warm-up, then one of five shapes, then an optional cool-down to 0.

  With t the (fractional) step and u = t - warmup:
    warm-up: start + (peak - start) t / warmup
    cosine:  min + (peak - min) (1 + cos(pi u / (total - warmup))) / 2  (MAE)
    linear:  min + (peak - min) (1 - u / (total - warmup))
    rsqrt:   peak sqrt(T / (T + u))
    constant: peak
    step:     peak, times drop_factor where t >= drop  (SimMIM)
  During the last `cooldown` steps the value is multiplied by a line from 1
  to 0.

  Args:
    name: "cosine" | "linear" | "constant" | "rsqrt" | "step".
    peak: learning rate after the warm-up.
    total: length of the run in steps.
    warmup: in steps, may be fractional.
    cooldown: in steps.
    min_lr: end of cosine and linear.
    timescale: T of rsqrt in steps; 0: `warmup`, or 1 without one.
    start_lr: learning rate at step 0 of the warm-up.
    drop: when "step" drops, in steps from the start of the run.
    drop_factor: to which share of the peak.

  Returns:
    step -> float32 learning rate.
  """
  scale = timescale or warmup or 1.0
  span = max(total - warmup, 1e-9)

  def schedule(step):
    t = jnp.asarray(step, jnp.float32)
    u = jnp.clip(t - warmup, 0.0, span)
    done = u / span
    value = {
      "cosine": min_lr + (peak - min_lr) * 0.5 * (1 + jnp.cos(jnp.pi * done)),
      "linear": min_lr + (peak - min_lr) * (1 - done),
      "rsqrt": peak * jnp.sqrt(scale / (scale + u)),
      "constant": jnp.full_like(t, peak),
      "step": jnp.where(t < drop, peak, peak * drop_factor),
    }[name]
    if warmup:
      rise = start_lr + (peak - start_lr) * t / warmup
      value = jnp.where(t < warmup, rise, value)
    if cooldown:
      value = value * jnp.clip((total - t) / cooldown, 0.0, 1.0)
    return value

  return schedule
