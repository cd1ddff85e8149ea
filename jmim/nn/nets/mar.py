"""The masked encoder and decoder of MAR: a vector for each token.

Li et al. 2024 (LTH14/mar@fe470ac). "Buffer" tokens, all the embedding of the
label, stand before the tokens; the encoder sees them and what is not masked.
Letters: b batch, n tokens, k of them gathered, c numbers of a token, w width.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.masks import tokens as masking
from jmim.nn import adaln
from jmim.nn import block
from jmim.nn import dense
from jmim.nn import norm
from jmim.nn import sizes

NORMAL = nn.initializers.normal(0.02)
XAVIER = nn.initializers.xavier_uniform()


class MAR(nn.Module, kw_only=True):
  """Encoder of what is kept, decoder of all.

  Attributes:
    encoder: width, depth, heads, MLP ratio.
    decoder: the same of the decoder, whose width may be another.
    length: n.
    classes: labels, one more is "none".
    buffer: tokens of the label.
    rate: dropout of the blocks.
    rt: execution choices.
  """

  encoder: sizes.Size
  decoder: sizes.Size
  length: int
  classes: int
  buffer: int = 64
  rate: float = 0.0
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    label: jax.Array,
    mask: masking.Mask,
    *,
    valid: jax.Array | None = None,
    keys: jax.Array | None = None,
  ) -> jax.Array:
    """[b, n, w] float32, the condition of each token's distribution.

    Args:
      x: [b, n, c] tokens; those that are masked are not looked at.
      label: [b] ints; `classes` is none.
      mask: which tokens the encoder gathers.
      valid: [b, k] bool, of those that are gathered: False is gathered in vain,
        and is masked (`nn.budget`); None: all are valid.
      keys: [b, 2] dropout keys (`nn.dropout`); None: no dropout.
    """
    rt, width, first = self.rt, self.encoder.width, self.buffer
    if valid is None:
      valid = jnp.ones(mask.keep.shape, bool)
    pos = self._positions("pos_embed", width)
    # What is masked is not embedded.
    embed = dense.dense(rt, width, kernel_init=XAVIER, name="embed")
    tokens = embed(masking.take(rt.shard(x), mask.keep))
    tokens = tokens + pos[0, first:][mask.keep]
    shown = adaln.label_table(self.classes, width, rt)(label)[:, None]
    y = jnp.concatenate([shown + pos[:, :first], tokens], axis=1)
    y = rt.shard(norm.layer_norm(rt, "norm_embed")(y))
    always = jnp.ones((len(x), first), bool)
    seen = jnp.concatenate([always, valid], axis=1)
    y = self._blocks("encoder", self.encoder, y, mask=seen, keys=keys)
    return self._decode(y, mask, valid, keys)

  def _decode(self, y, mask, valid, keys):
    """[b, buffer + k, w] of the encoder -> [b, n, w] of the decoder."""
    rt, width, first = self.rt, self.decoder.width, self.buffer
    y = dense.dense(rt, width, kernel_init=XAVIER, name="decoder_embed")(y)
    token = self.param("mask_token", NORMAL, (1, 1, width)).astype(y.dtype)
    kept = jnp.where(valid[..., None], y[:, first:], token)
    y = [y[:, :first], masking.restore(kept, token, mask)]
    y = jnp.concatenate(y, axis=1) + self._positions("decoder_pos_embed", width)
    if keys is not None:  # other zeros than in the encoder
      keys = keys ^ jnp.uint32(1 << 31)
    y = self._blocks("decoder", self.decoder, y, keys=keys)
    last = self.param("diffusion_pos_embed", NORMAL, (1, self.length, width))
    return (y[:, first:] + last.astype(y.dtype)).astype(jnp.float32)

  def _positions(self, name, width):
    shape = (1, self.buffer + self.length, width)
    return jnp.asarray(self.param(name, NORMAL, shape), self.rt.dtype)

  def _blocks(self, name, size, x, **more):
    """A stack and the norm after it."""
    blocks = block.make_stack(size, self.rt, dropout=self.rate, name=name)
    index = {"index": jnp.arange(size.depth)}
    x, _ = blocks(self.rt.shard(x), per_layer=index, **more)
    return norm.layer_norm(self.rt, f"{name}_norm")(x)
