"""Conditions that stand beside what is diffused, as more channels.

inpaint   E(image with a hole), hole
superres  image of the latents' side
lowres    E(image reduced, its pixels repeated), scaled as what is diffused
semantic  map of classes, half the side twice, 1 x 1 to 3
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import method
from jmim.core import randomness
from jmim.core import runtime
from jmim.masks import rectangles
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import latent_channels
from jmim.nn import conv
from jmim.nn import patch
from jmim.nn import resize
from jmim.nn.nets import autoencoder

TASKS = ("inpaint", "superres", "lowres", "semantic")
# Those whose result is to be compared with the image of the batch.
RESTORED = ("inpaint", "superres", "lowres")
SEGMENT_CHANNELS = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Channels:
  """What is put beside, and the map that makes it of classes.

  Attributes:
    task: one of TASKS.
    segments: classes of a semantic map.
    reduction: side of an image over that of its low resolution.
    rt: execution choices.
  """

  task: str
  segments: int
  reduction: int = 8
  rt: runtime.Runtime

  @property
  def net(self) -> nn.Dense:
    """One-hot classes to channels."""
    return nn.Dense(SEGMENT_CHANNELS, use_bias=False, dtype=self.rt.dtype)

  def number(self, latent: int) -> int:
    """Channels beside the `latent` ones that are diffused."""
    more = {"superres": 3, "semantic": SEGMENT_CHANNELS}
    return more.get(self.task, latent + (self.task == "inpaint"))

  def entries(self, side: int) -> dict[str, method.Input]:
    """What is read of a batch, beside the image [side pixels]."""
    if self.task != "semantic":
      return {}
    classes = method.Input((side, side), jnp.int32, self.segments)
    return {"segmentation": classes}

  def init(self, key: jax.Array) -> method.Tree:
    """Parameters of the map, where there is one."""
    if self.task != "semantic":
      return {}
    return {
      "segments": self.net.init(key, jnp.zeros((1, self.segments)))["params"]
    }

  def check(self, first_stage: stages.FirstStage, side: int) -> None:
    """Raises ValueError for what the task cannot be made with.

    Args:
      first_stage: between the image and what is diffused.
      side: of the image [pixels].
    """
    whole = not first_stage.net or first_stage.read == "images"
    if self.task != "semantic" and not whole:
      raise ValueError(
        f"condition.task {self.task!r} needs first_stage.read='images'"
      )
    if self.task == "superres" and first_stage.factor == 1:
      raise ValueError(
        "condition.task 'superres' needs a first_stage, for its factor"
      )
    if self.task == "lowres" and side % self.reduction:
      raise ValueError(
        f"condition.task 'lowres' with condition.reduction={self.reduction}, "
        f"which does not divide the side {side}"
      )
    if self.task == "semantic" and first_stage.factor not in (1, 4):
      raise ValueError(
        f"condition.task 'semantic' with a first_stage of {first_stage.factor}"
      )

  def draw(self, keys: randomness.Keys, b: int) -> dict[str, jax.Array]:
    """hole [b, 4] ~ U[0, 1), if the task has one."""
    if self.task != "inpaint":
      return {}
    return {"hole": jax.random.uniform(keys("hole"), (b, 4))}

  def with_hole(self, batch: method.Batch, key: jax.Array) -> method.Batch:
    """A batch to sample for: it says where the hole is, if the task has one."""
    return self.draw(randomness.Keys(key), method.batch_size(batch)) | batch

  def fill(self, made: jax.Array, batch: method.Batch) -> jax.Array:
    """Images made [b, H, W, c], with the batch's own outside of its hole."""
    if self.task != "inpaint":
      return made
    hole = rectangles.holes(batch["hole"], made.shape[1])
    return jnp.where(hole > 0, made, batch["image"])

  def make(
    self,
    params: method.Tree,
    weights: method.Weights,
    batch: method.Batch,
    first_stage: stages.FirstStage,
  ) -> jax.Array:
    """[b, h, w, number], of the side of what is diffused.

    Args:
      params: those of `init`.
      weights: of the method, for the first stage.
      batch: with the draw "hole" in it, if the task has one.
      first_stage: encodes the image with a hole.
    """
    if self.task == "inpaint":
      return self._around_a_hole(weights, batch, first_stage)
    if self.task == "lowres":
      return self._low_resolution(weights, batch["image"], first_stage)
    f = first_stage.factor
    if self.task == "superres":
      b, side = len(batch["image"]), batch["image"].shape[1] // f
      return jax.image.resize(batch["image"], (b, side, side, 3), "cubic")
    x = jax.nn.one_hot(batch["segmentation"], self.segments)
    for _ in range(f // 2):  # factor 4: twice
      x = conv.half(x)
    return self.net.apply({"params": params["segments"]}, x).astype(jnp.float32)

  def _around_a_hole(self, weights, batch, first_stage):
    """The encoded image without its hole, and where that is (1, else -1)."""
    f = first_stage.factor
    hole = rectangles.holes(batch["hole"], batch["image"].shape[1])
    x = jnp.where(hole > 0, -1.0, batch["image"])
    x = _encoded(weights, x, first_stage)
    small = 2 * hole[:, f // 2 :: f, f // 2 :: f] - 1
    return jnp.concatenate([x, small], -1)

  def _low_resolution(self, weights, x, first_stage):
    """Its code, of a picture in which a pixel is a square of many."""
    sides = x.shape[1:3]
    small = tuple(n // self.reduction for n in sides)
    coarse = resize.images(resize.images(x, small, "smooth"), sides, "nearest")
    z = _encoded(weights, coarse, first_stage)
    if not first_stage.net:
      return z
    z = latent_channels.normalised(weights, z, first_stage.shift)
    return first_stage.factor_of(weights) * z


def _encoded(weights, x, first_stage):
  """Images, or the mode of their latents before the scale; no gradient."""
  if first_stage.net:
    x, _ = first_stage.net.encode(weights.consts["first_stage"], x)
    x = autoencoder.posterior(x)[0] if first_stage.net.gaussian else x
  else:
    x = patch.fold(x, first_stage.factor)
  return jax.lax.stop_gradient(x)
