"""DiMR: a transformer on coarse tokens, then ConvNeXts on finer maps.

Liu et al. 2024, figure 3; names and details of the released code. Every branch
reads the whole noisy image, in its own patches, and predicts its noise at its
own side. A later branch is also told all that the one before it has made:

    x    = patches of the image + positions
    x   += norm(shuffle(norm(skips of the branch before)))      but in the first
    skips = [x], then the output of each block
    blocks: n, one in the middle, and n more that begin with W [x, skip], where
            skip is the output of the opposite one; n = half of `blocks`
    out  = convolution(norm(x))

The last branch predicts every pixel: where it has tokens of several, its last
convolution makes all numbers of each. So one branch alone is a U-ViT with norms
that depend on time.
"""

import functools
from typing import Any

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import adaln
from jmim.nn import conv
from jmim.nn import dense
from jmim.nn import dimr
from jmim.nn import patch as patching
from jmim.nn import stack
from jmim.nn.nets import dimr_dims


class Embed(nn.Module, kw_only=True):
  """The image as a map of a branch: smaller, in patches, with positions.

  Attributes:
    branch: its numbers.
    positions: has a table of them.
    rt: execution choices.
  """

  branch: dimr_dims.Branch
  positions: bool
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, image: jax.Array) -> jax.Array:
    """[b, H, W, c] -> [b, h, w, width]."""
    of, r = self.branch, self.branch.reduced
    x = einops.reduce(
      image, "b (h p) (w q) c -> b h w c", "mean", p=r, q=r
    ).astype(self.rt.dtype)
    x = patching.fold(x, of.patch)
    x = dense.dense(
      self.rt,
      of.width,
      kernel_init=conv.TORCH,
      bias_init=patching.conv_bias_init(x.shape[-1]),
      name="proj",
    )(x)
    if not self.positions:
      return x
    rows = self.param("pos_embed", dimr.NORMAL, (1, of.side**2, of.width))
    return x + patching.to_grid(rows, (of.side, of.side)).astype(x.dtype)


class Upsample(nn.Module, kw_only=True):
  """What a branch has made, for the next: norm, shuffle, norm.

  Attributes:
    width: of the next branch.
    ratio: its side over that of the map.
    norm: of blocks.
    rt: execution choices.
  """

  width: int
  ratio: int
  norm: str
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, skips: jax.Array, cond: jax.Array) -> jax.Array:
    """[b, h, w, d] -> [b, r h, r w, width], r = ratio."""
    normed = functools.partial(dimr.outer_norm, self.norm, self.rt)
    x = normed("norm1")(skips, cond)
    x = dimr.linear(self.rt, self.width * self.ratio**2, "shuffle")(x)
    return normed("norm2")(patching.unfold(x, self.ratio), cond)


class BranchNet(nn.Module, kw_only=True):
  """One branch.

  Attributes:
    branch: its numbers.
    channels: of what is diffused.
    classes: labels; 0: none. Transformers have a class token of them.
    ratio: side over that of the branch before; 0: there is none.
    norm: of blocks.
    rotary: see `dimr_dims.Dims`.
    rt: execution choices.
  """

  branch: dimr_dims.Branch
  channels: int
  classes: int
  ratio: int
  norm: str
  rotary: bool
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    image: jax.Array,
    *,
    cond: jax.Array,
    label: jax.Array | None,
    below: jax.Array | None,
  ) -> tuple[jax.Array, jax.Array]:
    """(prediction [b, h, w, c], skips [b, h, w, (depth + 1) width]).

    Args:
      image: [b, H, W, c] what is diffused, noisy.
      cond: times, or what is told of them, see `dimr.Block`.
      label: [b]; `classes` is none.
      below: skips of the branch before.
    """
    of, grid = self.branch, (self.branch.side,) * 2
    tokens = of.kind == "transformer"
    embed = Embed(
      branch=of,
      positions=not (tokens and self.rotary),
      rt=self.rt,
      name="embed",
    )
    x = embed(image)
    if below is not None:
      x = x + Upsample(
        width=of.width,
        ratio=self.ratio,
        norm=self.norm,
        rt=self.rt,
        name="upsample",
      )(below, cond)
    token = tokens and self.classes > 0
    if tokens:
      x = einops.rearrange(x, "b h w d -> b (h w) d")
    if token:
      first = adaln.label_table(self.classes, of.width, self.rt)(label)
      x = jnp.concatenate([first[:, None], x], axis=1)
    made = self._blocks(self.rt.shard(x), cond)
    if token:
      made = made[:, :, 1:]
    if tokens:
      made = einops.rearrange(made, "n b (h w) d -> n b h w d", h=grid[0])
    out = self._out(made[-1], cond)
    return out, einops.rearrange(made, "n b h w d -> b h w (n d)")

  def _blocks(self, x, cond):
    """[depth + 1, *x.shape]: x, and the output of every block."""
    first, taps = self._stack("first", self.branch.half + 1)(x, cond=cond)
    made = [x[None], taps["block"]]
    if self.branch.half:
      opposite = taps["block"][:-1][::-1]
      per_layer = {"skip": opposite}
      last = self._stack("last", self.branch.half)
      made.append(last(first, cond=cond, per_layer=per_layer)[1]["block"])
    return jnp.concatenate(made)

  def _stack(self, name: str, depth: int) -> stack.Stack:
    of, tokens = self.branch, self.branch.kind == "transformer"
    make = functools.partial(
      dimr.Block,
      hidden=of.hidden,
      heads=of.heads,
      kernel=0 if tokens else of.kernel,
      joins=name == "last",
      rotary=(of.side, of.side) if tokens and self.rotary else None,
      norm=self.norm,
      rt=self.rt,
      parent=None,
    )
    return stack.Stack(make, depth, self.rt, name=name)

  def _out(self, x, cond):
    k, p = self.branch.out_kernel, self.branch.unfold
    x = dimr.outer_norm(self.norm, self.rt, "norm")(x, cond)
    fan_in = k * k * self.branch.width
    x = nn.Conv(
      self.channels * p * p,
      (k, k),
      padding=k // 2,
      dtype=self.rt.dtype,
      kernel_init=conv.TORCH,
      bias_init=patching.conv_bias_init(fan_in),
      name="pred",
    )(x)
    return patching.unfold(x, p).astype(jnp.float32)


class DiMR(nn.Module, kw_only=True):
  """All branches.

  Attributes:
    branches: coarse to fine, of `dimr_dims.Dims.branches`.
    channels: of what is diffused.
    classes: labels; 0: none.
    norm: of blocks.
    rotary: see `dimr_dims.Dims`.
    detached: no gradient from a branch to the one before.
    rt: execution choices.
  """

  branches: tuple[dimr_dims.Branch, ...]
  channels: int
  classes: int = 0
  norm: str = "td_rms"
  rotary: bool = False
  detached: bool = False
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self, x: jax.Array, tau: jax.Array, label: jax.Array | None = None
  ) -> dict[str, Any]:
    """pred and skips: a tuple of those of each branch, see `BranchNet`.

    Args:
      x: [b, H, W, c], noisy.
      tau: [b] times of -1, nearly data, to 1, noise.
      label: [b]; `classes` is none.
    """
    preds, every, below, side = [], [], None, 0
    cond = self._cond(tau)
    for i, branch in enumerate(self.branches):
      net = BranchNet(
        branch=branch,
        channels=self.channels,
        classes=self.classes,
        ratio=branch.side // side if side else 0,
        norm=self.norm,
        rotary=self.rotary,
        rt=self.rt,
        name=f"branch{i}",
      )
      pred, skips = net(x, cond=cond, label=label, below=below)
      below = jax.lax.stop_gradient(skips) if self.detached else skips
      side = branch.side
      preds.append(pred)
      every.append(skips)
    return {"pred": tuple(preds), "skips": tuple(every)}

  def _cond(self, tau):
    """Times themselves, or for adaLN their embedding of the first width."""
    if self.norm != "adaln":
      return tau
    width = self.branches[0].width
    # Times of 0 .. 1000, as DiT embeds them.
    told = adaln.TimeEmbed(
      width=width, hidden=width, rt=self.rt, name="time_embed"
    )(500 * (tau + 1))
    return nn.silu(told)


def build(
  dims: dimr_dims.Dims,
  shape: tuple[int, int, int],
  *,
  classes: int,
  rt: runtime.Runtime,
) -> DiMR:
  """The network of a method's section `dims`.

  Args:
    dims: numbers of each branch.
    shape: [h, w, c] of what is diffused, h = w.
    classes: labels; 0: none.
    rt: execution choices.

  Raises:
    ValueError: fields of `dims` that do not go together.
  """
  same = {name: getattr(dims, name) for name in ("norm", "rotary", "detached")}
  branches = dims.branches(shape[0])
  return DiMR(
    branches=branches, channels=shape[2], classes=classes, rt=rt, **same
  )
