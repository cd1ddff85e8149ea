r"""The VAE of DiffuseVAE: one code per image, decoded to a blurred image.

Pandey, Mukherjee, Rai, Kumar, TMLR 2022. Equal to the authors' code
(kpandey008/DiffuseVAE@8e6d251): `tests/golden` compares the moments, the
decoded image and both terms of the loss.

    mu, v  = E(x);  z = mu + exp(v / 2) noise          x in [0, 1]; z [b, Z]
    x'     = D(z)                                      in (0, 1)
    loss   = sum (x - x')^2 + alpha sum KL(N(mu, e^v) || N(0, I))

Both sums run over the batch, too: twice the batch is twice the loss, and the
two terms weigh as they do in the bound of one image. E and D are strings of
blocks, see `nn.block_string`; there are no norms.

Reference: none for the VAE alone, which is judged by what
`latent.diffusevae` makes of its codes.

Follows the released code: a code is sampled in training, its mean is what
`features` and `restore` give. Differs: the log variance is cut at -30 and 20,
which it does not reach. Weights: family `diffusevae`.

    C=configs/diffusevae_vae_digits.py
    python -m jmim.main --config=$C --workdir=V
    python -m jmim.tools.fit_codes --config=$C --workdir=V --out=prior.npz
"""

import dataclasses

import jax

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import code_prior
from jmim.nn.nets import autoencoder
from jmim.nn.nets import block_vae


@dataclasses.dataclass(frozen=True, kw_only=True)
class VAE(method.Method):
  """Variational autoencoder with sums over the batch."""

  per_example = False  # sums over the batch
  n_codes = 0  # no codebook: what is encoded are moments of a Gaussian

  size: int = field.value(32, "image side [pixels]", low=1)
  channels: int = field.value(3, "image channels", low=1)
  dims: block_vae.Dims = field.part(block_vae.Dims, "encoder and decoder")
  alpha: float = field.value(1.0, "weight of the divergence", low=0.0)
  prior: code_prior.Prior = field.part(
    code_prior.Prior, "distribution that codes are sampled from"
  )

  @classmethod
  def tiny(cls) -> "VAE":
    """A 4-pixel image, a code of 16."""
    widths = "4:32,2:32,1:16"
    dims = dict(
      encoder="4x1,4d2,4t2,2d2,2t1,1",
      encoder_widths=widths,
      decoder="1x1,1u2,1t2,2x1,2u2,2t4,4x1",
      decoder_widths=widths,
    )
    return field.replace(cls(), size=4, dims=dims, alpha=0.05)

  @property
  def net(self) -> block_vae.BlockVAE:
    """Encoder and decoder."""
    return self.dims.net(self.channels, self.rt)

  def inputs(self) -> dict[str, method.Input]:
    """Images [size, size, channels] in 0 .. 1."""
    self.dims.check(self.size)
    shape = (self.size, self.size, self.channels)
    return {"image": method.Input(shape, range=(0.0, 1.0))}

  def consts(self) -> dict[str, method.Const]:
    """The mixture that codes are sampled from, if there is one."""
    return self.prior.consts(self.dims.code)

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters; no extra state."""
    del batch
    return {"main": self.net.init(key)}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """noise [b, 1, 1, Z] of the posterior."""
    del step
    shape = (len(batch["image"]), 1, 1, self.dims.code)
    return {"noise": jax.random.normal(keys("noise"), shape)}

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Squared error and divergence, both summed over the batch."""
    del step, player
    x, params = batch["image"], weights.params["main"]
    moments = self.net.moments(params, x)
    made = self.net.decode(params, autoencoder.drawn(moments, draws["noise"]))
    reconstruction = ((x - made) ** 2).sum()
    kl = autoencoder.divergence(moments).sum()
    aux = {"reconstruction": reconstruction, "kl": kl}
    return reconstruction + self.alpha * kl, aux

  def predict(self) -> dict[str, method.Predict]:
    """features, moments, restore, errors, sample."""
    names = ("features", "moments", "restore", "errors", "sample")
    return {name: getattr(self, name) for name in names}

  def moments(self, weights, batch, key) -> jax.Array:
    """[b, 1, 1, 2 Z]: mean and log variance."""
    del key
    return self.net.moments(weights.params["main"], batch["image"])

  def features(self, weights, batch, key) -> jax.Array:
    """[b, Z]: mean of the posterior."""
    mean, _ = autoencoder.posterior(self.moments(weights, batch, key))
    return mean[:, 0, 0]

  def restore(self, weights, batch, key) -> dict[str, jax.Array]:
    """image [b, h, w, c]: decoded from the posterior's mean."""
    mean = self.features(weights, batch, key)
    return {"image": self.net.decode(weights.params["main"], mean)}

  def errors(self, weights, batch, key) -> dict[str, jax.Array]:
    """Per image: pixel [b], sum of squares of `restore`; kl [b] in nats."""
    x, made = batch["image"], self.restore(weights, batch, key)["image"]
    kl = autoencoder.divergence(self.moments(weights, batch, key))
    return {"pixel": ((x - made) ** 2).sum((1, 2, 3)), "kl": kl}

  def sample(self, weights, batch, key) -> jax.Array:
    """Images [b, h, w, c] of codes of the prior."""
    index = method.numbers(batch)
    code = self.prior.codes(weights, index, key=key, width=self.dims.code)
    return self.net.decode(weights.params["main"], code)
