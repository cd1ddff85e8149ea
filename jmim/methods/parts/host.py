"""A frozen host, and a small tree of own parameters laid over it.

    tree = host                          a const: no gradient, never saved
           + own["added"]                leaf by leaf, where there is one
           with own["new"]               beside its leaves, or in their place

Only what a method owns is trained, so gradient, optimizer, EMA and checkpoint
hold that and nothing else. As `init` sees no consts, what is to begin at the
host's value is added to it and begins at 0; under Adam without decay this is
the same as training the host's own leaf.
"""

import dataclasses
import math
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import tree as trees

Init = Callable[[jax.Array], Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Host:
  """Which network, and where it is."""

  path: str = field.value("", "trained host: a run, or an .npz of its arrays")
  sha256: str = field.value(
    "", "hash of that .npz, or of the host's arrays; empty: any"
  )
  weights: str = field.value(
    "raw", "weights that are read of a run", choices=("raw", "ema")
  )

  def const(
    self,
    init: Init,
    agrees: Mapping[str, tuple[str, Any]] | None = None,
    key: str = "method.host",
    *,
    dims: Any = None,
    at: tuple[str, str] = ("dims", "method.dims"),
    **more: Any,
  ) -> method.Const:
    """Where its parameters come from.

    Args:
      init: key -> tree.
      agrees: as of `method.Const`.
      key: of the part in the config.
      dims: of the network, whose fields that no weights show (`field.unseen`)
        are to be those of the run; None: not compared.
      at: where they are: in the run's `method`, and in our config.
      **more: of `method.Const`.
    """
    shown = field.unseen(dims) if dims is not None else {}
    there, here = at
    exact = {f"{there}.{n}": (f"{here}.{n}", x) for n, x in shown.items()}
    return method.Const(
      self.path,
      shaken(init),
      self.sha256 or None,
      agrees=dict(agrees or {}) | exact,
      exact=tuple(exact),
      weights=self.weights,
      key=f"{key}.path",
      **more,
    )


def shaken(init: Init) -> Init:
  """Fresh parameters without a leaf of zeros.

  Gates and last layers that begin at 0 would hide from a test all that a host
  does before them, and every gradient. Kernels become normal with variance
  1 / (their inputs), vectors with deviation 0.1.

  Args:
    init: key -> tree.
  """

  def fresh(key):
    made = init(key)
    keys = iter(jax.random.split(key, len(jax.tree.leaves(made))))

    def fill(name, leaf):
      one = leaf.shape[1:] if trees.stacked(name) else leaf.shape
      std = math.prod(one[:-1]) ** -0.5 if len(one) > 1 else 0.1
      noise = std * jax.random.normal(next(keys), leaf.shape, leaf.dtype)
      return jnp.where(jnp.any(leaf != 0), leaf, noise)

    return trees.map_named(fill, made)

  return fresh


def zeros(init: Init, wanted: Callable[[str], bool]) -> dict[str, Any]:
  """What `own["added"]` begins as: zeros like some leaves of a host.

  Args:
    init: key -> tree of the host; nothing of it is computed.
    wanted: leaf name ("blocks/layers/attn/qkv/bias") -> whether it is tuned.
  """
  shapes = trees.named(jax.eval_shape(init, jax.random.key(0)))
  chosen = {n: x for n, x in shapes.items() if wanted(n)}
  return trees.nested(
    {n: jnp.zeros(x.shape, x.dtype) for n, x in chosen.items()}
  )


def laid(host: Any, own: Mapping[str, Any]) -> dict[str, Any]:
  """The host's tree with own parameters laid over it.

  Args:
    host: nested dict of arrays; it is not changed.
    own: "added" and "new", nested dicts with paths of the host; either may be
      missing. Other entries are not looked at. Layers that `stack.unrolled`
      took apart are stacked again.

  Raises:
    ValueError: "added" has a leaf that the host has not, or of another shape.
  """
  arrays, own = trees.named(host), _restacked(own)
  for name, delta in trees.named(own.get("added", {})).items():
    if name not in arrays or arrays[name].shape != delta.shape:
      there = arrays[name].shape if name in arrays else "nothing"
      raise ValueError(f"added {name} {delta.shape} to {there} of the host")
    arrays[name] = arrays[name] + delta
  return trees.nested(arrays | trees.named(own.get("new", {})))


def _restacked(tree: Any) -> Any:
  """The inverse of `stack.unrolled`: tuples of layers as stacked leaves."""
  if isinstance(tree, tuple):
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *tree)
  if not isinstance(tree, Mapping):
    return tree
  return {name: _restacked(part) for name, part in tree.items()}
