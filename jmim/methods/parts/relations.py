"""Relations among tokens against those of a teacher (MiniLM, Hybrid Distill).

    A   = softmax(q k^T / sqrt(d)),  R = softmax(v v^T / sqrt(d))    per head
    L   = mean over layers, examples, heads, queries of KL(teacher || student),
          summed over the kinds of relation

On the tokens that are alive in the student at that layer: rows and columns of
both sides, so that each row sums to 1 over the same tokens. From memory of the
paper, not verified: both maps and the divergence; that the last block but one
is compared by default is our choice. Letters: b batch, h heads, t tokens, n
patches, k live ones, d width of a head, w of all.
"""

import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence

import einops
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.nn import sizes
from jmim.nn.nets import teacher as teachers

# Query and key of a relation.
KINDS = {"qk": ("q", "k"), "vv": ("v", "v")}
SETS = {"qk+vv": ("qk", "vv"), "qk": ("qk",), "vv": ("vv",)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Relations:
  """Which layers and relations are compared, and how much they count."""

  weight: float = field.value(
    1.0, "weight alpha of the loss; 0: no teacher is read", low=0.0
  )
  layers: tuple = field.value(
    (-2,),
    "blocks of student and teacher, from 0, or from -1, the last, downwards",
  )
  kinds: str = field.value("qk+vv", "relations compared", choices=tuple(SETS))
  heads: int = field.value(
    0, "heads that q, k, v are cut into again; 0: as they are", low=0
  )
  cls: bool = field.value(False, "the class token is among the tokens")

  def numbers(self, depth: int) -> tuple[int, ...]:
    """The layers of a network with so many blocks, from 0."""
    return tuple(teachers.block_number(i, depth) for i in self.layers)

  def check(
    self, student: sizes.Size, teacher: sizes.Size, key: str = "relations"
  ) -> None:
    """Raises ValueError where the two cannot be compared.

    Args:
      student: its size.
      teacher: its size.
      key: of this part in the method, for messages.
    """
    if not self.layers:
      raise ValueError(f"{key}.layers: name at least one block")
    for name, size in (("student", student), ("teacher", teacher)):
      for i in self.layers:
        if not -size.depth <= i < size.depth:
          raise ValueError(f"{key}.layers: {i} of {size.depth} {name} blocks")
      if len(set(self.numbers(size.depth))) < len(self.layers):
        raise ValueError(f"{key}.layers: {self.layers} names a block twice")
      if self.heads and size.width % self.heads:
        raise ValueError(
          f"{key}.heads {self.heads} does not divide the {name}'s width, "
          f"{size.width}"
        )
    if not self.heads and student.heads != teacher.heads:
      raise ValueError(
        f"{key}.heads: the student has {student.heads}, its teacher "
        f"{teacher.heads}; give a number that divides both widths, "
        f"{student.width} and {teacher.width}"
      )

  def maps(self, tokens: Mapping[str, jax.Array], kind: str) -> jax.Array:
    """Log of the relation [b, heads, t, t] float32 of one kind.

    Args:
      tokens: q, k, v [b, h, t, d].
      kind: one of KINDS.
    """
    a, b = (self._cut(tokens[name]) for name in KINDS[kind])
    logits = jnp.einsum(
      "bhtd,bhsd->bhts",
      a * a.shape[-1] ** -0.5,
      b,
      preferred_element_type=jnp.float32,
    )
    return jax.nn.log_softmax(logits)

  def alive(
    self, tokens: Mapping[str, jax.Array], ids: jax.Array | None, prefix: int
  ) -> dict[str, jax.Array]:
    """q, k, v of the patches `ids`, with cls in front where it counts.

    Args:
      tokens: q, k, v [b, h, prefix + n, d].
      ids: [b, k] places among the patches; None: all, in their order.
      prefix: tokens before the patches.
    """

    def some(x):
      patches = x[:, :, prefix:]
      if ids is not None:
        patches = jnp.take_along_axis(patches, ids[:, None, :, None], axis=2)
      first = [x[:, :, :1]] if self.cls else []
      return jnp.concatenate([*first, patches], axis=2)

    return {name: some(tokens[name]) for name in "qkv"}

  def loss(
    self,
    student: Sequence[Mapping[str, jax.Array]],
    teacher: Mapping[str, jax.Array],
    prefix: tuple[int, int],
  ) -> jax.Array:
    """L, float32 [], at least 0.

    Args:
      student: per layer, in the order of `layers`: q, k, v [b, h, prefix + k,
        d] and ids [b, k], the patches that they are of.
      teacher: q, k, v [layers, b, h, prefix + n, d] of all patches.
      prefix: tokens before the patches, of the student and of the teacher.
    """
    total = 0.0
    for i, layer in enumerate(student):
      own = self.alive(layer, None, prefix[0])
      of_layer = {name: teacher[name][i] for name in "qkv"}
      taught = self.alive(of_layer, layer["ids"], prefix[1])
      for kind in SETS[self.kinds]:
        p, q = self.maps(taught, kind), self.maps(own, kind)
        total += (jnp.exp(p) * (p - q)).sum(-1).mean()
    return total / len(student)

  def _cut(self, x: jax.Array) -> jax.Array:
    """[b, h, t, d] -> [b, heads, t, w / heads]."""
    if not self.heads or self.heads == x.shape[1]:
      return x
    x = einops.rearrange(x, "b h t d -> b t (h d)")
    return einops.rearrange(x, "b t (h d) -> b h t d", h=self.heads)
