"""A trained ViT whose tokens get fewer from block to block (DiffRate, ToMe)."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jmim.nn import shrinking
from jmim.nn import stack
from jmim.nn.nets import vit


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compressed:
  """Ways to run a plain ViT (`net`) on fewer and fewer tokens.

  Both return the state after the last block, before the final norm: x
  [b, k, w] and size [b, k] float32; and, if `taps`, as `block` the states
  after all blocks, with the importance [b, t - 1] of what entered each.
  """

  net: vit.ViT

  @property
  def _block(self) -> shrinking.Block:
    size, rt = self.net.size, self.net.rt
    return shrinking.Block(
      heads=size.heads, mlp_ratio=size.mlp_ratio, rt=rt, parent=None
    )

  def _start(self, params, images):
    """Tokens that enter the first block, and the blocks' parameters."""
    out = self.net.apply({"params": params}, images, stop=0)
    return self.net.rt.shard(out["embedded"]), params["blocks"]["layers"]

  def removed(
    self,
    params: Any,
    images: jax.Array,
    kept: tuple[Sequence[int], Sequence[int]],
    *,
    noise: jax.Array | None = None,
    taps: bool = False,
  ) -> shrinking.State:
    """Tokens are taken away.

    Args:
      params: of the net.
      images: [b, h, w, c].
      kept: tokens after pruning and after merging of each block.
      noise: [b, blocks, n] instead of the importance: a random order.
      taps: return `block` too.
    """
    x, layers = self._start(params, images)
    state = {"x": x, "size": None}
    after = []
    for i, p in enumerate(_layers(layers, self.net.size.depth)):
      change = functools.partial(
        shrinking.remove, prune=kept[0][i], merge=kept[1][i]
      )
      if noise is not None:
        change = _instead(change, noise[:, i])
      state, importance = self._block.apply({"params": p}, state, change)
      after.append(state | {"importance": importance})
    if state["size"] is None:
      state = state | {"size": jnp.ones(state["x"].shape[:2])}
    return state | ({"block": after} if taps else {})

  def masked(
    self,
    params: Any,
    images: jax.Array,
    counts: Any,
    *,
    drop: jax.Array | None = None,
    noise: jax.Array | None = None,
    clamp: bool = True,
    taps: bool = False,
  ) -> shrinking.State:
    """All tokens stay, those that are gone are masked; also has their mask.

    Args:
      params: of the net.
      images: [b, h, w, c].
      counts: tuple of arrays [blocks, ...], see `shrinking.hide`.
      drop: [blocks, 2, b] drop-path factors.
      noise: [b, blocks, n] instead of the importance: a random order.
      clamp: see `shrinking.hide`.
      taps: return `block` too.
    """
    x, layers = self._start(params, images)
    rt, depth, ones = self.net.rt, self.net.size.depth, jnp.ones(x.shape[:2])
    state = {"x": x, "size": ones, "mask": ones}
    state["alive"] = jnp.int32(x.shape[1])

    def apply(state, slices):
      p, counts, more = slices
      change = functools.partial(shrinking.hide, counts=counts, clamp=clamp)
      if "noise" in more:
        change = _instead(change, more["noise"])
      state, importance = self._block.apply(
        {"params": p}, state, change, more.get("drop")
      )
      return state, state | {"importance": importance} if taps else {}

    if rt.remat != "none":
      apply = jax.checkpoint(
        apply, policy=stack.policy(rt), prevent_cse=not rt.scan
      )
    more = {} if drop is None else {"drop": drop}
    if noise is not None:
      more["noise"] = jnp.moveaxis(noise, 1, 0)
    slices = layers, counts, more
    if rt.scan and not isinstance(layers, tuple):
      state, after = jax.lax.scan(apply, state, slices, unroll=rt.unroll)
      after = stack.unstack(after, depth)
    else:
      after = []
      rest = (stack.unstack(part, depth) for part in slices[1:])
      for one in zip(_layers(layers, depth), *rest, strict=True):
        state, out = apply(state, one)
        after.append(out)
    return state | ({"block": after} if taps else {})


def _layers(layers, depth):
  return layers if isinstance(layers, tuple) else stack.unstack(layers, depth)


def _instead(change, noise):
  """`change` by other numbers than the importance."""

  # The places of tokens mean nothing to the noise: any of it will do for those
  # that are left.
  def by_noise(state, importance):
    rank = noise[:, : importance.shape[1]]
    if "mask" in state:  # what is gone stays behind
      rank = jnp.where(state["mask"][:, 1:] > 0, rank, -1.0)
    return change(state, rank)

  return by_noise
