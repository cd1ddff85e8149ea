"""Where scale factors sit in a transformer, and from which block to which.

    place       y = gamma (x W + b) of
    attention   the attention of a block, gamma_1 of the paper
    mlp         its MLP, gamma_2
    qkv         queries, keys and values
    out         the last map of the attention, before gamma_1
    patch       the patch embedding
    time        the embedding of time
    final       the last layer

Names of parameters are those of `nn.nets.dit.DiT`. All begin at 1. Blocks with
a context (`nn.context_block`) have scales of their own, BLOCK.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import tree as trees
from jmim.nn import scaled

# place -> the linear map whose output is scaled. Two may share one.
MAPS = {
  "attention": "blocks/layers/attn/proj",
  "mlp": "blocks/layers/mlp/fc2",
  "qkv": "blocks/layers/attn/qkv",
  "out": "blocks/layers/attn/proj",
  "patch": "patch_embed",
  "time": "time_embed/fc2",
  "final": "pred",
}

# The same of the scales of a block with a context.
BLOCK = {
  "gamma_attn1": "self/proj",
  "gamma_attn2": "cross/proj",
  "gamma_ff": "fc2",
} | {
  f"{name}/gamma_{x}": f"{name}/{layer}"
  for name in ("self", "cross")
  for x, layer in {"q": "q", "k": "k", "v": "v", "fnn": "proj"}.items()
}


def fold_block(tree: Any) -> dict[str, Any]:
  """Parameters of a block with a context, its scales merged into its maps.

  Args:
    tree: of a `context_block.Block` with any scales and no suffix.

  Returns:
    those of the same block without scales.
  """
  leaves, gammas = trees.named(tree), {}
  for scale, layer in BLOCK.items():
    if (gamma := leaves.pop(scale, None)) is not None:
      name = f"{layer}/{scaled.NAME}"
      gammas[name] = gammas.get(name, 1.0) * gamma
  return scaled.folded(trees.nested(leaves | gammas))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scales:
  """Which outputs have a scale, a vector or a single number each."""

  attention: bool = field.value(True, "scale on the attention of a block")
  mlp: bool = field.value(True, "scale on the MLP of a block")
  qkv: bool = field.value(False, "scale on queries, keys and values")
  out: bool = field.value(
    False, "scale on the last map of the attention, one more"
  )
  patch: bool = field.value(False, "scale on the patch embedding")
  time: bool = field.value(False, "scale on the embedding of time")
  final: bool = field.value(False, "scale on the last layer")
  first: int = field.value(0, "first block with scales", low=0)
  stop: int = field.value(
    0, "block before which scales end; 0: after the last", low=0
  )
  scalar: bool = field.value(False, "one number in place of a vector")

  @property
  def places(self) -> tuple[str, ...]:
    """Those that are scaled."""
    return tuple(name for name in MAPS if getattr(self, name))

  def blocks(self, depth: int) -> slice:
    """Those with scales, of so many."""
    return slice(self.first, self.stop or depth)

  def check(self, depth: int, key: str = "scales") -> None:
    """Raises ValueError for blocks that a network of this depth has not."""
    blocks = self.blocks(depth)
    if not blocks.start < blocks.stop <= depth:
      raise ValueError(
        f"{key}.first {self.first} to {key}.stop {self.stop} of {depth} blocks"
      )

  def init(self, host: Any) -> dict[str, jax.Array]:
    """place -> ones [d], or [blocks, d] of a place in blocks; d = 1 if scalar.

    Args:
      host: its parameters, or their shapes.
    """
    leaves = trees.named(host)
    return {p: self._ones(p, leaves) for p in self.places}

  def _ones(self, place: str, leaves: dict[str, Any]) -> jax.Array:
    kernel = leaves[f"{MAPS[place]}/kernel"]
    width = 1 if self.scalar else kernel.shape[-1]
    if not trees.stacked(MAPS[place]):
      return jnp.ones(width)
    number = len(range(kernel.shape[0])[self.blocks(kernel.shape[0])])
    return jnp.ones((number, width))

  def tree(self, gammas: dict[str, jax.Array], host: Any) -> dict[str, Any]:
    """The leaves `gamma` beside the kernels of a host; see `nn.scaled`.

    Blocks without scales get ones; scales of one map are multiplied.

    Args:
      gammas: as `init` makes them.
      host: its parameters.
    """
    leaves, found = trees.named(host), {}
    for place, gamma in gammas.items():
      kernel, name = leaves[f"{MAPS[place]}/kernel"], f"{MAPS[place]}/"
      name += scaled.NAME
      whole = jnp.ones((*kernel.shape[:-2], kernel.shape[-1]), gamma.dtype)
      if trees.stacked(name):
        gamma = whole.at[self.blocks(len(whole))].multiply(gamma)
      found[name] = found.get(name, whole) * gamma
    return trees.nested(found)
