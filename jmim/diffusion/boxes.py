"""Noise seen at several resolutions, as sums over squares (DiMR).

Letters: r side of an image over that of a prediction, which is of the sums of
its noise over squares of r x r, divided by r.
"""

from collections.abc import Sequence

import einops
import jax

from jmim.diffusion import variance


def boxed(x: jax.Array, ratio: int) -> jax.Array:
  """[b, r h, r w, c] -> [b, h, w, c]: sums over squares of side r, over r.

  Independent numbers of variance 1 make numbers of variance 1.
  """
  sums = einops.reduce(x, "b (h p) (w q) c -> b h w c", "sum", p=ratio, q=ratio)
  return sums / ratio


def errors(preds: Sequence[jax.Array], noise: jax.Array) -> list[jax.Array]:
  """Mean squared error [b] of each prediction.

  Args:
    preds: [b, h, w, c] each, of sides that divide those of the noise.
    noise: [b, r h, r w, c].
  """
  targets = [boxed(noise, noise.shape[1] // e.shape[1]) for e in preds]
  return [
    variance.per_row((e - target) ** 2)
    for e, target in zip(preds, targets, strict=True)
  ]


def means(
  preds: Sequence[jax.Array], x: jax.Array, a: jax.Array, s: jax.Array
) -> list[jax.Array]:
  """Means [b, h, w, c] of the data over squares, by each prediction.

  Args:
    preds: [b, h, w, c] each.
    x: a data + s noise, [b, r h, r w, c].
    a: signal, [b, 1, 1, 1].
    s: deviation of the noise, like it.
  """
  ratios = [x.shape[1] // e.shape[1] for e in preds]
  return [
    (boxed(x, r) - s * e) / (a * r) for r, e in zip(ratios, preds, strict=True)
  ]
