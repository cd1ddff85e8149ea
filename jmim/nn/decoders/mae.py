"""The decoder of MAE (He et al. 2022)."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.masks import tokens as masking
from jmim.nn import block
from jmim.nn import dense
from jmim.nn import norm
from jmim.nn import posemb
from jmim.nn import sizes


class MaskedDecoder(nn.Module, kw_only=True):
  """MAE decoder: mask tokens put back, blocks, a linear head per patch.

  Attributes:
    size: width, depth, heads of the decoder.
    grid: (h, w) in patches.
    out: outputs per patch, p*p*c.
    order: of the sin-cos table.
    sign: of the table: 1 adds it, -1 subtracts it (LMD).
    cls: the first of the encoded tokens is a class token.
    eps: of the LayerNorms.
    rt: execution choices.
  """

  size: sizes.Size
  grid: tuple[int, int]
  out: int
  order: str = "xy"
  sign: int = 1
  cls: bool = True
  eps: float = 1e-6
  rt: runtime.Runtime = runtime.Runtime()

  def __call__(
    self,
    latent: jax.Array,
    mask: masking.Mask,
    valid: jax.Array | None = None,
  ) -> jax.Array:
    """[b, cls + k, w] -> [b, n, out] in float32, raster order, cls dropped.

    Args:
      latent: encoded cls and visible patches, in the order of `mask.keep`.
      mask: the split of the n patches.
      valid: [b, k] bool, False = kept only to fill up: a mask token stands
        there too (see `nn.budget`); None: all are visible.
    """
    return self.run(latent, mask, valid)["pred"]

  @nn.compact
  def run(
    self,
    latent: jax.Array,
    mask: masking.Mask,
    valid: jax.Array | None = None,
    *,
    bias_of: Callable[[jax.Array], jax.Array] | None = None,
    taps: tuple[str, ...] = (),
  ) -> dict[str, jax.Array]:
    """As a call, with what is on the way.

    Args:
      latent: as of a call.
      mask: as of a call.
      valid: as of a call.
      bias_of: makes a bias of attention, see `block.Block`.
      taps: per-block outputs to return as well, see `block.Block`.

    Returns:
      pred: [b, n, out] float32, raster order, cls dropped.
      patches: [b, n, width] without positions: visible tokens as they are
        embedded, the mask token elsewhere.
      latent: [b, cls + n, width] after the final norm.
      and each tap: [blocks, b, cls + n, ...].
    """
    width, dtype = self.size.width, self.rt.dtype
    init = nn.initializers.xavier_uniform()
    y = dense.dense(self.rt, width, kernel_init=init, name="embed")(latent)
    normal = nn.initializers.normal(0.02)
    token = self.param("mask_token", normal, (1, 1, width))
    first = int(self.cls)
    kept = y[:, first:]
    if valid is not None:
      kept = jnp.where(valid[..., None], kept, token.astype(dtype))
    patches = masking.restore(kept, token, mask)
    y = jnp.concatenate([y[:, :first], patches], axis=1)
    table = posemb.sincos_2d(width, self.grid, self.order, prefix=first)
    table = self.sign * table
    y = self.rt.shard(y + jnp.asarray(table, dtype))
    t = y.shape[1]
    # Taps and biases have the shape of the tokens before filling up.
    fill = 1 if taps or bias_of is not None else self.rt.pad_tokens
    y, seen = masking.fill_up(y, None, fill)
    seen = {} if seen is None else {"mask": seen}
    blocks = block.make_stack(self.size, self.rt, name="blocks", eps=self.eps)
    y, tapped = blocks(y, taps=taps, bias_of=bias_of, **seen)
    y = norm.layer_norm(self.rt, "norm", self.eps)(y[:, :t])
    pred = dense.dense(self.rt, self.out, kernel_init=init, name="pred")(y)
    pred = pred[:, first:].astype(jnp.float32)
    return {"pred": pred, "patches": patches, "latent": y, **tapped}
