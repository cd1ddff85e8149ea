"""Names of leaves, and the convention for stacked layers."""

import collections
import re
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

import jax

STACK = "layers"


def name(path: tuple) -> str:
  """A key path of `jax.tree_util` as "encoder/blocks/layers/attn/kernel"."""
  return jax.tree_util.keystr(path, simple=True, separator="/")


def named(tree: Any) -> dict[str, Any]:
  """Leaf name -> leaf, in tree order."""
  return {
    name(path): leaf
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]
  }


def nested(arrays: Mapping[str, Any]) -> dict[str, Any]:
  """Leaf name -> leaf as nested dicts; inverse of `named`."""
  tree: dict[str, Any] = {}
  for leaf_name, leaf in arrays.items():
    *path, last = leaf_name.split("/")
    node = tree
    for part in path:
      node = node.setdefault(part, {})
    node[last] = leaf
  return tree


def map_named(fn: Callable[..., Any], tree: Any, *rest: Any) -> Any:
  """`jax.tree.map` whose function receives the leaf's name first."""
  return jax.tree_util.tree_map_with_path(
    lambda path, *leaves: fn(name(path), *leaves), tree, *rest
  )


def stacked(leaf_name: str) -> bool:
  """Whether dimension 0 of this leaf counts layers (see `nn.stack`)."""
  return STACK in leaf_name.split("/")


def matches(pattern: str, leaf_name: str) -> bool:
  """Whether a config regex applies to a leaf."""
  return re.search(pattern, leaf_name) is not None


def folded(chosen: Iterable[str], names: Iterable[str]) -> dict[str, int]:
  """Some leaves in few words: folder all of whose leaves they are -> how many.

  Args:
    chosen: names of leaves.
    names: of all leaves.

  Returns:
    the largest such folders, and leaves that are in none, in order.
  """
  chosen = list(chosen)
  of_all, of_chosen = (_sizes(some) for some in (names, chosen))
  found = {}
  for leaf in chosen:
    whole = (f for f in _folders(leaf) if of_all[f] == of_chosen[f] > 1)
    place = next(whole, leaf)
    found[place] = found.get(place, 0) + 1
  return found


def _folders(leaf_name: str) -> list[str]:
  """Those that a leaf is in, the largest first."""
  parts = leaf_name.split("/")[:-1]
  return ["/".join(parts[: i + 1]) for i in range(len(parts))]


def _sizes(names: Iterable[str]) -> collections.Counter:
  """Folder -> leaves in it."""
  return collections.Counter(f for leaf in names for f in _folders(leaf))
