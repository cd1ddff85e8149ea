"""A vector per body from candidates for its joints (DiffPose's condition).

Holmquist and Wandt 2023 (bastianwandt/DiffPose@7750c9f). Each joint is a token:

    e_j = sum_k (W p_jk [code(x_jk), code(y_jk)] + w) + v_j
    c   = W' flatten(transformer(e)) + w'

with candidates k at (x, y), their likelihoods p, and a learned v_j. The sum is
taken before the map W, which then is applied once per joint. The blocks are
torch's: post-norm, ReLU, dropout within them too.
"""

import dataclasses
import functools

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import runtime
from jmim.nn import attention
from jmim.nn import conv
from jmim.nn import dense
from jmim.nn import heatmaps
from jmim.nn import postnorm
from jmim.nn import stack

EPS = 1e-5  # of torch's LayerNorm


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dims:
  """Size of the encoder of candidates."""

  channels: int = field.value(
    64, "channels of the code of each axis; tokens have twice as many", low=2
  )
  depth: int = field.value(4, "blocks of the transformer", low=0)
  heads: int = field.value(4, "attention heads", low=1)
  hidden: int = field.value(512, "hidden width of the MLPs", low=1)
  condition: int = field.value(128, "numbers of the condition per joint", low=1)
  dropout: float = field.value(
    0.1, "dropout in the transformer", low=0.0, below=1.0
  )

  @property
  def width(self) -> int:
    """Of a token."""
    return 2 * self.channels

  def check(self, key: str) -> None:
    """Raises ValueError unless the heads divide a token.

    Args:
      key: of this part in the method, for messages.
    """
    if self.width % self.heads:
      raise ValueError(
        f"{key}.channels {self.channels}: tokens of {self.width} numbers do "
        f"not divide by {key}.heads {self.heads}"
      )

  def net(self, joints: int, rt: runtime.Runtime) -> "JointEncoder":
    """The network for so many joints."""
    return JointEncoder(joints=joints, dims=self, rt=rt)


class JointEncoder(nn.Module, kw_only=True):
  """Candidates of joints to one vector.

  Attributes:
    joints: number of them.
    dims: sizes.
    rt: execution choices.
  """

  joints: int
  dims: Dims = Dims()
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    places: jax.Array,
    likelihood: jax.Array,
    kept: jax.Array | None = None,
    keys: jax.Array | None = None,
  ) -> jax.Array:
    """[b, joints dims.condition] float32.

    Args:
      places: [b, j, k, 2] candidates in -1 .. 1.
      likelihood: [b, j, k] of each.
      kept: [b, j] 0 where all codes of a joint are zeroed; None: nowhere.
      keys: [b, 2] of dropout (`nn.dropout`); None: none.
    """
    rt, dims, count = self.rt, self.dims, places.shape[2]
    linear = functools.partial(dense.dense, rt, kernel_init=conv.TORCH)
    codes = heatmaps.channel_code(places, dims.channels)
    codes = einops.rearrange(codes, "b j k d c -> b j k (d c)")
    mean = jnp.einsum("bjk,bjkc->bjc", likelihood, codes) / count
    if kept is not None:
      mean = mean * kept[..., None]
    tokens = count * linear(dims.width, name="project")(mean.astype(rt.dtype))
    normal = nn.initializers.normal(1.0)
    rows = self.param("joint_embed", normal, (self.joints, dims.width))
    tokens = rt.shard(tokens + rows.astype(rt.dtype))
    if dims.depth:
      index = {"index": jnp.arange(dims.depth)}
      blocks = stack.Stack(self._block, dims.depth, rt, name="blocks")
      tokens, _ = blocks(tokens, per_layer=index, keys=keys)
    flat = einops.rearrange(tokens, "b j c -> b (j c)")
    out = linear(self.joints * dims.condition, name="out")(flat)
    return out.astype(jnp.float32)

  def _block(self) -> postnorm.PostBlock:
    """A layer as torch makes and begins it."""
    dims, rt = self.dims, self.rt
    attend = functools.partial(
      attention.SelfAttention, heads=dims.heads, rt=rt, proj_init=conv.TORCH
    )
    return postnorm.PostBlock(
      heads=dims.heads,
      mlp_ratio=dims.hidden / dims.width,
      rate=dims.dropout,
      act="relu",
      eps=EPS,
      rt=rt,
      kernel_init=conv.TORCH,
      attention=attend,
      inside=True,
      parent=None,
    )
