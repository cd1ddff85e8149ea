"""Transformers that denoise clips: space and time, a branch, tokens to be told.

`STDiT` has the layout of Open-Sora 1.0; `Told` is the same without time, on an
image at time 0, and gives the tokens after each of its blocks, which the blocks
of the other are told (VITON-DiT: Zheng et al. 2024). A branch is a copy of the
first N blocks that sees more (a pose, say); what it makes is added to the input
of the first N blocks, through linear maps that begin at 0 (ControlNet). Places
are fixed, so any number of frames, and frames of any sides, can be denoised.
Letters: b batch, t frames, n tokens of a frame, w width.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import adaln
from jmim.nn import dense
from jmim.nn import norm
from jmim.nn import posemb
from jmim.nn import sizes
from jmim.nn import spacetime
from jmim.nn import stack
from jmim.nn.nets import video

NORMAL = nn.initializers.normal(0.02)
XAVIER = nn.initializers.xavier_uniform()
Some = jax.Array | None


def embed(
  rt: runtime.Runtime,
  clip: jax.Array,
  *,
  size: sizes.Size,
  patch: int,
  name: str,
) -> jax.Array:
  """Patches [b, t n, w] of clips [b, t, h, w, c]; without places."""
  tokens = rt.shard(video.tubelets(clip, 1, patch))
  linear = dense.dense(rt, size.width, kernel_init=XAVIER, name=name)
  return rt.shard(linear(tokens))


def places(width: int, grid: tuple[int, int], frames: int) -> jax.Array:
  """[t n, w] of the places in each frame."""
  return jnp.tile(posemb.sincos_2d(width, grid), (frames, 1))


def times(
  rt: runtime.Runtime, t: jax.Array, width: int
) -> tuple[jax.Array, jax.Array]:
  """Embeddings of times [b]: [b, w], and [b, 6 w] for all blocks."""
  cond = adaln.TimeEmbed(width=width, hidden=width, rt=rt, name="time_embed")(t)
  six = dense.dense(rt, 6 * width, kernel_init=NORMAL, name="modulation")
  return cond, six(nn.silu(cond))


class Told(nn.Module, kw_only=True):
  """Tokens of an image, those after each block.

  Attributes:
    size: width, depth, heads.
    patch: side of a patch.
    rt: execution choices.
  """

  size: sizes.Size
  patch: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, image: jax.Array) -> jax.Array:
    """[b, h*p, w*p, c] -> [depth, b, n, width]."""
    rt, s = self.rt, self.size
    grid = tuple(side // self.patch for side in image.shape[1:3])
    how = dict(size=s, patch=self.patch)
    x = embed(rt, image[:, None], **how, name="patch_embed")
    x = x + places(s.width, grid, 1).astype(rt.dtype)
    _, six = times(rt, jnp.zeros(len(image)), s.width)
    how = dict(heads=s.heads, mlp_ratio=s.mlp_ratio, rt=rt, parent=None)
    make = functools.partial(spacetime.Block, **how)
    blocks = stack.Stack(make, s.depth, rt, name="blocks")
    return blocks(x, cond=six, taps=("block",))[1]["block"]


class STDiT(nn.Module, kw_only=True):
  """Noisy clip and time to a prediction per pixel.

  Attributes:
    size: width, depth, heads.
    patch: side of a patch.
    out: channels of the prediction.
    temporal: blocks have attention along the frames.
    context: blocks look at a context.
    branch: blocks of the branch; 0: there is none.
    rt: execution choices.
  """

  size: sizes.Size
  patch: int
  out: int
  temporal: bool = False
  context: bool = False
  branch: int = 0
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    t: jax.Array,
    *,
    told: Some = None,
    keep: Some = None,
    context: Some = None,
    beside: Some = None,
  ) -> jax.Array:
    """Predicts for [b, t, h*p, w*p, c].

    Args:
      x: noisy clip.
      t: [b] times.
      told: [depth, b, m, width], tokens that each block is told.
      keep: [b], 0 where an example is told nothing; None: all are.
      context: [b, s, e]; needed if blocks look at one.
      beside: [b, t, h*p, w*p, d], what the branch sees; needed if there is one.

    Returns:
      [b, t, h*p, w*p, out] float32, 0 at the start.
    """
    rt, s, frames = self.rt, self.size, x.shape[1]
    grid = tuple(side // self.patch for side in x.shape[2:4])
    cut = dict(size=s, patch=self.patch)
    tokens = embed(rt, x, **cut, name="patch_embed")
    tokens = tokens + places(s.width, grid, frames).astype(rt.dtype)
    cond, six = times(rt, t, s.width)
    shared = dict(cond=six, frames=frames, keep=keep)
    if self.context:
      look = dense.dense(rt, s.width, kernel_init=XAVIER, name="context_embed")
      shared["context"] = look(context)
    each = {} if told is None else {"told": told}
    blocks = self._blocks("blocks", s.depth)
    if self.branch:
      more = embed(rt, beside, **cut, name="branch_embed")
      side = self._blocks("branch", self.branch, branch=True)
      first = {name: a[: self.branch] for name, a in each.items()}
      _, found = side(tokens + more, per_layer=first, taps=("added",), **shared)
      first = each | {"added": found["added"]}
      tokens, _ = blocks(tokens, per_layer=first, stop=self.branch, **shared)
    y, _ = blocks(tokens, per_layer=each, start=self.branch, **shared)
    return self._read(y, cond, grid, frames)

  def _blocks(self, name, depth, **more):
    """A stack of blocks."""
    s, own = self.size, dict(temporal=self.temporal, context=self.context)
    how = dict(heads=s.heads, mlp_ratio=s.mlp_ratio, rt=self.rt, parent=None)
    make = functools.partial(spacetime.Block, **how, fused=True, **own, **more)
    return stack.Stack(make, depth, self.rt, name=name)

  def _read(self, y, cond, grid, frames):
    """Tokens -> [b, t, h, w, out], with shift and scale by the time."""
    shift, scale = adaln.single(self, 2, cond[:, None])
    y = norm.layer_norm(self.rt, "norm", affine=False)(y)
    y = adaln.modulate(y, shift, scale)
    zero = spacetime.ZEROS
    how = dict(kernel_init=zero, name="pred")
    y = dense.dense(self.rt, self.patch**2 * self.out, **how)(y)
    y = y.astype(jnp.float32)
    return video.untubelets(y, self.patch, (frames, *grid))


def begun(net: dict, told: dict, branch: int) -> tuple[dict, dict]:
  """Fresh parameters (net, told) of which blocks are copies of the first.

  Args:
    net: of an STDiT: its branch has its first blocks.
    told: of a `Told`: it has all of the blocks, and the embedding of times.
    branch: blocks of the branch; 0: there is none.
  """
  layers = net["blocks"]["layers"]
  own = told["blocks"]["layers"]
  blocks = {"layers": {name: layers[name] for name in own}}
  same = {name: net[name] for name in ("time_embed", "modulation")}
  told = jax.tree.map(jnp.copy, told | same | {"blocks": blocks})
  if not branch:
    return net, told
  first = jax.tree.map(lambda a: a[:branch], layers)
  side = {"layers": net["branch"]["layers"] | first}
  return net | {"branch": side}, told
