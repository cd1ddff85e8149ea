"""Frozen vision transformers as teachers: families, input, layers."""

import dataclasses
import re
from typing import Any

import flax.core
import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import runtime
from jmim.nn import attention
from jmim.nn import posemb
from jmim.nn import sizes
from jmim.nn.nets import vit

# Only blocks are read: a norm after the last one is left out.
FAMILIES = {
  "clip": dict(
    positions="learned",
    pre_norm=True,
    patch_bias=False,
    style=flax.core.FrozenDict(act="quick_gelu", eps=1e-5),
  ),
  "dino": dict(positions="learned"),
  "mae": {},
}
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Teacher:
  """A ViT of some family on the grid of its student.

  Attributes:
    family: "clip" (normalises images its own way), "dino" or "mae".
    dims: size and patch; images are resized to fit the grid.
    grid: (h, w) in patches.
    mean: per channel, which the student's images were normalised with.
    std: per channel, which the student's images were normalised with.
    rt: execution choices.
  """

  family: str
  dims: sizes.Dims
  grid: tuple[int, int]
  mean: tuple[float, ...]
  std: tuple[float, ...]
  rt: runtime.Runtime

  @property
  def size(self) -> sizes.Size:
    """Width, depth, heads."""
    return self.dims.size

  @property
  def patch(self) -> int:
    """Patch side [pixels]."""
    return self.dims.patch

  @property
  def encoder(self) -> vit.ViT:
    """The network."""
    family = FAMILIES[self.family]
    return vit.ViT(
      size=self.size,
      patch=self.patch,
      grid=self.grid,
      final_norm=False,
      rt=self.rt,
      **family,
    )

  def init(self, key: jax.Array) -> Any:
    """Fresh parameters: the structure of the file they are loaded from."""
    h, w = (g * self.patch for g in self.grid)
    return self.encoder.init(key, jnp.zeros((1, h, w, 3)))["params"]

  def view(self, images: jax.Array) -> jax.Array:
    """[b, h, w, 3] as normalised for the student -> for the teacher."""
    if self.family == "clip":
      images = images * jnp.asarray(self.std) + jnp.asarray(self.mean)
      images = (images - jnp.asarray(CLIP_MEAN)) / jnp.asarray(CLIP_STD)
    sides = images.shape[1:3]
    teacher_sides = tuple(g * self.patch for g in self.grid)
    if sides == teacher_sides:
      return images
    flat = images.reshape(len(images), -1, 3)
    resized = posemb.resize(flat, sides, teacher_sides)
    return resized.reshape(-1, *teacher_sides, 3)

  def layers(self, params: Any, images: jax.Array) -> dict[str, jax.Array]:
    """What each block makes of whole images; without gradient.

    Returns:
      embedded: [b, 1 + n, d] what enters the first block.
      block: [blocks, b, 1 + n, d] raw outputs.
      importance: [b, n] attention of cls to the patches in the last block,
        mean over heads; sums to less than 1.
    """
    out = self.encoder.apply(
      {"params": params}, self.view(images), taps=("block", "q", "k")
    )
    # Only the class token's row of the last attention map is computed.
    last = attention.probabilities(out["q"][-1][:, :, :1], out["k"][-1])
    outputs = {
      "embedded": out["embedded"],
      "block": out["block"],
      "importance": last[:, :, 0, 1:].mean(1),
    }
    return jax.tree.map(jax.lax.stop_gradient, outputs)


def layer_weights(kind: str, depth: int) -> np.ndarray:
  """[depth] weights that sum to 1.

  "mean": the same for all; "out": the last layer only; "linear_decay": rising
  from 0; "top<k>": the last k; "mid<k>": layer k only, counted from 0.

  Raises:
    ValueError: none of these, or no such layers.
  """
  top = re.fullmatch(r"top([1-9]\d*)", kind)
  if top and (k := int(top[1])) <= depth:
    return np.repeat((0.0, 1 / k), (depth - k, k))
  mid = re.fullmatch(r"mid(\d+)", kind)
  if mid and (k := int(mid[1])) < depth:
    return np.eye(depth)[k]
  choices = {
    "mean": np.ones(depth),
    "out": np.eye(depth)[-1],
    "linear_decay": np.arange(depth),
  }
  if kind not in choices:
    raise ValueError(f"layers {kind!r} of a teacher with {depth} blocks")
  return choices[kind] / choices[kind].sum()
