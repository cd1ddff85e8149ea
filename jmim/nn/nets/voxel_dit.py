"""DiT on a grid of voxels, and its masked form with a decoder.

DiT-3D (Mo et al. 2023): patches of voxels are tokens of adaLN-Zero blocks with
exact GELU, some of which attend in windows. FastDiT-3D (Mo et al. 2024): the
encoder sees the tokens that are kept, a light decoder all of them.
"""

import functools
import itertools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.masks import occupied
from jmim.masks import tokens as masking
from jmim.nn import adaln
from jmim.nn import dense
from jmim.nn import grid3d
from jmim.nn import sizes
from jmim.nn import stack


class VoxelDiT(nn.Module, kw_only=True):
  """Voxels, time and label to a prediction per voxel.

  Attributes:
    size: width, depth, heads of the (encoder's) blocks.
    patch: side of a patch in voxels.
    grid: (x, y, z) in patches.
    out: channels of the prediction.
    classes: labels 0 .. classes - 1, `classes` = none; 0: no label table.
    windows: those of the blocks that attend in windows, by number from 0; they
      see all tokens only, so nothing may be masked.
    side: of a window in tokens.
    ffn: of the encoder's blocks in place of an MLP, see `adaln.AdaBlock`.
    decoder: size of the decoder; None: there is none, and nothing is masked.
    decoder_windows: as `windows`.
    rt: execution choices.
  """

  size: sizes.Size
  patch: int
  grid: grid3d.Grid
  out: int = 3
  classes: int = 0
  windows: tuple[int, ...] = ()
  side: int = 4
  ffn: Callable[..., nn.Module] | None = None
  decoder: sizes.Size | None = None
  decoder_windows: tuple[int, ...] = ()
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    volume: jax.Array,
    t: jax.Array,
    label: jax.Array | None = None,
    kept: occupied.Kept | None = None,
    *,
    taps: tuple[str, ...] = (),
  ) -> dict[str, jax.Array]:
    """Predicts for [b, x*p, y*p, z*p, c].

    Args:
      volume: voxels.
      t: [b] times.
      label: [b] int; needed if there are classes.
      kept: tokens that the encoder sees; None: all, in raster order.
      taps: per-block outputs of the encoder, see `adaln.AdaBlock`.

    Returns:
      pred: [b, x*p, y*p, z*p, out] float32.
      tokens: [b, k, width] what the encoder reads.
      latent: [b, k, width] what it gives.
      and each tap: [depth, ...].
    """
    rt = self.rt
    cond = self._condition(t, label)
    tokens, valid = self._tokens(volume, kept)
    x, mask = masking.fill_up(
      tokens, valid, 1 if kept is None else rt.pad_tokens
    )
    x, found = self._blocks(
      rt.shard(x),
      self.size,
      self.windows,
      ffn=self.ffn,
      cond=cond,
      mask=mask,
      taps=taps,
    )
    y = latent = x[:, : tokens.shape[1]]
    if self.decoder is not None:
      y = self._decode(latent, kept, cond)
    y = adaln.last(rt, adaln.bare_norm(rt, "norm", affine=False)(y), cond)
    numbers = self.patch**3 * self.out
    y = dense.dense(rt, numbers, kernel_init=adaln.ZEROS, name="pred")(y)
    y = rt.shard(y.astype(jnp.float32))
    pred = grid3d.unpatchify(y, self.patch, self.grid)
    return {"pred": pred, "tokens": tokens, "latent": latent, **found}

  def _condition(self, t, label):
    """[b, width] time and label, through the SiLU of all modulations."""
    width, rt = self.size.width, self.rt
    embed = adaln.TimeEmbed(width=width, hidden=width, rt=rt, name="time_embed")
    cond = embed(t)
    if self.classes:
      cond = cond + adaln.label_table(self.classes, width, rt)(label)
    return nn.silu(cond)

  def _tokens(self, volume, kept):
    """([b, k, width] embedded patches with positions, which are there)."""
    patches = self.rt.shard(grid3d.patchify(volume, self.patch))
    table = self._table(self.size.width)
    valid = None
    if kept is not None:
      # Only what is kept is embedded; a slot without a token shows the last.
      ids = jnp.minimum(kept.keep, patches.shape[1] - 1)
      patches, table = masking.take(patches, ids), table[ids]
      valid = kept.valid
    xavier = nn.initializers.xavier_uniform()
    embed = dense.dense(
      self.rt, self.size.width, kernel_init=xavier, name="patch_embed"
    )
    return embed(patches) + table, valid

  def _table(self, width):
    return jnp.asarray(grid3d.sincos(width, self.grid), self.rt.dtype)

  def _decode(self, latent, kept, cond):
    """[b, k, w] latents -> [b, n, decoder width]."""
    width, rt = self.decoder.width, self.rt
    y = dense.dense(
      rt,
      width,
      kernel_init=nn.initializers.xavier_uniform(),
      name="decoder_embed",
    )(latent)
    token = self.param(
      "mask_token", nn.initializers.normal(0.02), (1, 1, width)
    )
    if kept is not None:
      y = occupied.restore(y, token, kept)
    y = rt.shard(y + self._table(width))
    windows = self.decoder_windows
    return self._blocks(y, self.decoder, windows, cond=cond, prefix="decoder_")[
      0
    ]

  def _blocks(
    self, x, size, windows, *, cond, ffn=None, mask=None, prefix="", taps=()
  ):
    """Blocks of two kinds, each kind one stack: (x, taps [depth, ...])."""
    make = functools.partial(
      adaln.AdaBlock,
      heads=size.heads,
      mlp_ratio=size.mlp_ratio,
      act="gelu",
      ffn=ffn,
      rt=self.rt,
      parent=None,
    )
    attn = functools.partial(
      grid3d.WindowAttention, grid=self.grid, side=self.side
    )
    makes = {
      "blocks": make,
      "window_blocks": functools.partial(make, attn=attn),
    }
    kinds = [
      "window_blocks" if i in windows else "blocks" for i in range(size.depth)
    ]
    stacks = {
      kind: stack.Stack(
        makes[kind], kinds.count(kind), self.rt, name=prefix + kind
      )
      for kind in dict.fromkeys(kinds)
    }
    done, parts = dict.fromkeys(stacks, 0), []
    for kind, run in itertools.groupby(kinds):
      start, stop = done[kind], done[kind] + len(list(run))
      x, found = stacks[kind](
        x, cond=cond, mask=mask, taps=taps, start=start, stop=stop
      )
      done[kind] = stop
      parts.append(found)
    return x, jax.tree.map(lambda *a: jnp.concatenate(a), *parts)
