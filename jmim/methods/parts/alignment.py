"""Layers of a student against layers of a teacher (MaskAlign).

Letters: s student blocks, a teacher blocks, r those that are compared, b
batch, t tokens, d width of the student, e width of the teacher.

    x_a  = head_a(sum_s W_as h_s)
    y_a  = norm of the output of teacher block a
    loss = sum_a w_a mean distance(x_a - stop(y_a))
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import field
from jmim.core import runtime
from jmim.masks import tokens as masking
from jmim.nn import adapters
from jmim.nn import losses
from jmim.nn import sizes
from jmim.nn.nets import teacher as teachers

# (teacher blocks, student blocks) -> W at the start; "simple" has none.
FUSIONS = {
  "linear": lambda a, s: {"fusion": jnp.eye(a, s) + 0.01},
  "sum": lambda a, s: {"fusion": jnp.full((a, s), 1 / s)},
  "simple": lambda a, s: {},
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Alignment:
  """How layers are joined, mapped, normalised, weighted and compared."""

  fusion: str = field.value(
    "linear",
    "W: linear (as many layers), sum (any number), simple (layer by layer)",
    choices=tuple(FUSIONS),
  )
  head: str = field.value(
    "linear", "maps from student to teacher width", choices=adapters.ALIGN
  )
  layers: str = field.value(
    "top5", "weights w of the layers: top5, mid7, mean, out, linear_decay"
  )
  target: str = field.value(
    "whiten", "norm of the teacher's features", choices=tuple(losses.TARGETS)
  )
  distance: str = field.value(
    "smoothl1", "distance of the features", choices=tuple(losses.DISTANCES)
  )
  rt: runtime.Runtime = field.runtime()

  def weights(self, blocks: int) -> np.ndarray:
    """w [a] of a teacher with so many blocks; sums to 1.

    Raises:
      ValueError: it has no such layers.
    """
    return teachers.layer_weights(self.layers, blocks)

  def check(self, student: sizes.Size, teacher: sizes.Size) -> None:
    """Raises ValueError where their layers cannot be aligned."""
    self.weights(teacher.depth)
    if self.fusion != "sum" and student.depth != teacher.depth:
      raise ValueError(
        f"fusion {self.fusion!r} with {student.depth} blocks and a teacher of "
        f"{teacher.depth}: use 'sum'"
      )

  def init(
    self, key: jax.Array, student: sizes.Size, teacher: sizes.Size
  ) -> dict[str, Any]:
    """W [a, s] as `fusion`, and `heads`, one per teacher block, stacked."""
    x = jnp.zeros((1, student.width))
    head = lambda k: self._head(teacher.width).init(k, x)["params"]
    heads = jax.vmap(head)(jax.random.split(key, teacher.depth))
    w = FUSIONS[self.fusion](teacher.depth, student.depth)
    return {"heads": {"layers": heads}, **w}

  def aligned(
    self, params: Any, h: jax.Array, rows: np.ndarray, teacher: sizes.Size
  ) -> jax.Array:
    """x [r, b, t, e] float32.

    Args:
      params: has what `init` made.
      h: [s, b, t, d] outputs of the student's blocks.
      rows: [r] numbers of the teacher's blocks.
      teacher: its size.
    """
    w = params.get("fusion", jnp.eye(teacher.depth, len(h)))[rows]
    fused = jnp.einsum("rs,sbtd->rbtd", w.astype(h.dtype), h)
    apply = lambda p, x: self._head(teacher.width).apply({"params": p}, x)
    heads = jax.tree.map(lambda p: p[rows], params["heads"]["layers"])
    return jax.vmap(apply)(heads, fused).astype(jnp.float32)

  def targets(
    self, blocks: jax.Array, rows: np.ndarray, keep: jax.Array
  ) -> jax.Array:
    """y [r, b, 1 + k, e] float32, of cls and the kept patches.

    Args:
      blocks: [a, b, 1 + n, e] outputs of the teacher, cls first.
      rows: [r] numbers of its blocks.
      keep: [b, k] int32, the patches the student sees.
    """
    y = jnp.stack([losses.TARGETS[self.target](blocks[a]) for a in rows])
    ids = jnp.pad(keep + 1, ((0, 0), (1, 0)))
    return jax.vmap(masking.take, (0, None))(y, ids)

  def loss(self, x: jax.Array, y: jax.Array, w: np.ndarray) -> jax.Array:
    """Scalar, of x and y [r, b, t, e] and weights [r]."""
    cost = losses.DISTANCES[self.distance](x - y)
    return (cost.mean((1, 2, 3)) * w).sum()

  def _head(self, width: int) -> adapters.Align:
    return adapters.Align(width, self.head, self.rt)
