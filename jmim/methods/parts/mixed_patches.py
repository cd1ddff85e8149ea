"""A transformer told a text, its patches removed behind a mixer (MicroDiT).

`nn.nets.micro_dit` of these sizes, on images of any side. Letters: b batch, n
patches, h w c what is diffused.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.core import runtime
from jmim.masks import tokens as masking
from jmim.methods.parts import uneven_blocks
from jmim.nn.nets import micro_dit

Shape = tuple[int, int, int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class MixedPatches:
  """Patches, mixer and backbone."""

  patch: int = field.value(2, "side of a patch", low=1)
  position_scale: float = field.value(
    1.0,
    "coordinates are divided by it: 2 for a grid twice as fine as that before",
    above=0.0,
  )
  backbone: uneven_blocks.Backbone = field.part(
    uneven_blocks.Backbone, "blocks on the patches that are kept"
  )
  mixer: uneven_blocks.Mixer = field.part(
    uneven_blocks.Mixer, "blocks on all patches"
  )
  rt: runtime.Runtime = field.runtime()

  def net(self, shape: Shape) -> micro_dit.MicroDiT:
    """The network; shape: [h, w, c] of what is diffused."""
    body, mixer = self.backbone, self.mixer
    return micro_dit.MicroDiT(
      width=body.width,
      head=body.head,
      patch=self.patch,
      grid=(shape[0] // self.patch, shape[1] // self.patch),
      out=shape[2],
      layers=body.layers,
      mixer=mixer.layers(body),
      mixer_width=mixer.width or body.width,
      mixer_maps=mixer.maps,
      text_hidden=body.text_hidden,
      capacity=body.capacity,
      bias=body.bias,
      step=1 / self.position_scale,
      rt=self.rt,
    )

  def count(self, shape: Shape) -> int:
    """n."""
    return (shape[0] // self.patch) * (shape[1] // self.patch)

  def check(self, side: int, mask_ratio: float, key: str = "patches") -> None:
    """Raises ValueError where it cannot be built.

    Args:
      side: of what is diffused.
      mask_ratio: share of the patches removed in training.
      key: of this part in the method, for messages.
    """
    if side % self.patch:
      raise ValueError(
        f"size {side} does not divide by {key}.patch {self.patch}"
      )
    n = (side // self.patch) ** 2
    kept = masking.keep_count(n, mask_ratio)
    if not kept:
      raise ValueError(f"mask_ratio {mask_ratio:g} keeps none of {n} patches")
    self.backbone.check(n, kept, self.mixer, f"{key}.")

  def draw(
    self, keys: randomness.Keys, shape: tuple[int, ...]
  ) -> dict[str, jax.Array]:
    """mask [b, n] ~ U[0, 1): the smallest stay; shape: [b, h, w, c]."""
    scores = (shape[0], self.count(shape[1:]))
    return {"mask": jax.random.uniform(keys("mask"), scores)}

  def init(
    self, key: jax.Array, shape: Shape, told: tuple[int, int]
  ) -> method.Tree:
    """Parameters; told: (tokens, width) of a text."""
    x, t = jnp.zeros((1, *shape)), jnp.zeros(1)
    return self.net(shape).init(key, x, t, jnp.zeros((1, *told)))["params"]
