"""How much of attention masks of blocks keep, and for how long."""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.methods.parts import block_sparse
from jmim.nn import block_masks

Array = jax.Array


def masks(
  rule: block_sparse.BlockSparse, sums: Array, tokens: int, noise: Array
) -> dict[str, Array]:
  """Selection -> mask [b, h, n, n], all of as many blocks; see `of_path`.

  Without "heads" where so many blocks are kept that none can be given away.
  """

  def by(name):
    one = dataclasses.replace(rule, selection=name)
    return one.mask(*one.choose(sums, tokens, noise), tokens)

  unequal = rule.sparsity >= block_masks.LEAST
  names = [n for n in block_sparse.SELECTIONS if unequal or n != "heads"]
  return {name: by(name) for name in names}


def of_layer(
  rule: block_sparse.BlockSparse,
  first: Array,
  last: Array,
  other: Array,
  tokens: int,
  noise: Array,
) -> dict[str, Array]:
  """Of one layer; arguments as of `of_path` without layers."""
  made = masks(rule, first, tokens=tokens, noise=noise)
  recall = {n: block_masks.recall(first, m) for n, m in made.items()}
  patterns = [*block_masks.PATTERNS, "random"]
  best = jnp.max(jnp.stack([recall[name] for name in patterns]), 0)
  own = lambda sums: rule.mask(*rule.choose(sums, tokens, noise), tokens)
  fresh = block_masks.recall(last, own(last))
  kept = lambda mask: (block_masks.recall(last, mask) / fresh).mean(-1)
  least = [name for name in ("rows", "heads") if name in made]
  return {
    **{f"recall_{name}": r.mean(-1) for name, r in recall.items()},
    **{f"head_{i}": r for i, r in enumerate(recall[rule.selection].T)},
    "over_patterns": (recall["whole"] - best).min(-1),
    **{f"least_{name}": recall[name].min(-1) for name in least},
    "kept": kept(made[rule.selection]),
    "other": kept(own(other)),
  }


def of_path(
  rule: block_sparse.BlockSparse,
  first: Array,
  last: Array,
  other: Array,
  tokens: int,
  noise: Array,
) -> dict[str, Array]:
  """Recalls of each example [b], means over layers (and heads).

  recall_NAME: of each selection. head_I: of the rule's own in head I.
  over_patterns: of the optimum, less that of the best fixed pattern, in the
  head (of all layers) where that is least. least_rows, least_heads: of a
  layer's worst head, with equal and with unequal counts (which need a sparsity
  of 1/3). kept: recall that the mask of the first search has of the last
  search's attention, over that of a fresh one; other: of another clip's mask.

  Args:
    rule: what is kept.
    first: S [layers, b, h, n, n] at the first search.
    last: at the last.
    other: at the first search of another clip.
    tokens: of the sequence.
    noise: [layers, b, h, n, n] of random blocks.
  """
  one = lambda a: of_layer(rule, *a[:3], tokens=tokens, noise=a[3])
  found = jax.lax.map(one, (first, last, other, noise))
  ends = {"over_patterns": jnp.min}
  return {k: ends.get(k, jnp.mean)(a, axis=0) for k, a in found.items()}
