"""A physical rendering of a face, and the parameters that it was made with.

    rendering   the source's shape and albedo, the query's pose, expression and
                light; black outside of the face
    numbers     parameters, one entry of the data after another

Both are stored: no model of 3-D faces is here. To take one factor alone from
the query, `swapped` of the batch are further renderings, one for each of
`factors`; its numbers are the source's ("source_<entry>") but for that one.
DiffFAE (Wang et al. 2024).
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method

Array = jax.Array
SOURCE = "source_{}".format


@dataclasses.dataclass(frozen=True, kw_only=True)
class Renderings:
  """Which entries are read, and how wide the features of a picture are."""

  used: bool = field.value(True, "a rendering is shown; else nothing of it")
  read: str = field.value("rendering", "entry of the rendering")
  film: int = field.value(
    64, "channels of its features at each side of the UNet", low=1
  )
  numbers: tuple[str, ...] = field.value(
    ("pose", "expression", "light"), "entries of the parameters; (): none"
  )
  sizes: tuple[int, ...] = field.value(
    (6, 64, 27), "numbers of each of these entries"
  )
  factors: tuple[str, ...] = field.value(
    (),
    "which of `numbers` each picture of `swapped` took from the query, for the "
    "output `edits`; (): there are none",
    asked=True,
  )
  swapped: str = field.value(
    "renderings", "entry of these pictures, [factors, H, W, 3]", asked=True
  )

  @property
  def wide(self) -> int:
    """All numbers."""
    return sum(self.sizes) if self.numbers else 0

  def check(self) -> None:
    """Raises ValueError for fields that do not go together."""
    if self.numbers and len(self.sizes) != len(self.numbers):
      raise ValueError(
        f"told.rendering.sizes={self.sizes} for told.rendering.numbers="
        f"{self.numbers}: give each its size"
      )
    if self.numbers and not self.used:
      raise ValueError(
        f"told.rendering.numbers={self.numbers} with told.rendering.used=False:"
        " the parameters are left out with the rendering"
      )
    unknown = [name for name in self.factors if name not in self.numbers]
    if unknown or (self.factors and not self.used):
      raise ValueError(
        f"told.rendering.factors={self.factors}: each is to be one of "
        f"told.rendering.numbers={self.numbers}, with told.rendering.used"
      )

  def inputs(self, picture: method.Input) -> dict[str, method.Input]:
    """Rendering and numbers; for edits those of source and query.

    Args:
      picture: an image as the method reads it.
    """
    if not self.used:
      return {}
    sizes = {n: self.sizes[i] for i, n in enumerate(self.numbers)}
    found = {name: method.Input((n,)) for name, n in sizes.items()}
    found[self.read] = picture
    if self.factors:
      found |= {SOURCE(name): method.Input((n,)) for name, n in sizes.items()}
      shape = (len(self.factors), *picture.shape)
      found[self.swapped] = dataclasses.replace(picture, shape=shape)
    return found

  def told(
    self, batch: method.Batch, factor: int | None = None
  ) -> tuple[Array | None, Array | None]:
    """(rendering [b, H, W, 3], numbers [b, n]); None where there is none.

    Args:
      batch: has the entries of `inputs`.
      factor: number of the one that is the query's; None: all are.
    """
    if not self.used:
      return None, None
    if factor is None:
      shown, names = batch[self.read], self.numbers
    else:
      shown, one = batch[self.swapped][:, factor], self.factors[factor]
      names = tuple(n if n == one else SOURCE(n) for n in self.numbers)
    if not names:
      return shown, None
    each = [batch[name].astype(jnp.float32) for name in names]
    return shown, jnp.concatenate(each, axis=-1)
