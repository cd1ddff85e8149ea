"""Features of an image, and the first words of its caption (ThinkDiff).

Those of a frozen ViT, or stored ones: a class token, and a grid of patches that
is made smaller. The other words of the caption are to be said. Letters:
`parts/heard.py`.
"""

import dataclasses

import einops
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import runtime
from jmim.masks import spans
from jmim.methods.parts import heard
from jmim.methods.parts import teacher as teachers
from jmim.nn import resize
from jmim.nn.nets import teacher as nets


@dataclasses.dataclass(frozen=True, kw_only=True)
class Seen:
  """Features of an image, of a frozen ViT or stored, and its caption."""

  size: int = field.value(224, "image side [pixels]", low=1)
  mean: tuple = field.value((0.485, 0.456, 0.406), "mean of normalisation")
  std: tuple = field.value((0.229, 0.224, 0.225), "std of normalisation")
  vision: teachers.Teacher = field.part(
    teachers.Teacher, "network that sees; family=none: `seen` of a batch"
  )
  grid: int = field.value(
    16, "side of the grid of stored features [patches]", low=1
  )
  width: int = field.value(1408, "width of stored features", low=1)
  pool: int = field.value(
    2, "side of the grid over that of what is told; 1: all of it", low=1
  )
  tokens: int = field.value(64, "tokens of a caption at most", low=2)
  starts: str = field.value(
    "",
    "file (.npz) of which tokens begin a word, `starts` [words] 0 or 1; "
    "empty: each does",
  )
  rt: runtime.Runtime = field.runtime()

  reads_texts = True

  def __post_init__(self):
    """Hands the runtime on."""
    vision = dataclasses.replace(self.vision, rt=self.rt)
    object.__setattr__(self, "vision", vision)

  @property
  def guide(self) -> nets.Teacher | None:
    """The network, if there is one."""
    if not self.vision.exists:
      return None
    grid = self.vision.dims.grid(self.size)
    return self.vision.net(grid, self.mean, self.std)

  def check(self, text: heard.Text) -> None:
    """Raises ValueError for fields that do not go together."""
    del text
    side = self.guide.grid[0] if self.guide else self.grid
    if self.guide:
      self.vision.dims.check(self.size, prefix="variant.vision.dims.")
      self.vision.check(self.guide.grid, "variant.vision")
    if self.pool > side:
      raise ValueError(f"variant.pool {self.pool} of a grid of {side} patches")

  def inputs(self, text: heard.Text, words: int) -> dict[str, method.Input]:
    """tokens [l]; image [h, w, 3], or seen [1 + n, c], a class token first."""
    del text
    read = {"tokens": method.Input((self.tokens,), jnp.int32, words)}
    if self.guide:
      return read | {"image": method.Input((self.size, self.size, 3))}
    return read | {"seen": method.Input((1 + self.grid**2, self.width))}

  @property
  def told(self) -> tuple[str, ...]:
    """Entries of a batch that features are made of."""
    return ("image" if self.guide else "seen",)

  @property
  def channels(self) -> int:
    """Width of the features."""
    return self.guide.width if self.guide else self.width

  def consts(self, words: int) -> dict[str, method.Const]:
    """The network that sees, and which tokens begin a word."""
    found, key = {}, "method.variant"
    if self.guide:
      found["vision"] = self.vision.const(self.guide, f"{key}.vision")
    if self.starts:
      init = lambda k: {"starts": jnp.ones(words)}
      const = method.Const(self.starts, init, key=f"{key}.starts")
      found["starts"] = const
    return found

  def whole(
    self, weights: method.Weights, batch: method.Batch, text: heard.Text
  ) -> tuple[jax.Array, jax.Array]:
    """(features [b, 1 + m, c] of an image, ones): its class token, then means.

    Halved the grid is, its patches are means of 2 x 2.
    """
    del text
    if self.guide:
      tree, images = weights.consts["vision"], batch["image"]
      seen = self.guide.read(tree, images, layer=self.vision.layer)
      cls, patches = seen["cls"][:, None], seen["patches"]
    else:
      cls, patches = jnp.split(batch["seen"], [1], axis=1)
    side = round(patches.shape[1] ** 0.5)
    grid = einops.rearrange(patches, "b (h w) c -> b h w c", h=side)
    small = resize.images(grid, (side // self.pool,) * 2, "bilinear")
    x = jnp.concatenate([cls, small.reshape(len(cls), -1, cls.shape[-1])], 1)
    return x, jnp.ones(x.shape[:2], bool)

  def heard(
    self,
    weights: method.Weights,
    batch: method.Batch,
    draws: method.Draws,
    text: heard.Text,
  ) -> heard.Heard:
    """The image and the first words of its caption; the others are said."""
    x, there = self.whole(weights, batch, text)
    tokens = batch["tokens"]
    words = spans.present(tokens, text.special)
    if self.starts:
      begin = weights.consts["starts"]["starts"][tokens] > 0
      begin = begin.at[:, 0].set(True) & words
    else:
      begin = words
    number = jnp.cumsum(begin, axis=1) - 1  # of the word
    upto = spans.place(draws["place"], begin.sum(1))
    p = (words & (number < upto[:, None])).sum(1)
    task = spans.parted(tokens, p, p, length=text.length, special=text.special)
    return heard.Heard(
      features=x,
      present=there,
      before=task.inputs,
      before_present=task.read,
      labels=task.targets,
      said=task.said,
    )
