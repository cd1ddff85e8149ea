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
from jmim.methods.latent import _autoencoder
from jmim.nn.nets import autoencoder
from jmim.nn.nets import codec


@dataclasses.dataclass(frozen=True, kw_only=True)
class AutoencoderKL(_autoencoder.FirstStage):
  """Autoencoder with a weak prior on its latents."""

  variant: str = field.value(
    "kl-f8", "factor of downsampling", choices=codec.variants("kl")
  )
  kl_weight: float = field.value(1e-6, "beside the sum over pixels", low=0.0)
  log_scale: float = field.value(0.0, "s, log variance of the likelihood")

  @classmethod
  def tiny(cls) -> "AutoencoderKL":
    """An 8-pixel image, a code of 4 x 4."""
    return cls(
      size=8,
      width=8,
      multipliers=(1, 2),
      blocks=1,
      disc_start=0,
      disc_layers=1,
      disc_width=8,
      disc_weight=0.1,
      perceptual="small",
      perceptual_width=4,
      disc_loss="vanilla",
    )

  def draw(self, key, batch, step):
    """noise of the posterior, like the code."""
    side = self.size // self.net.size.factor
    shape = (len(batch["image"]), side, side, self.net.size.code)
    return {"noise": jax.random.normal(key, shape)}

  def moments(self, params, extra, consts, batch, key):
    """[b, h, w, 2 c]: mean and log variance, what a second stage reads."""
    return self.net.encode(params["autoencoder"], batch["image"])[0]

  def code(self, params, extra, batch, draws):
    """A sample of the posterior, and its divergence."""
    moments = self.moments(params, extra, consts={}, batch=batch, key=None)
    kl = autoencoder.divergence(moments).mean()
    z = autoencoder.drawn(moments, draws["noise"])
    return z, self.kl_weight * kl, {"kl": kl, "latent_std": z.std()}

  def likelihood(self, pixels):
    """Summed over an image."""
    s = self.log_scale
    return (pixels * jnp.exp(-s) + s).sum((1, 2, 3)).mean()

  def predict(self):
    """features, moments, restore, errors."""
    return {**super().predict(), "moments": self.moments}

  def features(self, params, extra, consts, batch, key):
    """[b, c]: the posterior's mean, averaged over places."""
    moments = self.moments(params, extra, consts=consts, batch=batch, key=key)
    return autoencoder.posterior(moments)[0].mean((1, 2))

  def restore(self, params, extra, consts, batch, key):
    """image [b, H, W, c]: decoded from the posterior's mean."""
    moments = self.moments(params, extra, consts=consts, batch=batch, key=key)
    mean, _ = autoencoder.posterior(moments)
    return {"image": self.net.decode(params["autoencoder"], mean)}

  def errors(self, params, extra, consts, batch, key):
    """Per image: pixel [b], of `restore`; kl [b], in nats."""
    made = self.restore(params, extra, consts=consts, batch=batch, key=key)[
      "image"
    ]
    moments = self.moments(params, extra, consts=consts, batch=batch, key=key)
    error = self.errors_of(consts, batch["image"], made)
    return {
      "pixel": error.mean((1, 2, 3)),
      "kl": autoencoder.divergence(moments),
    }
