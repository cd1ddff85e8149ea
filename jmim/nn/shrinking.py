"""A pre-norm block whose tokens get fewer between attention and MLP.

Tokens are sorted by the attention that the class token pays them, the last
ones are pruned, and those before these merged into what is kept (DiffRate). A
token that stands for s others has log s added to its logits as a key (ToMe).
Parameters are those of `block.Block`.
"""

from collections.abc import Callable
from typing import Any

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.masks import tokens as masking
from jmim.nn import attention
from jmim.nn import compress
from jmim.nn import dense
from jmim.nn import mlp
from jmim.nn import norm
from jmim.nn import qkv

# Of tokens: x [b, t, w]; size [b, t], None: all 1; where none is taken away
# also mask [b, t], 1 = alive, and alive, int32 [], how many are.
State = dict[str, Any]
Change = Callable[[State, jax.Array], State]
LEAST_SIZE = 1e-6


class Attention(nn.Module, kw_only=True):
  """Self-attention to tokens of a size, some of which may be gone.

  Attributes:
    heads: attention heads.
    rt: execution choices; where a mask is learned through, attention is
      computed as products ("einsum") whatever it says.
  """

  heads: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array, state: State) -> tuple[jax.Array, jax.Array]:
    """[b, t, w] -> [b, t, w], and the class token's attention [b, t - 1].

    Args:
      x: normed tokens.
      state: its size (None: all 1) and mask (None: none is gone) are read.
    """
    init = nn.initializers.xavier_uniform()
    size, mask = state["size"], state.get("mask")
    q, k, v = qkv.Qkv(
      heads=self.heads, use_bias=True, kernel_init=init, rt=self.rt, name="qkv"
    )(x)
    bias = None if size is None else _log(size)[:, None, None]
    if mask is None:
      attended = attention.Attend(rt=self.rt, name="attend")
      y = attended(q, k, v, bias=bias)
      first = attention.probabilities(q[:, :, :1], k, bias)
    else:
      scaled = q * q.shape[-1] ** -0.5
      logits = jnp.einsum(
        "bhtd,bhsd->bhts", scaled, k, preferred_element_type=jnp.float32
      )
      first = compress.masked_softmax(logits + bias, mask)
      y = jnp.einsum("bhts,bhsd->bhtd", first.astype(v.dtype), v)
    y = einops.rearrange(self.rt.shard_dim(y, 1), "b h t d -> b t (h d)")
    proj = dense.dense(self.rt, x.shape[-1], kernel_init=init, name="proj")
    return proj(y), first[:, :, 0, 1:].mean(1)


def _log(size):
  """Of sizes, which tokens unlike all others can make negative."""
  return jnp.log(jnp.maximum(size, LEAST_SIZE))


class Block(nn.Module, kw_only=True):
  """`block.Block` with a change of its tokens between attention and MLP.

  Attributes:
    heads: attention heads.
    mlp_ratio: hidden width of the MLP over the width.
    rt: execution choices.
  """

  heads: int
  mlp_ratio: float
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self, state: State, change: Change, drop: jax.Array | None = None
  ) -> tuple[State, jax.Array]:
    """The state after the block, and the importance [b, t - 1] before it.

    Args:
      state: see `State`.
      change: (state after attention, importance) -> state.
      drop: [2, b] factors of the two branches.
    """
    x = state["x"]
    y = norm.layer_norm(self.rt, "norm1")(x)
    attn = Attention(heads=self.heads, rt=self.rt, name="attn")
    y, importance = attn(y, state)
    x = self.rt.shard(x + _dropped(y, drop, 0))
    state = change(state | {"x": x}, importance)
    x = state["x"]
    y = norm.layer_norm(self.rt, "norm2")(x)
    hidden = int(x.shape[-1] * self.mlp_ratio)
    y = mlp.MLP(hidden=hidden, rt=self.rt, name="mlp")(y)
    x = self.rt.shard(x + _dropped(y, drop, 1))
    return state | {"x": x}, importance


def _dropped(y, drop, branch):
  if drop is None:
    return y
  return y * drop[branch][:, None, None].astype(y.dtype)


def remove(
  state: State,
  importance: jax.Array,
  prune: int,
  merge: int,
) -> State:
  """Takes tokens away; nothing, not even the order, changes where none goes.

  Args:
    state: x [b, t, w]; size [b, t], None: all 1.
    importance: [b, t - 1].
    prune: tokens kept after pruning.
    merge: tokens kept after merging.
  """
  x, size = state["x"], state["size"]
  if min(prune, merge) >= x.shape[1]:
    return state
  ids = compress.by_importance(importance)[:, :prune]
  x = masking.take(x, ids)
  if size is not None:
    size = jnp.take_along_axis(size, ids, 1)
  if merge < x.shape[1]:
    size = jnp.ones(x.shape[:2]) if size is None else size
    x, size, _ = compress.merge(x, size, merge)
  return state | {"x": x, "size": size}


def hide(
  state: State,
  importance: jax.Array,
  counts: Any,
  clamp: bool = True,
) -> State:
  """As `remove` with traced counts: masks tokens, and sorts them all.

  Args:
    state: x [b, t, w]; size and mask [b, t]; alive, int32 [].
    importance: [b, t - 1].
    counts: of this block: prune and merge, tokens kept, float32 [];
      prune_survival and merge_survival, [t].
    clamp: sizes to at least 1, see `compress.merge_masked`.
  """
  ids = compress.by_importance(importance)
  x = masking.take(state["x"], ids)
  size = jnp.take_along_axis(state["size"], ids, 1)
  mask = jnp.take_along_axis(state["mask"], ids, 1)
  alive = state["alive"]
  prune, merge = (k.astype(jnp.int32) for k in (counts.prune, counts.merge))
  mask = mask * compress.survival_mask(counts.prune_survival, prune, alive)
  alive = jnp.minimum(alive, prune)
  x, size, _ = compress.merge_masked(
    x, size, keep=merge, alive=alive, clamp=clamp
  )
  mask = mask * compress.survival_mask(counts.merge_survival, merge, alive)
  alive = jnp.minimum(alive, merge)
  return {"x": x, "size": size, "mask": mask, "alive": alive}
