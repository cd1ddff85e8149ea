"""From features of speech, and codes of a face, to the codes of its mouth.

Liu et al. 2024 (DiffDub, stage 2): layers of a speech encoder are mixed with
learned weights, a convolution of stride 2 brings them to the rate of frames,
and they attend to codes of the same face, which a Conformer has read; nothing
of a query is added to what it attends to.

    h   = conv(sum_l softmax(w)_l sound_l)              ceil(n / 2) frames
    r   = Conformer(W c)
    y   = LN(W attention(h, r, r))
    z   = W Conformer(Conformer(y))
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import runtime
from jmim.nn import attention
from jmim.nn import conformer
from jmim.nn import dense
from jmim.nn import dropout
from jmim.nn import norm

Array = jax.Array
EPS = 1e-5  # of torch's LayerNorm


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dims:
  """What there is beside the Conformers' own sizes, for a method's config."""

  reference_blocks: int = field.value(2, "blocks that read codes", low=0)
  speech_blocks: int = field.value(4, "blocks behind the attention", low=0)
  decoder_blocks: int = field.value(4, "blocks behind these", low=0)
  cross_heads: int = field.value(8, "heads of that attention", low=1)
  cross_dropout: float = field.value(
    0.1, "rate of what it gives", low=0.0, below=1.0
  )

  def check(self, width: int) -> None:
    """Raises ValueError for heads that do not divide the width."""
    if width % self.cross_heads:
      raise ValueError(
        f"width {width} does not divide by {self.cross_heads} cross_heads"
      )


class SpeechCodes(nn.Module, kw_only=True):
  """One code per frame.

  Attributes:
    dims: blocks and attention.
    blocks: sizes of the Conformers.
    codes: numbers of a code.
    rt: execution choices.
  """

  dims: Dims
  blocks: conformer.Dims
  codes: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    sound: Array,
    references: Array,
    *,
    keys: Array | None = None,
    train: bool = False,
  ) -> Array:
    """Codes [b, floor((n - 1) / 2) + 1, d] float32.

    Args:
      sound: [b, l, n, w] features of l layers, two per frame.
      references: [b, r, d] codes of the same face; any number.
      keys: [b, 2] key data of dropout; None: there is none.
      train: BatchNorm by the batch's statistics.
    """
    dims, rt = self.dims, self.rt
    width = self.blocks.width
    mixed = self.mixed(sound).astype(rt.dtype)
    audio = nn.Conv(
      width, (3,), 2, padding=((1, 1),), dtype=rt.dtype, name="conv"
    )(mixed)

    def net(name, depth, first):
      options = dict(dims=self.blocks, depth=depth, first=first, rt=rt)
      return conformer.Conformer(**options, name=name)

    n, m = dims.reference_blocks, dims.speech_blocks
    # A width of its own needs a map; with that of the codes they are read so.
    known = references.astype(rt.dtype)
    if self.codes != width:
      known = dense.dense(rt, width, name="code_in")(known)
    known = net("reference", n, 0)(known, keys, train)
    heads = dims.cross_heads
    cross = attention.CrossAttention(
      heads=heads, qkv_bias="qv", rt=rt, name="cross"
    )
    # 0 .. SITES - 2 are no other place's.
    y = dropout.dropout(cross(audio, known), keys, dims.cross_dropout, 0)
    y = norm.layer_norm(rt, "norm", EPS)(dense.dense(rt, width, name="fc")(y))
    y = net("speech", m, n + 1)(y, keys, train)
    y = net("decoder", dims.decoder_blocks, n + m + 2)(y, keys, train)
    return dense.dense(rt, self.codes, name="code_out")(y).astype(jnp.float32)

  def mixed(self, sound: Array) -> Array:
    """[b, n, w] float32: layers with their learned weights, first all equal."""
    layers = self.param("shares", nn.initializers.zeros, sound.shape[1:2])
    share = jax.nn.softmax(layers.astype(jnp.float32))
    return jnp.einsum("l,blnw->bnw", share, sound.astype(jnp.float32))
