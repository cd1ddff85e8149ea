"""A DiT where a UNet is asked for: told a context by attention in its blocks.

Peebles and Xie 2023 with `nn.told_block` in each block, as PixArt-alpha (Chen
et al. 2024) has it; time alone modulates. Without a context it is `dit.DiT`
without labels, with the same names and numbers.
"""

import dataclasses
from typing import Any
from typing import ClassVar

import jax

from jmim.core import field
from jmim.core import runtime
from jmim.nn import sizes
from jmim.nn import told_block
from jmim.nn.nets import dit


class ToldDiT(dit.DiT, kw_only=True):
  """Noisy image, time and context to a prediction per pixel."""

  def __call__(
    self,
    x: jax.Array,
    t: jax.Array,
    label: jax.Array | None = None,
    context: jax.Array | None = None,
  ) -> jax.Array:
    """Predicts for [b, h*p, w*p, c]; arguments and result as of `unet.UNet`.

    Args:
      x: noisy image, with concatenated conditions if there are any.
      t: [b] times.
      label: not read.
      context: [b, s, e]; needed if the blocks are told one.

    Returns:
      [b, h*p, w*p, out] float32, 0 at the start.
    """
    del label
    return super().__call__(x, t, context=context)["pred"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dims:
  """Size of it, and of its patches, as a method's config has them."""

  dropout: ClassVar[float] = 0.0  # there is none

  body: sizes.Dims = field.part(
    sizes.Dims, "blocks, and the patches that they see", variant="B/2"
  )

  def check(self, side: int) -> None:
    """Raises ValueError unless one on images of that side can be built."""
    self.body.check(side)

  def net(
    self,
    *,
    out: int,
    rt: runtime.Runtime,
    dropout: float = 0.0,
    transformer: int = 0,
    **options: Any,
  ) -> ToldDiT:
    """The network.

    Args:
      out: channels of the prediction.
      rt: execution choices.
      dropout: 0.
      transformer: attentions to a context in each block: none, or 1.
      **options: the other fields of `dit.DiT`.

    Raises:
      ValueError: more of them.
    """
    assert not dropout
    if transformer > 1:
      raise ValueError(
        f"condition.transformer {transformer} with dims.type 'dit': each of "
        "its blocks looks at a context once, give 1"
      )
    between = told_block.Told if transformer else None
    own = dict(size=self.body.size, patch=self.body.patch, between=between)
    return ToldDiT(**own, grid=(), out=out, rt=rt, **options)
