"""The transformer of VQ-Diffusion: noisy codes, a time and a condition.

Gu et al. 2022 (microsoft/VQ-Diffusion@d1d3948). Every norm that is told
something has its own table of it:

    AdaLN(x, i) = LN(x) (1 + s) + m,  (s, m) = Linear(SiLU(e_i))   scale first

Letters: b batch, n codes in raster order, w width, c tokens of a text.
"""

import functools

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import ad_checkpoint

from jmim.core import runtime
from jmim.nn import adaln
from jmim.nn import attention
from jmim.nn import conv
from jmim.nn import dense
from jmim.nn import mlp
from jmim.nn import norm
from jmim.nn import posemb
from jmim.nn import sizes
from jmim.nn import stack

EPS = 1e-5
NORMAL = nn.initializers.normal(0.02)
EMBEDDINGS = ("learned", "sinusoid")
NORMS = ("layer", "instance")
MLPS = ("linear", "conv")
KINDS = ("none", "class", "text")


class AdaNorm(nn.Module, kw_only=True):
  """A norm whose scale and shift follow one of `rows` numbers.

  Attributes:
    rows: how many there are; number `rows` stands for none.
    kind: "learned" table, of which none is the mean, or "sinusoid" of 4000 i /
      rows.
    norm: "layer", or "instance": each channel over the places.
    rt: execution choices.
  """

  rows: int
  kind: str = "learned"
  norm: str = "layer"
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array, index: jax.Array) -> jax.Array:
    """[b, n, w] and [b] ints -> [b, n, w]."""
    width, dtype = x.shape[-1], self.rt.dtype
    if self.kind == "sinusoid":
      waves = index / self.rows * 4000.0
      embedded = posemb.sinusoid(waves, width, "sin_cos", inclusive=True)
    else:
      table = self.param("table", NORMAL, (self.rows, width))
      own = table[jnp.minimum(index, self.rows - 1)]
      none = (index >= self.rows)[:, None]
      embedded = jnp.where(none, table.mean(0), own)
    moved = dense.dense(self.rt, 2 * width, kernel_init=NORMAL, name="linear")(
      nn.silu(embedded.astype(dtype))
    )
    scale, shift = jnp.split(moved, 2, axis=-1)
    return adaln.modulate(self._normed(x), shift, scale)

  def _normed(self, x):
    """Without parameters."""
    if self.norm == "instance":
      y = jnp.swapaxes(x, -1, -2).astype(jnp.float32)
      return jnp.swapaxes(norm.whiten(y, EPS), -1, -2).astype(x.dtype)
    return norm.layer_norm(self.rt, "norm", EPS, affine=False)(x)


class ConvMLP(nn.Module, kw_only=True):
  """3 x 3 convolution, activation, 3 x 3 convolution on the grid of codes.

  Attributes:
    hidden: width inside.
    grid: (h, w) in codes.
    act: one of `mlp.ACTIVATIONS`.
    rt: execution choices.
  """

  hidden: int
  grid: tuple[int, int]
  act: str
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, n, w] -> [b, n, w]."""
    width = x.shape[-1]
    start = {"kernel_init": conv.TORCH}
    y = einops.rearrange(x, "b (h w) c -> b h w c", h=self.grid[0])
    y = conv.conv3(self.rt, self.hidden, "conv1", **start)(y)
    y = ad_checkpoint.checkpoint_name(y, "hidden")
    y = mlp.ACTIVATIONS[self.act](y)
    y = conv.conv3(self.rt, width, "conv2", **start)(y)
    return einops.rearrange(y, "b h w c -> b (h w) c")


class Block(nn.Module, kw_only=True):
  """Attention, cross-attention to a text, MLP; norms told time and class.

  Attributes:
    heads: attention heads.
    hidden: width inside of the MLP.
    grid: (h, w) in codes.
    times: T, rows of the tables of time.
    timed: kind of `AdaNorm` of the time.
    kind: of the condition. "class": the norm of the MLP is told it; "text":
      cross-attention reads it.
    classes: labels.
    classed: kind of `AdaNorm` of the class.
    class_norm: norm of it.
    mixer: "linear" or "conv": of the MLP.
    act: one of `mlp.ACTIVATIONS`.
    rt: execution choices.
  """

  heads: int
  hidden: int
  grid: tuple[int, int]
  times: int
  timed: str = "learned"
  kind: str = "none"
  classes: int = 0
  classed: str = "learned"
  class_norm: str = "layer"
  mixer: str = "linear"
  act: str = "quick_gelu"
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    *,
    cond: jax.Array | None = None,
    time: jax.Array | None = None,
    taps: tuple[str, ...] = (),
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """[b, n, w] -> [b, n, w] and the taps asked for.

    Args:
      x: codes.
      cond: labels [b] or a text [b, c, e], as `kind` says.
      time: [b] ints; None (where parameters are made): 0.
      taps: "block" (the output), or those of `attention.SelfAttention`.
    """
    rt = self.rt
    time = jnp.zeros(len(x), jnp.int32) if time is None else time
    told = functools.partial(AdaNorm, rows=self.times, kind=self.timed, rt=rt)
    attn = attention.SelfAttention(
      heads=self.heads, rt=rt, qkv_init=NORMAL, proj_init=NORMAL, name="attn"
    )
    inner = tuple(t for t in taps if t != "block")
    y, found = attn(told(name="norm1")(x, time), taps=inner)
    x = rt.shard(x + y)
    if self.kind == "text":
      cross = attention.CrossAttention(heads=self.heads, rt=rt, name="cross")
      y = cross(told(name="norm_cross")(x, time), cond.astype(x.dtype))
      x = rt.shard(x + y)
    x = ad_checkpoint.checkpoint_name(x, "middle")
    x = rt.shard(x + self._mlp(self._normed(x, cond)))
    return x, {t: x if t == "block" else found[t] for t in taps}

  def _normed(self, x, cond):
    """What the MLP reads."""
    if self.kind != "class":
      return norm.layer_norm(self.rt, "norm2", EPS)(x)
    return AdaNorm(
      rows=self.classes,
      kind=self.classed,
      norm=self.class_norm,
      rt=self.rt,
      name="norm2",
    )(x, cond)

  def _mlp(self, x):
    if self.mixer == "linear":
      return mlp.MLP(
        hidden=self.hidden,
        rt=self.rt,
        act=self.act,
        kernel_init=NORMAL,
        name="mlp",
      )(x)
    how = dict(hidden=self.hidden, grid=self.grid, act=self.act, rt=self.rt)
    return ConvMLP(name="mlp", **how)(x)


class VQTransformer(nn.Module, kw_only=True):
  """Codes with [MASK] to logits of codes.

  Attributes:
    size: width, depth, heads, MLP ratio.
    codes: K; [MASK] is K.
    grid: (h, w) in codes.
    tables: (rows, columns) of the tables of positions, whose sums in raster
      order are those of the codes; more than `grid` in the released model of
      ImageNet.
    block: other options of `Block`, (name, value).
    rt: execution choices.
  """

  size: sizes.Size
  codes: int
  grid: tuple[int, int]
  tables: tuple[int, int]
  block: tuple[tuple[str, object], ...] = ()
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    ids: jax.Array,
    time: jax.Array,
    cond: jax.Array | None = None,
    taps: tuple[str, ...] = (),
  ) -> dict[str, jax.Array]:
    """Scores every position.

    Args:
      ids: [b, n] ints up to K.
      time: [b] ints below T.
      cond: labels [b], a text [b, c, e], or None.
      taps: per-block outputs wanted, see `Block`.

    Returns:
      logits: [b, n, K] float32.
      latent: [b, n, w] after the last block.
      and each tap: [depth, ...].
    """
    size, rt = self.size, self.rt
    table = lambda name, rows: self.param(name, NORMAL, (rows, size.width))
    tokens = table("token_embed", self.codes + 1)
    rows = table("row_embed", self.tables[0])[:, None]
    columns = table("column_embed", self.tables[1])
    place = (rows + columns).reshape(-1, size.width)[: ids.shape[1]]
    x = rt.shard((tokens[ids] + place).astype(rt.dtype))
    make = functools.partial(
      Block,
      heads=size.heads,
      hidden=int(size.mlp_ratio * size.width),
      grid=self.grid,
      rt=rt,
      parent=None,
      **dict(self.block),
    )
    blocks = stack.Stack(make, size.depth, rt, name="blocks")
    latent, found = blocks(x, cond=cond, time=time, taps=taps)
    y = norm.layer_norm(rt, "norm", EPS)(latent)
    logits = dense.dense(rt, self.codes, kernel_init=NORMAL, name="head")(y)
    return {"logits": logits.astype(jnp.float32), "latent": latent, **found}
