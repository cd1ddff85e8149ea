"""Image to one vector: the way down and the middle of a UNet.

Preechakul et al. 2022 (Diff-AE, phizaz/diffae, `BeatGANsEncoderModel`): blocks
are told nothing and have one convolution each; then norm, SiLU, the mean over
places and one linear map.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.nn import conv
from jmim.nn import unet


class SemanticEncoder(unet.Layers, kw_only=True):
  """One vector of `out` numbers per image; its fields are those of a UNet.

  What only time, labels, a code, a context or a way up would read does nothing.
  """

  single: bool = True

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, h, w, c] -> [b, out] float32; sides divide by 2^(levels - 1)."""
    seen = unet.Seen((), None, {}, [])
    y = self._middle(self._down(x, seen, "conv_in")[-1], seen)
    norm = conv.group_norm(self.rt, self.groups, "norm_out", self.norm_eps)
    y = nn.silu(norm(y)).astype(jnp.float32).mean((1, 2))
    return self._dense(self.out, "dense_out")(y).astype(jnp.float32)
