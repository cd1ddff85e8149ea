r"""AutoencoderKL: the first stage of latent diffusion, Gaussian latents.

Rombach, Blattmann, Lorenz, Esser, Ommer, CVPR 2022. Equal to the authors' code
(CompVis/latent-diffusion@a506df5): `tests/golden` compares encoder, posterior,
divergence and decodings; the critic, its adaptive weight and the layers of the
perceptual loss with that of `autoencoder_vq`.

    mu, v  = E(x);  z = mu + exp(v / 2) noise          noise: draw
    x'     = D(z)
    rec    = |x - x'| + LPIPS(x, x')                   on every pixel
    nll    = sum over pixels and channels of rec exp(-s) + s, mean over images
    g      = -mean C(x')                               C: critic of patches
    lambda = disc_weight |d nll/dW| / (|d g/dW| + 1e-4)      W: last kernel
    loss   = nll + kl_weight mean KL(N(mu, e^v) || N(0, 1))
             + [step >= start] lambda g
    loss_C = [step >= start] (mean relu(1 - C(x)) + mean relu(1 + C(x'))) / 2

Reference (OpenImages, 256 px; reconstruction FID): f4 0.27, f8 0.90, f16 0.87,
f32 2.04.

Following the released code: s (`log_scale`) is a number, as their logvar is in
no optimizer; the players share a learning rate; each sees the other's newest
weights. Not followed: running statistics of the critic are not kept; torch's
default for biases (they start at 0). Weights: family `ldm_first_stage`; for
Diffusers' AutoencoderKL, `diffusers_vae`.

    python -m jmim.main --config=configs/autoencoder_kl_digits.py --workdir=W
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import adversarial
from jmim.nn.nets import autoencoder
from jmim.nn.nets import codec


@dataclasses.dataclass(frozen=True, kw_only=True)
class AutoencoderKL(method.Method):
  """Autoencoder with a weak prior on its latents."""

  players = ("autoencoder", "discriminator")
  per_example = False  # batch statistics, and one weight per batch
  n_codes = 0  # no codebook: what is encoded are moments of a Gaussian

  size: int = field.value(256, "image side [pixels]", low=1)
  channels: int = field.value(3, "image channels", low=1)
  dims: codec.Dims = field.part(codec.Dims, "autoencoder", was="{}")
  losses: adversarial.Losses = field.part(
    adversarial.Losses, "losses", was="{}"
  )
  kl_weight: float = field.value(
    1e-6, "weight of the divergence, beside a sum over pixels", low=0.0
  )
  log_scale: float = field.value(0.0, "s, log variance of the likelihood")
  latent_scale: float = field.value(
    0.0,
    "factor of the latents in models of them, where the weights came with one; "
    "0: none",
    low=0.0,
  )

  @classmethod
  def tiny(cls) -> "AutoencoderKL":
    """An 8-pixel image, a code of 4 x 4."""
    critic = dict(disc_start=0, disc_layers=1, disc_width=8, disc_weight=0.1)
    perceptual = dict(perceptual="small", perceptual_width=4)
    return field.replace(
      cls(),
      size=8,
      dims=dict(width=8, multipliers=(1, 2), blocks=1),
      losses=dict(**critic, **perceptual, disc_loss="vanilla"),
    )

  @property
  def net(self) -> autoencoder.Autoencoder:
    """The autoencoder."""
    return autoencoder.Autoencoder(
      self.dims.size(self.channels, "kl"), rt=self.rt
    )

  def inputs(self) -> dict[str, method.Input]:
    """Images [size, size, channels] in -1 .. 1."""
    self.net.size.check(self.size)
    self.losses.check(self.size, self.channels)
    return {"image": method.Input((self.size, self.size, self.channels))}

  def consts(self) -> dict[str, method.Const]:
    """The perceptual network."""
    return self.losses.consts()

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters of both players; no extra state."""
    k_net, k_critic = jax.random.split(key)
    critic = self.losses.critic.init(k_critic, batch["image"][:1])["params"]
    return {"autoencoder": self.net.init(k_net), "discriminator": critic}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """noise of the posterior, like the code."""
    del step
    side = self.size // self.net.size.factor
    shape = (len(batch["image"]), side, side, self.net.size.code)
    return {"noise": jax.random.normal(keys("noise"), shape)}

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Of the autoencoder, or of its critic."""
    x, params = batch["image"], weights.params["autoencoder"]
    moments = self.moments(weights, batch, None)
    z = autoencoder.drawn(moments, draws["noise"])
    features = self.net.features(params, z)
    if player == "discriminator":
      made = self.net.pixels(params, features)
      return self.losses.critic_loss(weights, x, made, step)
    loss, terms = self.losses.generator_loss(
      weights, x, features, step, net=self.net, likelihood=self.likelihood
    )
    kl = autoencoder.divergence(moments).mean()
    aux = {**terms, "kl": kl, "latent_std": z.std()}
    return loss + self.kl_weight * kl, aux

  def likelihood(self, errors: jax.Array) -> jax.Array:
    """Errors [b, h, w, c] summed over an image, mean over images."""
    s = self.log_scale
    return (errors * jnp.exp(-s) + s).sum((1, 2, 3)).mean()

  def predict(self) -> dict[str, method.Predict]:
    """features, moments, restore, errors."""
    names = ("features", "moments", "restore", "errors")
    return {name: getattr(self, name) for name in names}

  def moments(self, weights, batch, key) -> jax.Array:
    """[b, h, w, 2 c]: mean and log variance, what a second stage reads."""
    del key
    params = weights.params["autoencoder"]
    return self.net.encode(params, batch["image"])[0]

  def features(self, weights, batch, key) -> jax.Array:
    """[b, c]: the posterior's mean, averaged over places."""
    moments = self.moments(weights, batch, key)
    return autoencoder.posterior(moments)[0].mean((1, 2))

  def restore(self, weights, batch, key) -> dict[str, jax.Array]:
    """image [b, H, W, c]: decoded from the posterior's mean."""
    mean, _ = autoencoder.posterior(self.moments(weights, batch, key))
    return {"image": self.net.decode(weights.params["autoencoder"], mean)}

  def errors(self, weights, batch, key) -> dict[str, jax.Array]:
    """Per image: pixel [b], of `restore`; kl [b], in nats."""
    x, moments = batch["image"], self.moments(weights, batch, key)
    mean, _ = autoencoder.posterior(moments)
    made = self.net.decode(weights.params["autoencoder"], mean)
    pixel = self.losses.errors(weights.consts, x, made).mean((1, 2, 3))
    return {"pixel": pixel, "kl": autoencoder.divergence(moments)}
