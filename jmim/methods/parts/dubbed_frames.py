"""What a renderer of codes makes of the frames of a clip, with given weights.

A batch holds groups of pictures, see `parts/shown_frames.py`.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import method
from jmim.core import randomness
from jmim.methods import outputs
from jmim.methods.parts import clean_region
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided
from jmim.methods.parts import lower_face
from jmim.methods.parts import shown_frames
from jmim.nn.nets import coded

Array = jax.Array
Shown = shown_frames.Shown


@dataclasses.dataclass(frozen=True, kw_only=True)
class DubbedFrames:
  """Networks, holes and process as functions of pictures.

  Attributes:
    nets: UNet and encoder.
    params: of both.
    face: where hole and crop are.
    clean: known pixels.
    noise: the process.
    sampling: its sampler.
  """

  nets: coded.Coded
  params: Any
  face: lower_face.LowerFace
  clean: clean_region.CleanRegion
  noise: gaussian.Gaussian
  sampling: guided.Guided

  def code(self, shown: Shown) -> Array:
    """[b, d] of crops as they are."""
    crops = self.face.crops(shown.x, shown.points)
    return self.nets.encode(self.params, crops)

  def keep(self, shown: Shown) -> Array:
    """[b, h, w, 1], 1 where a pixel is known."""
    return self.face.keep(shown.x, shown.points)

  def error(
    self,
    shown: Shown,
    keep: Array,
    *,
    code: Array,
    draws: method.Draws,
  ) -> tuple[Array, Array, Array]:
    """(loss [b], x_t, predicted noise [b, h, w, c]) at the drawn times.

    Args:
      shown: the pictures.
      keep: [b, h, w, 1 or c], 1 where a pixel is known.
      code: [b, d].
      draws: t [b] and noise [b, h, w, c].
    """
    t, noise, x = draws["t"], draws["noise"], shown.x
    x_t = self.clean.mixed(keep, x, self.noise.add(x, t, noise)[0])
    beside = shown.beside
    pred = self.nets.noise(self.params, x_t, t, beside=beside, code=code)
    return self.clean.errors(keep, pred, noise), x_t, pred

  def normals(
    self, batch: method.Batch, key: jax.Array
  ) -> Callable[[Any], Array]:
    """Number of a draw -> [b, h, w, c] noise of each example.

    A function of key and number of the example; or of its `seed` [b, 2], key
    data, where the batch has that.
    """
    shape = self.nets.shape
    if "seed" not in batch:
      return randomness.normals(key, method.numbers(batch), shape)
    keys = jax.random.wrap_key_data(batch["seed"])
    one = lambda k, call: jax.random.normal(jax.random.fold_in(k, call), shape)
    return lambda call: jax.vmap(one, (0, None))(keys, call)

  def rendered(
    self, shown: Shown, code: Array, draw: Callable[[Any], Array]
  ) -> Array:
    """Pictures [b, h, w, c] whose hole shows what codes [b, d] say.

    Args:
      shown: the pictures.
      code: their codes.
      draw: see `normals`.
    """
    image, _ = self.clean.walk(
      self.noise,
      self.sampling,
      network=lambda x, t: self.nets.noise(
        self.params, x, t, beside=shown.beside, code=code
      ),
      keep=self.keep(shown),
      known=shown.x,
      # Numbers below are the calls of the sampler.
      start=self.nets.rt.shard(draw(self.sampling.steps)),
      normal=draw,
    )
    return image

  def every(self, batch: method.Batch) -> Shown:
    """Entries [m, b, ...]: every picture of the groups."""
    return shown_frames.every(batch, self.nets.references)

  # Outputs of a method.

  def features(self, batch: method.Batch, key: jax.Array) -> Array:
    """Codes [b, d] of the first of each group."""
    del key
    return self.code(shown_frames.first(batch, self.nets.references))

  def codes(self, batch: method.Batch, key: jax.Array) -> Array:
    """Codes [b, m, d] of all pictures, one after the other."""
    del key
    found = jax.lax.map(self.code, self.every(batch))
    return jnp.moveaxis(found, 0, 1)

  def reconstruct(
    self, batch: method.Batch, key: jax.Array
  ) -> dict[str, Array]:
    """image, made with its own code; mask, 1 in the hole; target."""
    shown = shown_frames.first(batch, self.nets.references)
    draw = self.normals(batch, key)
    made = self.rendered(shown, self.code(shown), draw)
    mask = jnp.broadcast_to(1 - self.keep(shown), made.shape)
    return {"image": made, "mask": mask, "target": shown.x}

  def swapped(self, batch: method.Batch, key: jax.Array) -> dict[str, Array]:
    """image, made with the code of the neighbour; source; guide, that one.

    Examples 2 i and 2 i + 1 are neighbours.
    """
    shown = shown_frames.first(batch, self.nets.references)
    other = outputs.neighbours(len(shown.x))
    code = self.code(shown)[other]
    made = self.rendered(shown, code, self.normals(batch, key))
    return {"image": made, "source": shown.x, "guide": shown.x[other]}

  def dubbed(self, batch: method.Batch, key: jax.Array) -> dict[str, Array]:
    """video [b, m, h, w, c], from one noise; outside [b], change of the known.

    With `codes` [b, m, d] in the batch it shows those, else its own.
    """
    codes, draw = batch.get("codes"), self.normals(batch, key)
    if codes is not None:
      codes = jnp.moveaxis(codes, 1, 0)

    def one(member):
      shown, code = member
      code = self.code(shown) if code is None else code
      made = self.rendered(shown, code, draw)
      moved = self.keep(shown) * jnp.abs(made - shown.x)
      return made, moved.max((1, 2, 3))

    video, outside = jax.lax.map(one, (self.every(batch), codes))
    return {"video": jnp.moveaxis(video, 0, 1), "outside": outside.max(0)}


NAMES = ("features", "codes", "reconstruct", "swapped", "dubbed")  # of outputs
