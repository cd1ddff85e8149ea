"""Frozen vision transformers as teachers: families, input, layers."""

import dataclasses
import re

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
    size: width, depth, heads.
    patch: side of a patch in pixels; images are resized to fit the grid.
    grid: (h, w) in patches.
    mean: of the images given to the student.
    std: of the images given to the student.
    rt: execution choices.
  """

  family: str
  size: sizes.Size
  patch: int
  grid: tuple[int, int]
  mean: tuple[float, ...]
  std: tuple[float, ...]
  rt: runtime.Runtime

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

  def init(self, key: jax.Array):
    """Fresh parameters: the structure of the file they are loaded from."""
    h, w = (g * self.patch for g in self.grid)
    return self.encoder.init(key, jnp.zeros((1, h, w, 3)))["params"]

  def view(self, images: jax.Array) -> jax.Array:
    """[b, h, w, 3] as the student sees them -> as the teacher does."""
    if self.family == "clip":
      images = images * jnp.asarray(self.std) + jnp.asarray(self.mean)
      images = (images - jnp.asarray(CLIP_MEAN)) / jnp.asarray(CLIP_STD)
    seen, wanted = images.shape[1:3], tuple(g * self.patch for g in self.grid)
    if seen == wanted:
      return images
    flat = images.reshape(len(images), -1, 3)
    return posemb.resize(flat, seen, wanted).reshape(-1, *wanted, 3)

  def layers(self, params, images: jax.Array) -> dict[str, jax.Array]:
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
    # The rest of the attention maps is not needed, nor this one's other rows.
    last = attention.probabilities(out["q"][-1][:, :, :1], out["k"][-1])
    found = {k: out[k] for k in ("embedded", "block")}
    found["importance"] = last[:, :, 0, 1:].mean(1)
    return jax.tree.map(jax.lax.stop_gradient, found)


def layer_weights(kind: str, depth: int) -> np.ndarray:
  """[depth] weights that sum to 1.

  "mean": the same for all; "out": the last layer only; "linear_decay": rising
  from 0; "top<k>": the last k; "mid<k>": layer k only, counted from 0.

  Raises:
    ValueError: none of these, or no such layers.
  """
  if found := re.fullmatch(r"top([1-9]\d*)", kind):
    k = int(found[1])
    if k <= depth:
      return np.repeat((0.0, 1 / k), (depth - k, k))
  if (found := re.fullmatch(r"mid(\d+)", kind)) and int(found[1]) < depth:
    return np.eye(depth)[int(found[1])]
  choices = {
    "mean": np.ones(depth),
    "out": np.eye(depth)[-1],
    "linear_decay": np.arange(depth),
  }
  if kind not in choices:
    raise ValueError(f"layers {kind!r} of a teacher with {depth} blocks")
  return choices[kind] / choices[kind].sum()
