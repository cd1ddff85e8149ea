"""An image as a square of codes: where they come from, and the way back.

    vq       nearest rows of a frozen VQ autoencoder's codebook, decoded by it
    patches  nearest rows of a table of patches (`mim.codebook`): the rows
    levels   each grey value rounded to one of K even levels: no weights, exact

Codes are read as they were stored (`python -m jmim.tools.cache_latents
--output=codes`), or made of the images in every step. Letters: b batch, n codes
in raster order, k different ones.
"""

import dataclasses

import einops
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import runtime
from jmim.nn import patch as patching
from jmim.nn import vq
from jmim.nn.nets import autoencoder
from jmim.nn.nets import codec

KINDS = ("vq", "patches", "levels")
VARIANTS = tuple(name for name in codec.SIZES if name.startswith("vq"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageCodes:
  """Which tokenizer, how many codes, and what is read of a batch."""

  kind: str = field.value("vq", "tokenizer of images", choices=KINDS)
  vocabulary: int = field.value(1024, "number of different codes", low=2)
  side: int = field.value(16, "codes along a side of the image", low=1)
  columns: int = field.value(
    0, "codes along its width; 0: as many as along its height, side", low=0
  )
  channels: int = field.value(3, "image channels", low=1)
  read: str = field.value(
    "tokens",
    "input: stored codes, or images that are encoded in every step",
    choices=("tokens", "images"),
  )
  path: str = field.value(
    "", "run or .npz of the tokenizer; empty: stored codes only, no images"
  )
  sha256: str = field.value("", "hash of that file; empty: any")
  variant: str = field.value(
    "vq-f16", "autoencoder of vq, see `nn.nets.codec.SIZES`", choices=VARIANTS
  )
  width: int = field.value(0, "finest level of vq; 0: that of variant", low=0)
  blocks: int = field.value(
    0, "blocks per level of vq; 0: those of variant", low=0
  )
  patch: int = field.value(4, "side of patches [pixels]", low=1)
  rt: runtime.Runtime = field.runtime()

  @property
  def grid(self) -> tuple[int, int]:
    """(h, w) in codes."""
    return self.side, self.columns or self.side

  @property
  def length(self) -> int:
    """n, codes of an image."""
    return self.grid[0] * self.grid[1]

  @property
  def net(self) -> autoencoder.Autoencoder:
    """The autoencoder of vq."""
    size = codec.size(self.variant, width=self.width, blocks=self.blocks)
    size = dataclasses.replace(size, channels=self.channels)
    return autoencoder.Autoencoder(size, self.vocabulary, self.rt)

  @property
  def factor(self) -> int:
    """Pixels per code and axis."""
    if self.kind == "vq":
      return self.net.size.factor
    return self.patch if self.kind == "patches" else 1

  @property
  def image(self) -> tuple[int, int, int]:
    """[h, w, c] of the images."""
    h, w = (n * self.factor for n in self.grid)
    return h, w, self.channels

  @property
  def decodes(self) -> bool:
    """Whether there is a way from codes to images."""
    return self.kind == "levels" or bool(self.path)

  def inputs(self, key: str = "codes") -> dict[str, method.Input]:
    """tokens [n] below `vocabulary`, or image [h, w, c].

    Args:
      key: of this part in the method, for messages.

    Raises:
      ValueError: fields that do not go together.
    """
    if self.kind == "levels" and self.channels != 1:
      raise ValueError(
        f"{key}.kind 'levels' with {key}.channels {self.channels}: levels are "
        "of grey values, 1 channel"
      )
    if self.kind == "levels" and self.path:
      raise ValueError(f"{key}.kind 'levels' with {key}.path {self.path!r}")
    if self.kind == "vq":
      for side in self.image[:2]:
        self.net.size.check(side)
    if self.read == "tokens":
      n = self.length
      return {"tokens": method.Input((n,), jnp.int32, high=self.vocabulary)}
    span = (-1.0, 1.0) if self.kind == "levels" else None
    return {"image": method.Input(self.image, range=span)}

  def consts(self, key: str = "codes") -> dict[str, method.Const]:
    """The tokenizer, where it is needed: to encode, or to decode.

    Args:
      key: of this part in the method, for messages.
    """
    if self.kind == "levels" or self.read == "tokens" and not self.path:
      return {}
    init = self.net.init if self.kind == "vq" else self._patches
    own = {"key": f"method.{key}.path"}
    made = method.Const(self.path, init, self.sha256 or None, **own)
    return {"tokenizer": made}

  def _patches(self, key):
    """A table like that of `mim.codebook`."""
    shape = (self.vocabulary, self.channels * self.patch**2)
    return {"codes": jax.random.normal(key, shape)}

  def ids(self, weights: method.Weights, batch: method.Batch) -> jax.Array:
    """[b, n] int32, the codes of a batch."""
    if self.read == "tokens":
      return batch["tokens"]
    x = batch["image"]
    if self.kind == "levels":
      level = (x[..., 0] + 1) / 2 * (self.vocabulary - 1)
      found = jnp.clip(jnp.round(level), 0, self.vocabulary - 1)
      return found.astype(jnp.int32).reshape(len(x), -1)
    tokenizer = weights.consts["tokenizer"]
    if self.kind == "patches":
      z = patching.patchify(x, self.patch)
    else:
      z, _ = self.net.encode(tokenizer, x)
    return vq.nearest(z, tokenizer["codes"]).reshape(len(x), -1)

  def decode(self, weights: method.Weights, ids: jax.Array) -> jax.Array:
    """Codes [b, n] -> images [b, h, w, c] in the units of the input."""
    if self.kind == "levels":
      x = 2 * ids.astype(jnp.float32) / (self.vocabulary - 1) - 1
      return x.reshape(len(ids), *self.grid, 1)
    tokenizer = weights.consts["tokenizer"]
    z = tokenizer["codes"][ids]
    if self.kind == "patches":
      return patching.unpatchify(z, self.patch, self.grid)
    z = einops.rearrange(z, "b (h w) c -> b h w c", h=self.side)
    return self.net.pixels(tokenizer, self.net.features(tokenizer, z))

  def picture(
    self, weights: method.Weights, ids: jax.Array, hidden: jax.Array
  ) -> dict[str, jax.Array]:
    """What evaluators draw: image [b, h, w, c] and mask [b, h, w, 1].

    Args:
      weights: with the tokenizer.
      ids: [b, n] codes.
      hidden: [b, n], 1 where the codes were not seen.
    """
    hidden = hidden.astype(jnp.float32)
    mask = patching.pixels(hidden, self.factor, self.grid)
    return {"image": self.decode(weights, ids), "mask": mask}
