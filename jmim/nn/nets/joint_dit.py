"""LaVin-DiT's network: frames of a context and of a target, one sequence.

Wang, Xia, Chen, Yu, Wang, Gong, Liu, CVPR 2025. Tokens are patches of latent
frames; the context is seen as it is, the target is noisy. Frames of both are
one time axis of rotary positions, the context's first, so that what a target
is to a query is seen from the pairs before. Blocks: `nn/joint_block.py`.

The context's stream of the last block is read by nothing: its queries, its
output and its MLP get no gradient there. As layers are stacked, all have them,
as in the released weights.
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import runtime
from jmim.nn import adaln
from jmim.nn import dense
from jmim.nn import joint_block
from jmim.nn import norm
from jmim.nn import stack
from jmim.nn.nets import video

Array = jax.Array
EPS = 1e-5  # of the embedders' norms
AXES = 3  # frame, row, column


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dims:
  """Sizes of the network; the defaults are those of 3.4 B parameters."""

  width: int = field.value(2304, "width of both streams", low=6)
  depth: int = field.value(22, "blocks", low=1)
  heads: int = field.value(32, "heads of the queries", low=1)
  kv_group: int = field.value(
    4, "heads of queries that share a head of keys and values", low=1
  )
  patch: int = field.value(2, "side of a token", low=1)
  theta: float = field.value(
    10_000.0, "base of the rotary frequencies; 0: no positions", low=0.0
  )

  @property
  def head(self) -> int:
    """Width of a head."""
    return self.width // self.heads

  def check(self, side: int) -> None:
    """Raises ValueError for fields that do not go together.

    Args:
      side: of what is diffused.
    """
    if self.width % self.heads or self.head % (2 * AXES):
      raise ValueError(
        f"dims.width {self.width} in dims.heads {self.heads}: heads are even "
        f"slices for {AXES} axes, multiples of {2 * AXES} wide"
      )
    if self.heads % self.kv_group:
      raise ValueError(
        f"dims.heads {self.heads} do not divide by dims.kv_group "
        f"{self.kv_group}"
      )
    if side % self.patch:
      raise ValueError(
        f"size {side} does not divide by dims.patch {self.patch}"
      )


class JointDiT(nn.Module, kw_only=True):
  """Noisy frames and frames of a context to a prediction per pixel.

  Attributes:
    dims: sizes.
    rt: execution choices.
  """

  dims: Dims
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    x: Array,
    t: Array,
    context: Array,
    mask: Array | None = None,
    taps: tuple[str, ...] = (),
  ) -> dict[str, Array]:
    """Predicts for [b, f, h, w, c]; sides may differ.

    Args:
      x: noisy frames of the target.
      t: [b] times.
      context: [b, n, h, w, c] frames; those of the query last.
      mask: [b, n] bool, True = a frame of the context that may be seen; None:
        all.
      taps: of each block, see `joint_block.JointBlock`.

    Returns:
      pred: [b, f, h, w, c] float32.
      and each tap: [depth, ...].
    """
    rt, dims = self.rt, self.dims
    frames = (context.shape[1], x.shape[1])
    grid = tuple(n // dims.patch for n in x.shape[2:4])
    place = grid[0] * grid[1]
    told = self._conditions(t)
    tokens = [self._embed("context", context), self._embed("target", x)]
    more = {}
    if dims.theta:
      widths = (dims.head // AXES,) * AXES
      more["rotary"] = video.rotary((sum(frames), *grid), widths, dims.theta)
    if mask is not None:
      both = jnp.pad(mask, ((0, 0), (0, frames[1])), constant_values=True)
      more["mask"] = jnp.repeat(both, place, axis=1)
    blocks = stack.Stack(self._make, dims.depth, rt, name="blocks")
    y, found = blocks(
      rt.shard(jnp.concatenate(tokens, axis=1)),
      cond=told,
      context=frames[0] * place,
      taps=taps,
      **more,
    )
    y = self._head(y[:, frames[0] * place :], told[:, 1], x.shape[-1])
    y = y.astype(jnp.float32)
    pred = video.untubelets(y, dims.patch, (frames[1], *grid))
    return {"pred": pred} | found

  def _make(self) -> nn.Module:
    """A fresh block."""
    dims = self.dims
    return joint_block.JointBlock(
      heads=dims.heads,
      kv_heads=dims.heads // dims.kv_group,
      rotary_widths=(dims.head // AXES,) * AXES,
      rt=self.rt,
      parent=None,
    )

  def _embed(self, name, frames):
    """[b, n, h, w, c] -> [b, n h w / p^2, width]."""
    tokens = self.rt.shard(video.tubelets(frames, 1, self.dims.patch))
    init = nn.initializers.xavier_uniform()
    y = dense.dense(
      self.rt, self.dims.width, kernel_init=init, name=f"{name}_embed"
    )(tokens)
    return norm.layer_norm(self.rt, f"{name}_norm", EPS)(y)

  def _conditions(self, t):
    """[b, 2, width]: time, told the context and the target apart."""
    width = self.dims.width
    embed = adaln.TimeEmbed(
      width=width, hidden=width, rt=self.rt, name="time_embed"
    )
    init = nn.initializers.normal(0.02)
    own = [
      self.param(f"{n}_token", init, (width,)) for n in ("context", "target")
    ]
    return nn.silu(embed(t)[:, None] + jnp.stack(own).astype(self.rt.dtype))

  def _head(self, y, cond, channels):
    """Tokens of the target to patches of its prediction; 0 at first."""
    rt, zeros = self.rt, nn.initializers.zeros
    scale = dense.dense(
      rt, self.dims.width, kernel_init=zeros, name="modulation"
    )(cond)
    y = norm.rms_norm(rt, "norm", affine=False)(y) * (1 + scale[:, None])
    out = self.dims.patch**2 * channels
    return dense.dense(rt, out, kernel_init=zeros, name="pred")(y)
