"""From features of one frozen network into the space of another (ThinkDiff).

    h = N(W_2 gelu(W_1 x + b_1) + b_2)       GELU exact
    N h = h / sqrt(mean h^2 + eps) * scale   T5's norm: no mean, no bias

Its scale begins as that of the other network's last norm, so that what it gives
is as large as what that network gave, channel by channel. `init` sees no frozen
network: the scale is stored less that of the norm, and begins at 0 (see
`parts/host.py`); with `norm=own` it is stored as it is, and begins at 1.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import runtime
from jmim.nn import adapters


@dataclasses.dataclass(frozen=True, kw_only=True)
class Projector:
  """How it begins; its widths are those of the networks around it."""

  norm: str = field.value(
    "copied",
    "scale of its norm: copied from the last norm of the encoder, to which it "
    "adds, or its own, from 1 on",
    choices=("copied", "own"),
  )
  rt: runtime.Runtime = field.runtime()

  @property
  def copied(self) -> bool:
    """Whether the scale is that of the encoder and an own one."""
    return self.norm == "copied"

  def net(self, width: int) -> adapters.NormedProjection:
    """The network; width: of its result."""
    return adapters.NormedProjection(width=width, rt=self.rt)

  def init(self, key: jax.Array, inner: int, width: int) -> method.Tree:
    """Parameters, for features of width `inner`."""
    x = jnp.zeros((1, 1, inner))
    made = self.net(width).init(key, x)["params"]
    if self.copied:
      made["norm"] = jax.tree.map(jnp.zeros_like, made["norm"])
    return made

  def project(
    self, own: method.Tree, scale: jax.Array | None, x: jax.Array
  ) -> jax.Array:
    """[b, n, inner] -> [b, n, w].

    Args:
      own: parameters of `init`.
      scale: [w] of the encoder's last norm; not looked at unless copied.
      x: features.
    """
    if self.copied:
      own = {**own, "norm": {"scale": own["norm"]["scale"] + scale}}
    width = len(own["norm"]["scale"])
    return self.net(width).apply({"params": own}, x)
