"""Weights of a block that DiffFit-pytorch tunes (mkshing/DiffFit-pytorch).

Its files hold a UNet of Diffusers with scales in every block; the names of one
block are those of `_unet_layers.block`.
"""

from jmim.convert import pieces
from jmim.convert.tables import _unet_layers as layers
from jmim.nn import context_block


def block(net: context_block.Block) -> pieces.Table:
  """A block alone, with whatever scales it has."""
  return layers.block(
    "", "", net.suffix, bias=net.attention_bias, scales=net.scales
  )
