"""Repeated layers: one parameter layout, scanned or unrolled."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime

# Tensors that blocks name for remat="names".
NAMES = ("qkv", "attention", "middle", "hidden")


def policy(rt: runtime.Runtime) -> Callable[..., Any] | None:
  """What the backward pass finds instead of computing it again.

  "full": the input of each block only. "dots": products with parameters.
  "names": of NAMES those of `remat_save`, and those of `remat_offload` in the
  memory of the host: qkv [b, t, 3w], attention [b, t, w] before its last
  product, middle [b, t, w] between the branches, hidden [b, t, 4w] before its
  activation.
  """
  if rt.remat == "names":
    return jax.checkpoint_policies.save_and_offload_only_these_names(
      names_which_can_be_saved=list(rt.remat_save),
      names_which_can_be_offloaded=list(rt.remat_offload),
      offload_src="device",
      offload_dst="pinned_host",
    )
  if rt.remat == "dots":
    return jax.checkpoint_policies.dots_with_no_batch_dims_saveable
  return None


def unstack(tree: Any, depth: int) -> list[Any]:
  """[depth, ...] leaves -> list of trees; its gradient is one concatenation.

  (The gradient of `leaf[i]` is a padded copy of the whole leaf, so indexing
  would cost depth^2 memory traffic in the backward pass.)
  """
  leaves, treedef = jax.tree.flatten(tree)
  split = [jax.lax.split(leaf, (1,) * depth) for leaf in leaves]
  return [
    treedef.unflatten([jnp.squeeze(parts[i], 0) for parts in split])
    for i in range(depth)
  ]


def spread(tree: Any) -> Any:
  """Parameters with the layers of every `Stack` cut apart, once.

  For a loop that applies unrolled layers many times (a sampler): the compiler
  does not move the cuts out of it, and would copy all kernels in every turn.
  `Stack` takes both forms; this one is for no other use.
  """
  if not isinstance(tree, dict):
    return tree
  return {
    name: tuple(unstack(part, jax.tree.leaves(part)[0].shape[0]))
    if name == "layers" and not isinstance(part, tuple)
    else spread(part)
    for name, part in tree.items()
  }


def unrolled(rt: runtime.Runtime, tree: Any) -> Any:
  """Parameters as a loop over a network wants them: `spread` without a scan.

  Whoever calls a predict function does this, inside the compiled program.

  Args:
    rt: of the method.
    tree: nested dicts of stacked parameters.
  """
  return tree if rt.scan else spread(tree)


class Stack(nn.Module):
  """`depth` copies of a layer, parameters stacked under the name `layers`.

  Every leaf below a path component `layers` has the layer as dimension 0:
  optimizers, sharding and weight conversion rely on it.

  Attributes:
    make: returns a fresh, unbound layer module (`parent=None`); the layer
      maps (x, **kwargs) to (x, taps).
    depth: number of layers.
    rt: scan or unrolled, remat.
  """

  make: Callable[[], nn.Module]
  depth: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    *,
    per_layer: dict[str, jax.Array] | None = None,
    stop: int | None = None,
    cond: jax.Array | None = None,
    **shared: Any,
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Runs layers 0 .. stop-1.

    Args:
      x: [b, t, w].
      per_layer: keyword arguments with one slice per layer: [depth, ...].
      stop: early exit after this many layers; None: all.
      cond: [b, ...], given to every layer, also when it is initialised.
      **shared: keyword arguments given to every layer (bias, mask, taps).

    Returns:
      x after the last layer run, and its taps stacked: name -> [stop, ...].
    """
    layer = self.make()
    stop = self.depth if stop is None else stop
    if not 0 <= stop <= self.depth:
      raise ValueError(f"early exit {stop} outside 0..{self.depth}")
    if cond is not None:
      shared["cond"] = cond
    params = self._params(layer, x, cond)
    cut = lambda a: a if stop == self.depth else a[:stop]
    per_layer = jax.tree.map(cut, per_layer or {})
    apart = isinstance(params, tuple)
    params = params[:stop] if apart else jax.tree.map(cut, params)

    def apply(x, slices):
      p, kwargs = slices
      return layer.apply({"params": p}, x, **shared, **kwargs)

    if self.rt.remat != "none":
      apply = jax.checkpoint(
        apply, policy=policy(self.rt), prevent_cse=not self.rt.scan
      )
    if self.rt.scan and stop and not apart:
      return jax.lax.scan(apply, x, (params, per_layer), unroll=self.rt.unroll)
    taps = []
    params = params if apart else unstack(params, stop)
    for slices in zip(params, unstack(per_layer, stop), strict=True):
      x, found = apply(x, slices)
      taps.append(found)
    return x, jax.tree.map(lambda *a: jnp.stack(a), *taps) if taps else {}

  def _params(self, layer, x, cond):
    """Stacked, or a tuple of layers if they were `spread`."""
    if self.has_variable("params", "layers"):
      found = self.get_variable("params", "layers")
      if isinstance(found, tuple):
        return found
    return self.param("layers", self._init, layer, x, cond)

  def _init(self, key, layer, x, cond):
    keys = jax.random.split(key, self.depth)
    # One example shows the shapes.
    one = lambda a: jnp.zeros((1, *a.shape[1:]), a.dtype)
    given = {} if cond is None else {"cond": one(cond)}
    return jax.vmap(lambda k: layer.init(k, one(x), **given)["params"])(keys)
