r"""How many tokens each block of a ViT keeps, learned, and what that costs.

Letters: n patches, g granularity, l blocks that are compressed, c candidates.

    c_k = n - g k > 0                numbers of patches that may be kept
    pi  = softmax(theta)             theta [l, c] of pruning, and of merging
    K   = ceil(sum_k pi_k c_k) + 1   with cls; the ceil is straight through
    p_j = sum_k pi_k 1[j < c_k + 1]  probability that place j is kept

    F  = (n + 1) C p^2 d + sum over blocks (4 N C^2 + 2 N^2 C + 2 r N' C^2)
         + C classes
    N' = min(N, K_prune, K_merge), the N of the next block

of width C, patches of p x p x d numbers, MLPs of r C. As in DiffRate's code the
patch embedding is counted for the class token too, the gradient of the min
goes in full to both K, and none of it to N, and sums are made in this order in
float32: the blocks first. That code has r = 4 whatever the network is
(`mlp_ratio`).
"""

import dataclasses
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.nn import compress
from jmim.nn import sizes

KINDS = ("prune", "merge")


class Counts(NamedTuple):
  """Of every block, also of those that keep all.

  Attributes:
    prune: [blocks] float32, tokens kept after pruning.
    merge: [blocks] float32, tokens kept after merging.
    prune_survival: [blocks, 1 + n] probability of each place.
    merge_survival: the same of merging.
  """

  prune: jax.Array
  merge: jax.Array
  prune_survival: jax.Array
  merge_survival: jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokenCounts:
  """Which counts are learned, and what the network may cost."""

  granularity: int = field.value(
    4, "patches between two candidate counts", low=1
  )
  untouched: tuple = field.value(
    (0,), "blocks that keep all tokens; -1 is the last"
  )
  target: float = field.value(2.9, "FLOPs wanted, in flops_unit", above=0.0)
  flops_unit: float = field.value(1e9, "FLOPs that are 1 in the loss", above=0)
  weight: float = field.value(
    5.0, "factor of the squared distance to the target", low=0.0
  )
  free_steps: int = field.value(0, "first steps without that term", low=0)
  mlp_ratio: float = field.value(
    0.0,
    "MLP hidden / width that FLOPs are counted with; 0: the network's "
    "(the authors: 4)",
    low=0.0,
  )

  def check(self, patches: int, blocks: int) -> None:
    """Raises ValueError where nothing can be learned."""
    for i in self.untouched:
      if not isinstance(i, int) or not -blocks <= i < blocks:
        raise ValueError(
          f"counts.untouched {i!r}: the blocks are 0 .. {blocks - 1}"
        )
    if not self.compressed(blocks):
      raise ValueError(f"counts.untouched {self.untouched}: no block is left")
    if self.granularity >= patches:
      raise ValueError(
        f"counts.granularity {self.granularity} of {patches} patches: one "
        "candidate is no choice"
      )

  def compressed(self, blocks: int) -> Sequence[int]:
    """Numbers of the blocks that have theta, in order."""
    kept = {i % blocks for i in self.untouched}
    return [i for i in range(blocks) if i not in kept]

  def candidates(self, patches: int) -> jax.Array:
    """[c] float32: n, n - g, ..., above 0."""
    return jnp.arange(patches, 0, -self.granularity, dtype=jnp.float32)

  def init(self, patches: int, blocks: int) -> dict[str, jax.Array]:
    """theta of both kinds, [l, c] zeros: all candidates equally likely."""
    shape = len(self.compressed(blocks)), len(self.candidates(patches))
    return {kind: jnp.zeros(shape) for kind in KINDS}

  def of(self, theta: Any, patches: int, blocks: int) -> Counts:
    """The counts of all blocks, differentiable in theta."""
    c, rows = self.candidates(patches), jnp.asarray(self.compressed(blocks))
    place = jnp.arange(1 + patches)
    kept, survival = {}, {}
    for kind in KINDS:
      pi = jax.nn.softmax(theta[kind].astype(jnp.float32))
      mean = (pi * c).sum(-1)
      number = compress.straight_through(jnp.ceil(mean), mean) + 1
      kept[kind] = jnp.full(blocks, 1.0 + patches).at[rows].set(number)
      p = pi @ (place < c[:, None] + 1).astype(jnp.float32)
      survival[kind] = jnp.ones((blocks, 1 + patches)).at[rows].set(p)
    return Counts(
      prune=kept["prune"],
      merge=kept["merge"],
      prune_survival=survival["prune"],
      merge_survival=survival["merge"],
    )

  def counted(self, size: sizes.Size) -> sizes.Size:
    """The size of a network as its FLOPs are counted."""
    ratio = self.mlp_ratio or size.mlp_ratio
    return dataclasses.replace(size, mlp_ratio=ratio)

  def penalty(self, cost: jax.Array, step: jax.Array) -> jax.Array:
    """weight (cost / flops_unit - target)^2, once it counts; a scalar."""
    weight = jnp.where(step < self.free_steps, 0.0, self.weight)
    return weight * (cost / self.flops_unit - self.target) ** 2


def _least(tokens, prune, merge):
  """min of the three with the gradient of prune + merge."""
  hard = jnp.minimum(jnp.minimum(tokens, prune), merge)
  return compress.straight_through(hard, prune + merge)


def flops(
  kept: tuple[Any, Any],
  size: sizes.Size,
  *,
  patch: int,
  patches: int,
  classes: int,
) -> jax.Array:
  """Multiply-adds of a classifier whose blocks keep so many tokens; float32.

  Args:
    kept: tokens after pruning and after merging, both [blocks].
    size: of the transformer.
    patch: side [pixels] of a patch of 3 channels.
    patches: n.
    classes: of the head.
  """
  tokens, w = jnp.float32(1 + patches), float(size.width)
  prune, merge = (jnp.asarray(k, jnp.float32) for k in kept)
  embedding, total = tokens * w * (patch**2 * 3), jnp.float32(0)
  for i in range(size.depth):
    total += 4 * tokens * w * w + 2 * tokens * tokens * w
    tokens = _least(tokens, prune[i], merge[i])
    total += 2 * size.mlp_ratio * tokens * w * w
  return total + embedding + w * classes
