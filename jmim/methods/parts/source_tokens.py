"""What is kept of a source picture: tokens of its regions, and who it is.

    tokens    K learned queries that attend to its features, see
              `nets.region_tokens`
    identity  of a frozen network: mean over places of the last features of a
              run of `supervised.convnet`; or a vector that is stored (of a
              network that recognises faces)

DiffFAE (Wang et al. 2024).
"""

import dataclasses

import jax

from jmim.core import field
from jmim.core import method
from jmim.core import runtime
from jmim.nn import sizes
from jmim.nn.frozen import lpips
from jmim.nn.nets import region_tokens
from jmim.nn.nets import vit

Array = jax.Array
NAME = "identity"  # of the frozen network


@dataclasses.dataclass(frozen=True, kw_only=True)
class SourceTokens:
  """Encoder and queries, and where an identity is from."""

  read: str = field.value("source", "entry of the source picture")
  count: int = field.value(
    8, "K, tokens; 0: none, and no attention to a context", low=0
  )
  depth: int = field.value(2, "layers of attention to the grid", low=1)
  encoder: sizes.Dims = field.part(
    sizes.Dims, "ViT that gives the grid", variant="S/16", width=512, heads=8
  )
  identity: str = field.value(
    "network",
    "identity by a frozen network, stored, or none",
    choices=("network", "stored", "none"),
  )
  stored: str = field.value("identity", "entry of a stored identity")
  width: int = field.value(
    512,
    "width of the identity behind its linear map, or as it is stored",
    low=1,
  )
  path: str = field.value("", "frozen network: a run of supervised.convnet")
  sha256: str = field.value("", "hash of its arrays; empty: any")
  channels: int = field.value(
    32, "channels of its first stage (`width` of that run)", low=1
  )
  rt: runtime.Runtime = field.runtime()

  @property
  def layers(self) -> tuple[lpips.Layer, ...]:
    """Of the frozen network."""
    return lpips.small(self.channels)

  @property
  def features(self) -> int:
    """Numbers of an identity before the linear map; 0: there is none."""
    wide = {"network": self.layers[-1].width, "stored": self.width, "none": 0}
    return wide[self.identity]

  def net(self, side: int) -> region_tokens.RegionTokens:
    """Encoder and queries, on pictures of that side."""
    return region_tokens.RegionTokens(
      encoder=vit.build(self.encoder, side, cls=False, rt=self.rt),
      count=self.count,
      depth=self.depth,
      heads=self.encoder.size.heads,
      rt=self.rt,
    )

  def inputs(self, picture: method.Input) -> dict[str, method.Input]:
    """The source, and an identity that is stored.

    Args:
      picture: an image as the method reads it.
    """
    found = {}
    if self.count:
      self.encoder.check(picture.shape[0])
    if self.count or self.identity == "network":
      found[self.read] = picture
    if self.identity == "stored":
      found[self.stored] = method.Input((self.width,))
    return found

  def consts(self) -> dict[str, method.Const]:
    """The frozen network, if there is one."""
    if self.identity != "network":
      return {}
    init = lambda key: lpips.random(key, self.layers, lin=False)
    own = {"key": "method.told.source.path"}
    return {NAME: method.Const(self.path, init, self.sha256 or None, **own)}

  def who(self, weights: method.Weights, batch: method.Batch) -> Array | None:
    """[b, features] of the source; no gradient; None: there is none."""
    if self.identity == "none":
      return None
    if self.identity == "stored":
      return batch[self.stored]
    x = lpips.normalise(batch[self.read].astype("float32"))
    last = lpips.features(self.layers, weights.consts[NAME], x)[-1]
    return jax.lax.stop_gradient(last.mean((1, 2)))
