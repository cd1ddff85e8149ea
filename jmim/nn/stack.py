"""Repeated layers: one parameter layout, scanned or unrolled."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime

_Partial = jax.tree_util.Partial
# Tensors that blocks name for remat="names".
NAMES = ("qkv", "attention", "middle", "hidden")


def policy(rt: runtime.Runtime) -> Callable[..., Any] | None:
  """What the backward pass reads instead of recomputing it.

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
  """[depth, ...] leaves -> `depth` trees; its gradient is one concatenation.

  (The gradient of `leaf[i]` is a padded copy of the whole leaf, so indexing
  would cost depth^2 memory traffic in the backward pass.)
  """
  leaves, treedef = jax.tree.flatten(tree)
  slices = [jax.lax.split(leaf, (1,) * depth) for leaf in leaves]
  return [
    treedef.unflatten([jnp.squeeze(parts[i], 0) for parts in slices])
    for i in range(depth)
  ]


def unrolled(rt: runtime.Runtime, tree: Any) -> Any:
  """Parameters for a loop that applies a network many times.

  Whoever calls a sampler or another predict function with such a loop does
  this first, inside the compiled program:

      weights = dataclasses.replace(
        weights, params=stack.unrolled(method.rt, weights.params)
      )

  Where layers are not scanned, `Stack` cuts the stacked kernels apart in each
  call. The compiler does not move these cuts out of the loop, and would copy
  all kernels in every iteration; here they are cut once. A gradient with
  respect to the result has its form, so training keeps the stacked one.

  Args:
    rt: of the method.
    tree: nested dicts of parameters.

  Returns:
    the tree where `rt` scans; else with a tuple of layers in place of each
    stacked `layers`, which `Stack` takes as well.
  """
  return tree if rt.scan else _spread(tree)


def _spread(tree: Any) -> Any:
  if not isinstance(tree, dict):
    return tree
  return {
    name: tuple(unstack(part, jax.tree.leaves(part)[0].shape[0]))
    if name == "layers" and not isinstance(part, tuple)
    else _spread(part)
    for name, part in tree.items()
  }


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
    per_layer: dict[str, Any] | None = None,
    start: int = 0,
    stop: int | None = None,
    cond: jax.Array | None = None,
    **shared: Any,
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Runs layers start .. stop-1.

    Segments one after the other are the whole stack, and may differ in the
    number of tokens.

    Args:
      x: [b, t, w].
      per_layer: keyword arguments with one slice per layer, trees of arrays
        [depth, ...].
      start: first layer.
      stop: early exit before this layer; None: none.
      cond: [b, ...] conditioning of every layer, also at initialisation.
      **shared: other keyword arguments of every layer (bias, mask, taps). Of
        a function that is a `jax.tree_util.Partial` of arrays [depth, ...]
        each layer gets its slice.

    Returns:
      x after the last layer run, and the taps of those run, stacked: name ->
      [stop - start, ...].

    Raises:
      ValueError: on layers that are none.
    """
    layer = self.make()
    stop = self.depth if stop is None else stop
    if not 0 <= stop <= self.depth:
      raise ValueError(f"early exit {stop} outside 0..{self.depth}")
    if not 0 <= start <= stop:
      raise ValueError(f"first layer {start} outside 0..{stop}")
    if cond is not None:
      shared["cond"] = cond
    params = self._params(layer, x, cond)
    count = stop - start
    run = lambda a: a if count == self.depth else a[start:stop]
    own = {k: f for k, f in shared.items() if isinstance(f, _Partial)}
    shared = {k: a for k, a in shared.items() if k not in own}
    per_layer = jax.tree.map(run, (per_layer or {}) | own)
    spread = isinstance(params, tuple)
    params = run(params) if spread else jax.tree.map(run, params)

    def apply(x, slices):
      p, kwargs = slices
      return layer.apply({"params": p}, x, **shared, **kwargs)

    if self.rt.remat != "none":
      apply = jax.checkpoint(
        apply, policy=policy(self.rt), prevent_cse=not self.rt.scan
      )
    # Of a fresh stack only the shape is asked for: one layer is traced.
    scan = self.rt.scan or self.is_initializing()
    if scan and count and not spread:
      return jax.lax.scan(apply, x, (params, per_layer), unroll=self.rt.unroll)
    taps = []
    params = params if spread else unstack(params, count)
    for slices in zip(params, unstack(per_layer, count), strict=True):
      x, tapped = apply(x, slices)
      taps.append(tapped)
    return x, jax.tree.map(lambda *a: jnp.stack(a), *taps) if taps else {}

  def _params(self, layer, x, cond):
    """Stacked, or a tuple of layers (see `unrolled`).

    There may be leaves among them that no layer has made (`nn.scaled`).
    """
    if self.has_variable("params", "layers"):
      return self.get_variable("params", "layers")
    return self.param("layers", self._init, layer, x, cond)

  def _init(self, key, layer, x, cond):
    keys = jax.random.split(key, self.depth)
    # One example shows the shapes.
    one = lambda a: jnp.zeros((1, *a.shape[1:]), a.dtype)
    more = {} if cond is None else {"cond": one(cond)}
    return jax.vmap(lambda k: layer.init(k, one(x), **more)["params"])(keys)
