"""What follows the encoder of a context autoencoder (CAE).

A regressor predicts latents of hidden patches from those of visible ones; a
decoder of the same width reads these predictions only.
"""

import dataclasses

from jmim.core import field
from jmim.core import runtime
from jmim.nn import sizes
from jmim.nn.decoders import cae as decoders
from jmim.nn.nets import vit


@dataclasses.dataclass(frozen=True, kw_only=True)
class Regressor:
  """Sizes of the regressor, and of the decoder behind it."""

  width: int = field.value(
    0, "width; 0: that of the encoder", low=0, was="decoder_width"
  )
  depth: int = field.value(4, "blocks", low=0, was="regressor_depth")
  heads: int = field.value(
    0, "attention heads; 0: those of the encoder", low=0, was="decoder_heads"
  )
  layer_scale: float = field.value(
    0.1, "initial LayerScale; 0: none", low=0.0, was="decoder_scale"
  )
  decoder_depth: int = field.value(4, "blocks of the decoder", low=0)
  rt: runtime.Runtime = field.runtime()

  def size(self, encoder: sizes.Size) -> sizes.Size:
    """Of the regressor behind an encoder of that size."""
    return sizes.Size(
      width=self.width or encoder.width,
      depth=self.depth,
      heads=self.heads or encoder.heads,
    )

  def net(self, encoder: vit.ViT, out: int) -> decoders.RegressorDecoder:
    """Bridge, regressor, and a decoder with `out` numbers per patch."""
    return decoders.RegressorDecoder(
      size=self.size(encoder.size),
      decoder_depth=self.decoder_depth,
      grid=encoder.grid,
      out=out,
      layer_scale=self.layer_scale,
      rt=self.rt,
    )

  def check(self, encoder: sizes.Size) -> None:
    """Raises ValueError where they cannot be built behind that encoder."""
    sizes.check(self.size(encoder), side=1, patch=1, prefix="regressor ")
