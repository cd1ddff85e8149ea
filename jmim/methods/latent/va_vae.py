r"""VA-VAE: a first stage whose latents are aligned with a frozen vision model.

Yao, Yang, Wang, CVPR 2025 ("Reconstruction vs. generation"). Its losses are
equal to the authors' code (hustvl/LightningDiT@2725fed): `tests/golden`
compares latents, reconstruction, every term, both adaptive weights and
gradients around an autoencoder of three convolutions; encoder and decoder are
those of `autoencoder_kl`, compared with `ldm`.

AutoencoderKL with more channels, which by themselves are harder to model, hence

    f      = vision(x)                      frozen, one vector per place of z
    L      = mean relu(1 - m_c - cos(P z, f))                     at each place
             + mean relu(|cos(P z_i, P z_k) - cos(f_i, f_k)| - m_p)   all pairs
    lambda = weight |d nll/dE| / (|d L/dE| + 1e-4)
    loss   = that of autoencoder_kl + lambda L

with P a linear map and E the kernel of the encoder's last convolution. That
nll reaches E through the whole decoder: one backward pass more in each step.

Paper: 50 epochs, weight 0.1, m_c 0.5, m_p 0.25. Released weights: 100 epochs
with weight 0.5, 15 with 0.1, both without margins, then 15 as in the paper.

Reference (ImageNet 256, reconstruction FID): f16 with 32 channels 0.26, aligned
0.28. FID-10k of LightningDiT-B on them after 160 epochs: 22.62, aligned with
DINOv2 15.82; 64 channels 36.83 and 24.00; 16 channels 16.24 and 15.79.

Following the released code: the pairs are of P z, of z in the paper; the vision
model sees images of -1 .. 1, not normalised as it was trained (the authors call
it a slip of little effect; `teacher.mean` undoes it). Weights: family `va_vae`.

    python -m jmim.main --config=configs/va_vae_imagenet.py:stage=1 \
      --config.method.teacher.path=runs/dinov2 --workdir=W
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.methods.latent import autoencoder_kl
from jmim.methods.parts import adversarial
from jmim.methods.parts import teacher as teachers
from jmim.methods.parts import vision_alignment as alignments
from jmim.nn import sizes
from jmim.nn.nets import autoencoder
from jmim.nn.nets import codec
from jmim.nn.nets import teacher as nets

KL = autoencoder_kl.AutoencoderKL
HALF = (0.5, 0.5, 0.5)  # mean and std of the normalisation to -1 .. 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class VAVAE(KL):
  """Autoencoder aligned with a vision model."""

  dims: codec.Dims = field.redefault(KL, "dims", variant="kl-f16-z32")
  losses: adversarial.Losses = field.redefault(KL, "losses", disc_start=5001)
  teacher: teachers.Teacher = field.part(
    teachers.Teacher,
    "vision model",
    family="dinov2",
    dims=sizes.Dims(variant="L/14"),
    norm=True,
    table_size=518,
    resize="bilinear",
  )
  alignment: alignments.VisionAlignment = field.part(
    alignments.VisionAlignment, "alignment with it"
  )

  @classmethod
  def tiny(cls) -> "VAVAE":
    """An 8-pixel image, a code of 4 x 4, a vision model of one block."""
    dims = dict(variant="Ti/2", width=16, depth=1, heads=2)
    return field.replace(
      super().tiny(),
      dims=dict(latent=4),
      teacher=dict(family="dino", dims=dims, table_size=0),
    )

  @property
  def vision(self) -> nets.Teacher:
    """The frozen network, on the grid of the latents."""
    side = self.size // self.net.size.factor
    return self.teacher.net((side, side), HALF, HALF)

  def inputs(self) -> dict[str, method.Input]:
    """Images [size, size, 3] in -1 .. 1."""
    if not self.teacher.exists:
      raise ValueError("teacher.family 'none': a VA-VAE has one")
    if self.channels != 3:
      raise ValueError(f"channels {self.channels}: vision models see 3")
    found = super().inputs()
    self.teacher.check(self.vision.grid)
    return found

  def consts(self) -> dict[str, method.Const]:
    """The perceptual network and the vision model."""
    vision = self.teacher.const(self.vision, "method.teacher")
    return {**super().consts(), "teacher": vision}

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters of both players, P among those of the autoencoder."""
    k_kl, k_map = jax.random.split(key)
    params, extra = super().init(k_kl, batch)
    sides = self.net.size.code, self.vision.width
    params["autoencoder"]["map"] = self.alignment.init(k_map, *sides)
    return params, extra

  def seen(self, weights: method.Weights, x: jax.Array) -> jax.Array:
    """f [b, n, w] of images, of the places of a code row by row."""
    read = self.vision.read(
      weights.consts["teacher"], x, layer=self.teacher.layer
    )
    return read["patches"]

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Of the autoencoder, aligned, or of its critic."""
    if player == "discriminator":
      return super().loss(weights, batch, draws, step, player=player)
    x, params = batch["image"], weights.params["autoencoder"]
    trunk, f = self.net.trunk(params, x), self.seen(weights, x)

    def coded(kernel):
      moments, _ = self.net.tail(params, trunk, kernel)
      return autoencoder.drawn(moments, draws["noise"]), moments

    kernel = params["encoder"]["conv_out"]["kernel"]
    decoded = lambda z: self.net.features(params, z)
    ways = dict(coded=coded, kernel=kernel, decoded=decoded)
    return self.aligned(weights, x, f, step, **ways)

  def aligned(
    self,
    weights: method.Weights,
    x: jax.Array,
    f: jax.Array,
    step: jax.Array,
    *,
    coded: Callable[[jax.Array], tuple[jax.Array, jax.Array]],
    kernel: jax.Array,
    decoded: Callable[[jax.Array], jax.Array],
  ) -> method.Loss:
    """The loss of the autoencoder and its parts.

    Args:
      weights: of the autoencoder "map" and "last" are read.
      x: images [b, h, w, c].
      f: [b, n, w] what the vision model makes of them.
      step: of training.
      coded: E -> (latents, moments).
      kernel: E.
      decoded: latents -> what the last convolution reads.
    """
    params, net = weights.params["autoencoder"], self.net
    # One forward pass: pulls take gradients back and have none themselves.
    z, to_kernel, moments = jax.vjp(coded, kernel, has_aux=True)
    features, to_z = jax.vjp(decoded, z)
    pair = lambda z: self.alignment.pair(params["map"], z, f)
    vf, back = jax.vjp(lambda z: self.alignment.loss(*pair(z)), z)
    loss, terms = self.losses.generator_loss(
      weights, x, features, step, net=net, likelihood=self.likelihood
    )

    def nll(features):
      made = net.pixels(params, features)
      return self.likelihood(self.losses.errors(weights.consts, x, made))

    stop = jax.lax.stop_gradient
    to_kernel, to_z, back, at = stop((to_kernel, to_z, back, features))
    of_nll = to_kernel(*to_z(stop(jax.grad(nll)(at))))
    scale = self.alignment.scale(of_nll, to_kernel(*back(jnp.ones_like(vf))))
    kl = autoencoder.divergence(moments).mean()
    cos = alignments.cosine(*pair(z)).mean()
    aux = {**terms, "kl": kl, "latent_std": z.std(), "cosine": cos}
    aux |= {"alignment": vf, "alignment_weight": scale}
    return loss + self.kl_weight * kl + scale * vf, aux

  def predict(self) -> dict[str, method.Predict]:
    """features, latents, moments, restore, errors."""
    return {**super().predict(), "latents": self.latents}

  def latents(self, weights, batch, key) -> jax.Array:
    """[b, h w c]: the posterior's mean, of which a linear probe reads."""
    mean = autoencoder.posterior(self.moments(weights, batch, key))[0]
    return mean.reshape(len(mean), -1)

  def errors(self, weights, batch, key) -> dict[str, jax.Array]:
    """Per image: pixel, kl, and cosine [b] of the mean's map to f."""
    z = autoencoder.posterior(self.moments(weights, batch, key))[0]
    own = weights.params["autoencoder"]["map"]
    pair = self.alignment.pair(own, z, self.seen(weights, batch["image"]))
    cos = alignments.cosine(*pair).mean(-1)
    return {**super().errors(weights, batch, key), "cosine": cos}
