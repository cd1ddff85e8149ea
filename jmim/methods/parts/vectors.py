"""One vector per place of an image: pixels of its patches, or features.

    patches   the pixels of the patch, as normalised
    features  of a frozen ViT, whose patches are the places: the output of one
              block, and the final norm after it where it has one (DiGIT: block
              -3 of DINOv2, then the norm)

Nearest rows of a table of such vectors are codes of the image. Letters: b
batch, n places in raster order, d numbers of a vector.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.core import runtime
from jmim.methods.parts import teacher as teachers
from jmim.nn import patch as patching
from jmim.nn.nets import teacher as nets


@dataclasses.dataclass(frozen=True, kw_only=True)
class Vectors:
  """Of which network, or of pixels; and on which images."""

  size: int = field.value(256, "image side [pixels]", low=1)
  channels: int = field.value(3, "image channels", low=1)
  patch: int = field.value(
    16,
    "side of a place [pixels]; a ViT of other patches sees images resized",
    low=1,
  )
  teacher: teachers.Teacher = field.part(
    teachers.Teacher,
    "ViT whose features they are; family none: pixels",
    family="none",
    layer=-3,
    norm=True,
  )
  mean: tuple = field.value((0.485, 0.456, 0.406), "mean of normalisation")
  std: tuple = field.value((0.229, 0.224, 0.225), "std of normalisation")
  rt: runtime.Runtime = field.runtime()

  @property
  def grid(self) -> tuple[int, int]:
    """(h, w) in places."""
    return (self.size // self.patch,) * 2

  @property
  def net(self) -> nets.Teacher:
    """The ViT, on that grid."""
    part = dataclasses.replace(self.teacher, rt=self.rt)
    return part.net(self.grid, self.mean, self.std)

  @property
  def width(self) -> int:
    """d."""
    if self.teacher.exists:
      return self.net.width
    return self.channels * self.patch**2

  def inputs(self, key: str) -> dict[str, method.Input]:
    """image [size, size, channels].

    Args:
      key: of this part in the method, with a dot at its end, for messages.

    Raises:
      ValueError: fields that do not go together.
    """
    if self.size % self.patch:
      raise ValueError(
        f"{key}size {self.size} does not divide by patch {self.patch}"
      )
    if self.teacher.exists and self.channels != 3:
      raise ValueError(f"{key}channels {self.channels}: a ViT sees 3")
    self.teacher.check(self.grid, f"{key}teacher")
    shape = (self.size, self.size, self.channels)
    return {"image": method.Input(shape)}

  def consts(self, key: str) -> dict[str, method.Const]:
    """The ViT, if there is one; key: as of `inputs`."""
    if not self.teacher.exists:
      return {}
    name = f"method.{key}teacher"
    return {"features": self.teacher.const(self.net, name)}

  def of(self, weights: method.Weights, images: jax.Array) -> jax.Array:
    """Images [b, size, size, channels] -> [b, n, d] float32; no gradient."""
    if not self.teacher.exists:
      return patching.patchify(images, self.patch).astype(jnp.float32)
    layer = self.teacher.layer
    found = self.net.read(weights.consts["features"], images, layer=layer)
    return found["patches"].astype(jnp.float32)

  def stability(
    self,
    codes_of: Callable[[jax.Array], jax.Array],
    batch: method.Batch,
    key: jax.Array,
    sigmas: tuple[float, ...],
  ) -> dict[str, jax.Array]:
    """noise_<sigma> [b]: share of codes that noise on the image leaves alone.

    Args:
      codes_of: images -> [b, n] codes.
      batch: has image [b, h, w, c], and perhaps the numbers of its examples.
      key: of the noise, the same of an example whatever its batch.
      sigmas: deviations of the noise, where the image is in 0 .. 1.
    """
    image = batch["image"]
    keys = randomness.numbered(key, method.numbers(batch))
    draw = lambda key: jax.random.normal(key, image.shape[1:])
    noise = jax.vmap(draw)(keys) / jnp.asarray(self.std)
    clean = codes_of(image)
    same = lambda sigma: (codes_of(image + sigma * noise) == clean).mean(1)
    return {f"noise_{sigma:g}": same(sigma) for sigma in sigmas}
