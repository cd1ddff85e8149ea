r"""Autoencoder with an implicit decoder: latents that render at any size.

Kim and Kim, CVPR 2024 (arXiv 2403.10255), first stage. Equal to the authors'
code (zhenshij/arbitrary-scale-diffusion@92399b2): `tests/golden` compares
moments, code, features, colours at places, and whole renderings.

    z    = E(x)                     kl: mu + exp(v / 2) noise;  ae: as it is
    F    = D(z)                     a decoder that keeps the latent's side
    r    ~ U{least .. greatest}     one side for a batch      `pixels.sides`
    y    = x at r x r, bicubic      at drawn pixels p only    `pixels.count`
    loss = mean |f(F, p, 2 / r) - y_p|            f: `nn.liif`, an MLP

No perceptual loss, no critic, no divergence. With `implicit.hidden=()` it is
the baseline: the usual decoder to the side of x, then bicubic interpolation.

Reference: no figures of the first stage alone.

Following the released code: attention of the decoder at every level or at none,
since they all have the latent's side; no unfolding of features; the posterior
is sampled though it has no prior. Differs: pixels of the grid are drawn (all of
it there), so that a drawn side does not compile anew; the greatest side is
included; with `image` above `size` the truth is finer than what is encoded,
which they have not. Weights: family `arbscale_first_stage`.

    python -m jmim.main --config=configs/autoencoder_inr_shapes.py --workdir=W
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import drawn_pixels
from jmim.nn import liif
from jmim.nn import resize
from jmim.nn.nets import anysize
from jmim.nn.nets import autoencoder
from jmim.nn.nets import codec


@dataclasses.dataclass(frozen=True, kw_only=True)
class AutoencoderINR(method.Method):
  """Autoencoder whose decoder is asked for the colour at a place."""

  shared = ("side",)

  size: int = field.value(256, "side of the images that are encoded", low=1)
  image: int = field.value(
    0, "side of the batch's images, reduced to `size` first; 0: size", low=0
  )
  channels: int = field.value(3, "image channels", low=1)
  dims: codec.Dims = field.part(codec.Dims, "autoencoder", variant="ae-f4")
  implicit: liif.Dims = field.part(
    liif.Dims, "implicit function; without hidden layers: the baseline"
  )
  pixels: drawn_pixels.Pixels = field.part(
    drawn_pixels.Pixels, "truth", count=4096, sides=(64, 256)
  )

  @classmethod
  def tiny(cls) -> "AutoencoderINR":
    """A code of 4 x 4 of an 8-pixel image, of which 5 .. 11 are truth."""
    return field.replace(
      cls(),
      size=8,
      dims=dict(variant="kl-f4", width=8, multipliers=(1, 2), blocks=1),
      implicit=dict(hidden=(16, 16)),
      pixels=dict(count=24, sides=(5, 11)),
    )

  @property
  def net(self) -> anysize.AnySize:
    """The autoencoder."""
    return anysize.AnySize(
      size=self.dims.size(self.channels, ("kl", "ae")),
      implicit=self.implicit,
      gaussian=self.dims.variant.startswith("kl"),
      rt=self.rt,
    )

  @property
  def n_codes(self) -> int | None:
    """0: what is encoded are moments of a Gaussian; None: plain codes."""
    return 0 if self.net.gaussian else None

  def inputs(self) -> dict[str, method.Input]:
    """Images [image, image, channels] in -1 .. 1."""
    self.net.size.check(self.size)
    self.pixels.check()
    side = self.image or self.size
    if side < self.size:
      raise ValueError(
        f"image {side} below size {self.size}: images are reduced, not enlarged"
      )
    return {"image": method.Input((side, side, self.channels))}

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters; no extra state."""
    del batch
    return {"main": self.net.init(key)}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """pixel, side, and noise of the posterior if there is one."""
    del step
    b, side = len(batch["image"]), self.size // self.net.size.factor
    draws = self.pixels.draw(keys, (b,))
    if self.net.gaussian:
      shape = (b, side, side, self.net.size.code)
      draws["noise"] = jax.random.normal(keys("noise"), shape)
    return draws

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Mean absolute error of the drawn pixels."""
    del step, player
    params = weights.params["main"]
    z = self.moments(weights, batch, None)
    z = autoencoder.drawn(z, draws["noise"]) if self.net.gaussian else z
    place, cell, truth = self.pixels.at(batch["image"], draws)
    made = self.net.query(params, self.net.features(params, z), place, cell)
    return jnp.abs(made - truth).mean(), {"latent_std": z.std()}

  def predict(self) -> dict[str, method.Predict]:
    """features, moments, restore, errors."""
    names = ("features", "moments", "restore", "errors")
    return {name: getattr(self, name) for name in names}

  def moments(self, weights, batch, key) -> jax.Array:
    """[b, h, w, c or 2 c]: what a second stage reads."""
    del key
    x = resize.images(batch["image"], (self.size, self.size), "smooth")
    return self.net.encode(weights.params["main"], x)[0]

  def code(self, weights: method.Weights, batch: method.Batch) -> jax.Array:
    """[b, h, w, c]: the code, of a posterior its mean."""
    z = self.moments(weights, batch, None)
    return autoencoder.posterior(z)[0] if self.net.gaussian else z

  def features(self, weights, batch, key) -> jax.Array:
    """[b, c]: the code, averaged over places."""
    del key
    return self.code(weights, batch).mean((1, 2))

  def render(
    self, weights: method.Weights, z: jax.Array, side: int
  ) -> jax.Array:
    """Codes [b, h, w, c] -> images [b, side, side, c], in chunks."""
    return self.net.render(weights.params["main"], z, (side, side))

  def restore(self, weights, batch, key) -> dict[str, jax.Array]:
    """image [b, side, side, c]: rendered from the code."""
    del key
    side = self.implicit.side or batch["image"].shape[1]
    return {"image": self.render(weights, self.code(weights, batch), side)}

  def errors(self, weights, batch, key) -> dict[str, jax.Array]:
    """Per image: pixel [b], mean absolute error at the batch's own size."""
    x = batch["image"]
    made = self.render(weights, self.code(weights, batch), x.shape[1])
    return {"pixel": jnp.abs(made - x).mean((1, 2, 3))}
