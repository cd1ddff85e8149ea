"""Final patch tokens against those of a teacher (Hybrid Distill).

    L = mean over tokens and channels of smoothL1(N(H(z)) - N(t))
        or the mean over tokens of 1 - cos(H(z), t)

N is a LayerNorm without parameters, on both sides: of an exact copy of the
teacher L is 0. H is linear, and there only if widths differ or `head` is set.
From memory of the paper, not verified: feature maps are distilled; the norm of
the student's side, H and both distances are our choice. Letters: b batch, k
tokens, w width of the student, d of the teacher.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import runtime
from jmim.nn import adapters
from jmim.nn import losses
from jmim.nn import norm


def _cosine(a: jax.Array, b: jax.Array) -> jax.Array:
  """1 - cos, [b, k, d] -> [b, k]."""
  return 1 - (norm.unit(a) * norm.unit(b)).sum(-1)


DISTANCES = {
  "smoothl1": lambda a, b: losses.smooth_l1(norm.whiten(a) - norm.whiten(b)),
  "cosine": lambda a, b: _cosine(norm.whiten(a), norm.whiten(b)),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class FinalFeatures:
  """How final features are mapped and compared, and how much they count."""

  weight: float = field.value(
    1.0, "weight beta of the loss; 0: no teacher is read", low=0.0
  )
  distance: str = field.value(
    "smoothl1", "distance of the features", choices=tuple(DISTANCES)
  )
  head: bool = field.value(
    False, "a linear map of the student's tokens also where widths agree"
  )
  rt: runtime.Runtime = field.runtime()

  def init(self, key: jax.Array, width: int, teacher: int) -> dict[str, Any]:
    """`head`, where there is one.

    Args:
      key: random key.
      width: w of the student.
      teacher: d.
    """
    if width == teacher and not self.head:
      return {}
    x = jnp.zeros((1, width))
    return {"head": self._head(teacher).init(key, x)["params"]}

  def loss(self, params: Any, z: jax.Array, t: jax.Array) -> jax.Array:
    """L, float32 [], at least 0.

    Args:
      params: has what `init` made.
      z: [b, k, w] tokens of the student, after its final norm.
      t: [b, k, d] tokens of the teacher of the same patches.
    """
    if "head" in params:
      z = self._head(t.shape[-1]).apply({"params": params["head"]}, z)
    return DISTANCES[self.distance](z, t).mean()

  def _head(self, width: int) -> adapters.Align:
    return adapters.Align(width, rt=self.rt)
