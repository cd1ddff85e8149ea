"""An autoencoder whose decoder is asked for colours, so has no size of its own.

Kim and Kim 2024: the decoder of latent diffusion without what enlarges it
(`codec.Decoder`, flat), and behind it a local implicit image function
(`nn.liif`). The baseline is the usual decoder, whose image is interpolated
bicubically.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import liif
from jmim.nn import resize
from jmim.nn.nets import autoencoder
from jmim.nn.nets import codec


@dataclasses.dataclass(frozen=True, kw_only=True)
class AnySize:
  """Encoder, decoder and implicit function as one set of pure functions.

  Its parameters are {"encoder", "decoder", "implicit"}, or of the baseline
  {"encoder", "decoder", "last"}.

  Attributes:
    size: widths and depths.
    implicit: the function behind the decoder, and the side of what it decodes
      (0: that of what was encoded); where it is missing: the baseline.
    gaussian: the code is drawn from a posterior, whose mean and log variance
      are encoded; else it is what is encoded.
    rt: execution choices.
  """

  size: codec.Size
  implicit: liif.Dims
  gaussian: bool = True
  rt: runtime.Runtime = runtime.Runtime()

  codes = 0  # no codebook

  @property
  def baseline(self) -> bool:
    """Whether images are interpolated instead."""
    return not self.implicit.present

  @property
  def encoder(self) -> codec.Encoder:
    """Two numbers per latent channel, or one."""
    return codec.Encoder(self.size, self.rt, 1 + self.gaussian)

  @property
  def decoder(self) -> codec.Decoder:
    """To the features that are asked."""
    if self.baseline:
      return self._usual.decoder
    return codec.Decoder(self.size.flat, self.rt, True)

  @property
  def function(self) -> liif.Implicit:
    """The implicit function."""
    return self.implicit.net(self.size.channels, self.rt)

  @property
  def _usual(self):
    """The usual autoencoder, of whose decoder the baseline is made."""
    return autoencoder.Autoencoder(self.size, rt=self.rt)

  def init(self, key: jax.Array) -> Any:
    """Fresh parameters."""
    s, (k_encoder, k_decoder, k_last) = self.size, jax.random.split(key, 3)
    image = jnp.zeros((1, 2 * s.factor, 2 * s.factor, s.channels))
    z = jnp.zeros((1, 2, 2, s.code))
    f = jnp.zeros((1, 1, 1, s.multipliers[0] * s.width))
    made = {
      "encoder": self.encoder.init(k_encoder, image)["params"],
      "decoder": self.decoder.init(k_decoder, z)["params"],
    }
    if self.baseline:
      return made | {"last": self._usual.last.init(k_last, f)["params"]}
    at = jnp.zeros((1, 1, 2))
    return made | {"implicit": self.function.init(k_last, f, at, at)["params"]}

  def encode(self, params: Any, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Moments, or codes, [b, h, w, _] and `hidden`, as of `codec.Encoder`."""
    return self.encoder.apply({"params": params["encoder"]}, x)

  def features(self, params: Any, z: jax.Array) -> jax.Array:
    """[b, h, w, code] -> what is asked: features, of the baseline an image."""
    if self.baseline:
      return self._usual.decode(params, z)
    return self.decoder.apply({"params": params["decoder"]}, z)

  def query(
    self, params: Any, features: jax.Array, place: jax.Array, cell: jax.Array
  ) -> jax.Array:
    """Colours [b, q, c] float32 at places.

    Args:
      params: all of them.
      features: of `features`.
      place: [b, q, 2] in -1 .. 1, see `nn.liif`.
      cell: [b, q, 2] size of a pixel, or what broadcasts to it.
    """
    if self.baseline:
      sides = jnp.asarray(features.shape[1:3], jnp.float32)
      return resize.bicubic_at(features, ((place + 1) * sides - 1) / 2)
    variables = {"params": params["implicit"]}
    return self.function.apply(variables, features, place, cell)

  def render(
    self, params: Any, z: jax.Array, sides: tuple[int, int]
  ) -> jax.Array:
    """[b, h, w, code] -> images [b, *sides, c] float32, of any size."""
    features, cell = self.features(params, z), jnp.asarray(liif.cells(sides))

    def query(place):
      everywhere = jnp.broadcast_to(place, (len(z), *place.shape))
      return self.query(params, features, everywhere, cell)

    place = jnp.asarray(liif.places(sides))
    made = liif.in_chunks(query, place, self.implicit.chunk)
    return made.reshape(len(z), *sides, -1)

  def decode(self, params: Any, z: jax.Array) -> jax.Array:
    """[b, h, w, code] -> images of the side of `implicit`."""
    side, factor = self.implicit.side, self.size.factor
    sides = [side or n * factor for n in z.shape[1:3]]
    return self.render(params, z, tuple(sides))


# Images as they are, or their squares of pixels (`nn.patch.fold`).
WITHOUT = ("none", "fold2")
VARIANTS = (*WITHOUT, *codec.SIZES)


def build(
  variant: str,
  *,
  width: int,
  blocks: int,
  codes: int,
  implicit: liif.Dims,
  rt: runtime.Runtime,
) -> autoencoder.Autoencoder | AnySize | None:
  """An autoencoder of `codec.SIZES`, with an implicit function or without.

  Args:
    variant: its name, which begins with its kind; of WITHOUT: None.
    width: of the finest level; 0: that of the variant.
    blocks: per level; 0: those of the variant.
    codes: of the codebook; 0: none.
    implicit: the function, if it is present.
    rt: execution choices.
  """
  if variant in WITHOUT:
    return None
  size = codec.size(variant, width=width, blocks=blocks)
  if not implicit.present:
    return autoencoder.Autoencoder(size, codes, rt)
  return AnySize(
    size=size,
    implicit=implicit,
    gaussian=variant.startswith("kl"),
    rt=rt,
  )


def check(variant: str, codes: int, implicit: liif.Dims) -> None:
  """Raises ValueError for a kind of autoencoder with what it cannot have.

  Args as of `build`, the fields of a first stage.
  """
  if variant.startswith("vq") != bool(codes):
    raise ValueError(
      f"first_stage.codes {codes} with first_stage.variant {variant!r}: vq "
      "needs some, kl has none, nor has ae"
    )
  if codes and implicit.present:
    raise ValueError(
      f"first_stage.implicit.hidden={implicit.hidden} with first_stage.variant "
      f"{variant!r}: an implicit function is behind kl and ae"
    )
  if (variant.startswith("ae") or implicit.side) and not implicit.present:
    raise ValueError(
      f"first_stage.variant {variant!r}, first_stage.implicit.side "
      f"{implicit.side} with first_stage.implicit.hidden=(): ae, and a side, "
      "need such a function"
    )
