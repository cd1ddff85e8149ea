"""Losses of an image as light times reflectance plus noise, and their weights.

Zheng et al. 2023 (CUE). I is the dark image with L, R, N; T the true one with
L_t, R_t; L' and R' are the light and reflectance that the output L' R' is made
of; |.| is a mean of absolute, |.|^2 of squared differences:

    low           |L R + N - I|              truth        |L_t R_t - T|
    reflectance   |R - R_t|                  restored     |R' - R_t|
    image         |L' R' - T|                light        |L' - L_t|^2
    slopes        sum_axes |(d L')^2 - (d L_t)^2|^2
    input         sum_axes mean u(d L) / max(u(d grey I), 0.01), of T too
    mutual        sum_axes mean s exp(-10 s), s = u(d L) + u(d L_t); of L' too

d are differences of neighbours along an axis, and u scales them to 0 .. 1 over
the whole batch: twice the batch is not the mean of two losses.
"""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from jmim.core import field

Array = jax.Array
GREY = (0.2989, 0.587, 0.114)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Losses:
  """The weight of each; 0: it is not computed."""

  low: float = field.value(1.0, "weight of |L R + N - I|", low=0.0)
  truth: float = field.value(1.0, "weight of |L_t R_t - T|", low=0.0)
  reflectance: float = field.value(0.009, "weight of |R - R_t|", low=0.0)
  input: float = field.value(
    0.001, "weight of slopes of light where the image has none", low=0.0
  )
  mutual: float = field.value(
    0.2, "weight of slopes that only one of two lights has", low=0.0
  )
  image: float = field.value(1.0, "weight of |L' R' - T|", low=0.0)
  light: float = field.value(1.0, "weight of |L' - L_t|^2", low=0.0)
  slopes: float = field.value(
    5.0, "weight of differences of squared slopes of L' and L_t", low=0.0
  )
  restored: float = field.value(1.0, "weight of |R' - R_t|", low=0.0)
  prior: float = field.value(
    0.001, "weight of features of the masked prior", low=0.0
  )

  def terms(
    self,
    low: Array,
    truth: Array,
    *,
    seen: Mapping[str, Array],
    true: Mapping[str, Array],
  ) -> dict[str, Array]:
    """Name -> weighted scalar, all but that of the prior.

    Args:
      low: I [b, h, w, c].
      truth: T [b, h, w, c].
      seen: of I: light, reflectance, noise, enhanced (L'), restored (R'),
        image (L' R'); see `nn.nets.retinex`.
      true: of T: light, reflectance.
    """
    light, true_light = seen["light"], true["light"]
    reflected, enhanced = true["reflectance"], seen["enhanced"]
    low_made = light * seen["reflectance"] + seen["noise"]
    every = {
      "low": (self.low, lambda: l1(low_made, low)),
      "truth": (self.truth, lambda: l1(true_light * reflected, truth)),
      "reflectance": (
        self.reflectance,
        lambda: l1(seen["reflectance"], reflected),
      ),
      "input_low": (self.input, lambda: beyond_input(light, low)),
      "input_truth": (self.input, lambda: beyond_input(true_light, truth)),
      "mutual": (self.mutual, lambda: apart(light, true_light)),
      "mutual_enhanced": (self.mutual, lambda: apart(enhanced, true_light)),
      "image": (self.image, lambda: l1(seen["image"], truth)),
      "light": (self.light, lambda: ((enhanced - true_light) ** 2).mean()),
      "slopes": (self.slopes, lambda: squared_slopes(enhanced, true_light)),
      "restored": (self.restored, lambda: l1(seen["restored"], reflected)),
    }
    return {
      name: weight * loss() for name, (weight, loss) in every.items() if weight
    }


def l1(a: Array, b: Array) -> Array:
  """Mean |a - b|."""
  return jnp.abs(a - b).mean()


def differences(x: Array) -> tuple[Array, Array]:
  """Of neighbours of [b, h, w, c]: [b, h - 1, w, c] and [b, h, w - 1, c]."""
  return x[:, 1:] - x[:, :-1], x[:, :, 1:] - x[:, :, :-1]


def unit(x: Array) -> Array:
  """From 0 to 1 over the whole array, any shape."""
  low, high = x.min(), x.max()
  return (x - low) / (high - low + 1e-8)


def beyond_input(light: Array, image: Array) -> Array:
  """Slopes of light [b, h, w, 1] beside those of an image [b, h, w, 3]."""
  grey = (image * jnp.asarray(GREY)).sum(-1, keepdims=True)
  pairs = zip(differences(light), differences(grey), strict=True)
  return sum(
    jnp.abs(unit(a) / jnp.maximum(unit(b), 0.01)).mean() for a, b in pairs
  )


def apart(a: Array, b: Array) -> Array:
  """Slopes that only one of two lights [b, h, w, 1] has."""
  sums = (
    unit(x) + unit(y)
    for x, y in zip(differences(a), differences(b), strict=True)
  )
  return sum((s * jnp.exp(-10 * s)).mean() for s in sums)


def squared_slopes(a: Array, b: Array) -> Array:
  """Squared differences of squared slopes of two lights [b, h, w, 1]."""
  pairs = zip(differences(a), differences(b), strict=True)
  return sum(((x**2 - y**2) ** 2).mean() for x, y in pairs)
