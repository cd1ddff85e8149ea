"""What can be done to images by their codes, with given weights.

`parts/shifted.py` leads from noise and a code to an image and back; here images
are inverted with their own codes, changed on the way, and made again.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import method
from jmim.core import randomness
from jmim.diffusion import between
from jmim.methods import outputs
from jmim.methods.parts import gaussian
from jmim.methods.parts import shifted
from jmim.methods.parts import time_blocks
from jmim.nn.nets import corrected

CUTS = 4  # pictures between an image and one with the whole code of another


@dataclasses.dataclass(frozen=True, kw_only=True)
class CodeWalks:
  """Networks, path and process as functions of images [b, h, w, c].

  Attributes:
    nets: host, encoder and branch.
    weights: "main" has encoder and branch, the const "host" the host.
    noise: the process.
    blocks: what of a code is read at which time.
    sampling: the path, down and up.
  """

  nets: corrected.Corrected
  weights: method.Weights
  noise: gaussian.Gaussian
  blocks: time_blocks.TimeBlocks
  sampling: shifted.Shifted

  def start(self, key: jax.Array, batch: method.Batch) -> jax.Array:
    """Noise like the images of a batch, a function of key and number."""
    shape = batch["image"].shape[1:]
    keys = randomness.numbered(key, method.numbers(batch))
    one = lambda k: jax.random.normal(k, shape)
    return self.nets.rt.shard(jax.vmap(one)(keys))

  def encode(self, x: jax.Array) -> jax.Array:
    """Codes [b, d]."""
    return self.nets.encode(self.weights.params["main"], x)

  def walk(
    self, x: jax.Array, z: jax.Array, inverse: bool = False
  ) -> jax.Array:
    """Images from noise x and codes z [b, d]; inverse: noise from images."""
    weights = self.weights

    def network(x, t, code):
      e, taps = self.nets.frozen(weights.consts["host"], x, t)
      return e, self.nets.correction(weights.params["main"], taps, code)

    options = dict(noise=self.noise, blocks=self.blocks, inverse=inverse)
    return self.sampling.walk(x, z, network=network, **options)

  def inverted(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(noise, codes), from which `walk` leads back to images x."""
    z = self.encode(x)
    return self.walk(x, z, inverse=True), z

  def counterfactual(
    self,
    x: jax.Array,
    other: jax.Array,
    share: jax.Array | float,
    *,
    first: int = 0,
    last: int | None = None,
    move_noise: bool = True,
  ) -> jax.Array:
    """Images x, some blocks of whose codes go towards those of others.

    Codes go along a line, noise along the great circle.

    Args:
      x: images.
      other: images.
      share: 0: x as it is; 1: these blocks, and the noise, of the other.
      first: block, from 0.
      last: block after the last; None: all that follow.
      move_noise: else that of x is kept.
    """
    (noise, z), (noise2, z2) = self.inverted(x), self.inverted(other)
    last = self.blocks.blocks if last is None else last
    z = self.blocks.mixed(
      z, z2, share, first=first, last=last, times=self.noise.times
    )
    if move_noise:
      noise = between.slerp(noise, noise2, share)
    return self.walk(noise, z)

  def manipulated(
    self,
    x: jax.Array,
    direction: jax.Array,
    std: jax.Array,
    *,
    strength: float = 0.3,
    keep: int = 0,
  ) -> jax.Array:
    """Images with their codes moved along a linear classifier's weight.

    Args:
      x: images.
      direction: [d], see `time_blocks.moved`.
      std: [d] of the codes.
      strength: see there.
      keep: see there.
    """
    noise, z = self.inverted(x)
    moved = time_blocks.moved(z, direction, std, strength=strength, keep=keep)
    return self.walk(noise, moved)

  # Outputs of a method.

  def sample(self, batch: method.Batch, key: jax.Array) -> jax.Array:
    """Images with the codes of the batch's, from other noise."""
    return self.walk(self.start(key, batch), self.encode(batch["image"]))

  def restore(self, batch: method.Batch, key: jax.Array) -> method.Batch:
    """image: through its code and its own noise, and back."""
    del key
    return {"image": self.walk(*self.inverted(batch["image"]))}

  def swapped(self, batch: method.Batch, key: jax.Array) -> method.Batch:
    """image [b, CUTS + 1, h, w, c]: with ever more of its neighbour's code.

    Images 2 i and 2 i + 1 are neighbours; in picture j the first j / CUTS of
    the blocks are the neighbour's, the noise is the image's own.
    """
    del key
    noise, z = self.inverted(batch["image"])
    other = z[outputs.neighbours(len(z))]
    lasts = [self.blocks.blocks * j // CUTS for j in range(CUTS + 1)]
    options = dict(first=0, times=self.noise.times)
    mixed = [self.blocks.mixed(z, other, 1, last=n, **options) for n in lasts]
    images = jax.lax.map(lambda code: self.walk(noise, code), jnp.stack(mixed))
    return {"image": jnp.moveaxis(images, 0, 1)}


NAMES = ("sample", "restore", "swapped")  # of outputs
