"""CosFace: a prototype per class, and a margin that the right one has to beat.

    cos_ic = <f_i, v_c> / max(|f_i| |v_c|, 1e-8)
    l_ic   = s (cos_ic - m [c = y_i])
    loss   = mean_i -log softmax(l_i)_(y_i)

Wang, Wang, Zhou, Ji, Gong, Zhou, Li, Liu, CVPR 2018 (arXiv 1801.09414). Where
there are many classes, each device holds the prototypes of some of them and
compares all examples with these: what travels are features and sums over
classes, never prototypes or logits.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import runtime

CLASSES = "fsdp"  # mesh axis over which classes are split
_LEAST = 1e-8  # of a product of lengths


def _lengths(x: jax.Array) -> jax.Array:
  """[n] of rows [n, d]; the gradient at 0 is 0, not nan."""
  return jnp.sqrt(jnp.maximum((x**2).sum(-1), 1e-30))


@dataclasses.dataclass(frozen=True, kw_only=True)
class CosFace:
  """Class prototypes that features are compared with."""

  classes: int = field.value(100_000, "number of classes", low=2)
  scale: float = field.value(64.0, "s, factor of the cosines", above=0.0)
  margin: float = field.value(
    0.35, "m, by which the right class has to be nearer", low=0.0, high=2.0
  )
  rt: runtime.Runtime = field.runtime()

  def init(self, key: jax.Array, width: int) -> jax.Array:
    """Prototypes [classes, width], Xavier uniform."""
    shape = (self.classes, width)
    return jax.nn.initializers.xavier_uniform()(key, shape)

  def axes(self, pattern: str) -> tuple[str, tuple[str | None, ...]]:
    """The rule that splits prototypes whose name a regex matches by class."""
    return pattern, (CLASSES, None)

  def cosines(self, prototypes: jax.Array, f: jax.Array) -> jax.Array:
    """[n, classes] float32, of features [n, width]."""
    rows = tuple(a for a in self.rt.batch_axes if a != CLASSES)
    f = self.rt.constrain(f.astype(jnp.float32), rows)
    v = self.rt.constrain(prototypes, CLASSES)
    # Exact products: bfloat16, times s, would be coarser than what is learnt.
    dots = jnp.einsum("nd,cd->nc", f, v, precision="highest")
    lengths = _lengths(f)[:, None] * _lengths(v)
    found = dots / jnp.maximum(lengths, _LEAST)
    return self.rt.constrain(found, rows, CLASSES)

  def logits(self, cosines: jax.Array, y: jax.Array) -> jax.Array:
    """[n, classes] with the margin at the classes y [n]."""
    return self.scale * (cosines - self.margin * self._own(cosines, y))

  def cost(self, cosines: jax.Array, y: jax.Array) -> jax.Array:
    """[n] cross entropy of each."""
    logits = self.logits(cosines, y)
    # A sum, not an index: every device has some of the classes.
    right = (self._own(cosines, y) * logits).sum(-1)
    return jax.nn.logsumexp(logits, axis=-1) - right

  def _own(self, cosines: jax.Array, y: jax.Array) -> jax.Array:
    """[n, classes] float32: 1 at y, else 0."""
    return jax.nn.one_hot(y, cosines.shape[1])
