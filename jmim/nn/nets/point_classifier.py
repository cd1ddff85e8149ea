"""A point encoder with a classifier on its top level."""

from collections.abc import Sequence

import flax.linen as nn
import jax

from jmim.core import runtime
from jmim.nn import points as clouds
from jmim.nn.decoders import heads
from jmim.nn.nets import point_encoder


class PointClassifier(nn.Module, kw_only=True):
  """Parameters and statistics below `encoder` and `head`.

  Attributes:
    dims: of the encoder.
    classes: outputs.
    radii: see `point_encoder.PointEncoder`.
    hidden: see `heads.CloudHead`, as pool and dropout.
    rt: execution choices.
  """

  dims: point_encoder.Dims
  classes: int
  radii: tuple[float, ...] = ()
  hidden: int = 256
  pool: str = "sum"
  dropout: float = 0.5
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    levels: Sequence[clouds.Level],
    *,
    train: bool = False,
    drop: jax.Array | None = None,
    keys: jax.Array | None = None,
  ) -> tuple[jax.Array, jax.Array]:
    """([b, classes] float32 logits, [b, g, w] tokens of the top level).

    Args:
      levels: groups, see `points.divide`.
      train: statistics of the batch.
      drop: [blocks, 2, b] factors of the encoder's residual branches.
      keys: [b, 2] of the head's dropout; None: nothing is dropped.
    """
    net = point_encoder.PointEncoder(dims=self.dims, rt=self.rt, name="encoder")
    tokens = net(levels, train=train, drop=drop, radii=self.radii)[-1]
    head = heads.CloudHead(
      classes=self.classes,
      hidden=self.hidden,
      pool=self.pool,
      dropout=self.dropout,
      rt=self.rt,
      name="head",
    )
    return head(tokens, train=train, keys=keys), tokens
