"""Blocks of an encoder and of the decoder behind it: CRATE's, or plain ones.

Pai et al. 2024 derive theirs from sparse rate reduction; the same pipeline on
blocks of a ViT is what they are compared with.
"""

import dataclasses
import functools
from collections.abc import Callable

import flax.linen as nn

from jmim.core import field
from jmim.core import runtime
from jmim.nn import block
from jmim.nn import crate
from jmim.nn import sizes

Make = Callable[[], nn.Module]  # a fresh, unbound block, for `stack.Stack`


@dataclasses.dataclass(frozen=True, kw_only=True)
class WhiteBox:
  """CRATE's blocks: subspace attention and one step of ISTA; no MLP."""

  step: float = field.value(0.1, "step of ISTA", above=0.0)
  threshold: float = field.value(0.5, "threshold of ISTA", low=0.0)
  rt: runtime.Runtime = field.runtime()

  @property
  def measures(self) -> tuple[str, ...]:
    """Taps of an encoder's block that are one number per image."""
    return crate.MEASURES

  def encoder(self, size: sizes.Size) -> Make:
    """Makes a block of the encoder."""
    return functools.partial(
      crate.EncoderBlock,
      heads=size.heads,
      step=self.step,
      threshold=self.threshold,
      rt=self.rt,
      parent=None,
    )

  def decoder(self, size: sizes.Size) -> Make:
    """Makes a block of the decoder."""
    return functools.partial(
      crate.DecoderBlock, heads=size.heads, rt=self.rt, parent=None
    )

  def check(self, dims: sizes.Dims) -> None:
    """Raises ValueError on an option that only the other blocks have."""
    if dims.mlp_ratio:
      raise ValueError(
        f"mlp_ratio {dims.mlp_ratio}: CRATE's blocks have no MLP; 0 is all "
        "they take"
      )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plain:
  """Pre-norm blocks of a ViT, in the decoder as in the encoder."""

  rt: runtime.Runtime = field.runtime()

  @property
  def measures(self) -> tuple[str, ...]:
    """No tap is one number per image."""
    return ()

  def encoder(self, size: sizes.Size) -> Make:
    """Makes a block of the encoder."""
    return functools.partial(
      block.Block,
      heads=size.heads,
      mlp_ratio=size.mlp_ratio,
      rt=self.rt,
      parent=None,
    )

  def decoder(self, size: sizes.Size) -> Make:
    """Makes a block of the decoder, which is of the same kind."""
    return self.encoder(size)

  def check(self, dims: sizes.Dims) -> None:
    """Every size of a ViT will do."""
    del dims
