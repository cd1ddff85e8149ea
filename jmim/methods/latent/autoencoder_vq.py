r"""Autoencoder with a codebook: the quantised first stage of latent diffusion.

Rombach et al., CVPR 2022, after Esser, Rombach, Ommer 2021 (VQGAN). Equal to
the authors' code (CompVis/latent-diffusion@a506df5, taming-transformers@
3ba01b2): `tests/golden` compares codes, losses, adaptive weight and gradients.

    z      = E(x);  q = nearest code;  x' = D(z + sg(q - z))
    nll    = mean of |x - x'| + LPIPS(x, x')
    L_q    = mean (sg(q) - z)^2 + beta mean (q - sg(z))^2        `legacy`
             beta mean (sg(q) - z)^2 + mean (q - sg(z))^2        else
    loss   = nll + L_q + [step >= start] lambda g,  g, lambda: `autoencoder_kl`
    loss of the critic: as there

With `ema` the codes are no parameters: they follow the means of the vectors
they stand for, and L_q is beta mean (sg(q) - z)^2; a code that is used less
often than `restart` times per batch starts again at a vector of the batch.

Reference (OpenImages, 256 px; reconstruction FID): f4 0.58, f8 1.14, f8 with
256 codes 1.49, f16 5.15.

Following the released code: beta is on the codebook's side (`legacy`), as all
published weights were trained. Not followed: see `autoencoder_kl`. Weights:
families `ldm_first_stage` and `ldm`.

    python -m jmim.main --config=configs/autoencoder_vq_digits.py --workdir=W
"""

import dataclasses

import jax

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import adversarial
from jmim.methods.parts import codebook as codebooks
from jmim.nn import vq
from jmim.nn.nets import autoencoder
from jmim.nn.nets import codec


@dataclasses.dataclass(frozen=True, kw_only=True)
class AutoencoderVQ(method.Method):
  """Autoencoder whose code is an entry of a table at every place."""

  players = ("autoencoder", "discriminator")
  per_example = False  # batch statistics, and one weight per batch
  shared = ("pick",)

  size: int = field.value(256, "image side [pixels]", low=1)
  channels: int = field.value(3, "image channels", low=1)
  dims: codec.Dims = field.part(
    codec.Dims, "autoencoder", was="{}", variant="vq-f4"
  )
  losses: adversarial.Losses = field.part(
    adversarial.Losses, "losses", was="{}"
  )
  codebook: codebooks.Codebook = field.part(
    codebooks.Codebook, "codebook", was="{}"
  )
  latent_scale: float = field.value(
    0.0,
    "factor of the latents in models of them, where the weights came with one; "
    "0: none",
    low=0.0,
  )

  @classmethod
  def tiny(cls) -> "AutoencoderVQ":
    """An 8-pixel image, 8 x 8 codes of 4."""
    critic = dict(disc_start=0, disc_layers=1, disc_width=8, disc_weight=0.1)
    return field.replace(
      cls(),
      size=8,
      codebook=dict(codes=4),
      dims=dict(width=8, multipliers=(1,), blocks=1),
      losses=dict(**critic, disc_loss="vanilla"),
    )

  @property
  def net(self) -> autoencoder.Autoencoder:
    """The autoencoder."""
    size = self.dims.size(self.channels, "vq")
    return autoencoder.Autoencoder(size, self.codebook.codes, self.rt)

  @property
  def n_codes(self) -> int:
    """Size of the codebook."""
    return self.codebook.codes

  @property
  def places(self) -> int:
    """Codes of an image."""
    return (self.size // self.net.size.factor) ** 2

  def inputs(self) -> dict[str, method.Input]:
    """Images [size, size, channels] in -1 .. 1."""
    self.codebook.check()
    self.net.size.check(self.size)
    self.losses.check(self.size, self.channels)
    return {"image": method.Input((self.size, self.size, self.channels))}

  def consts(self) -> dict[str, method.Const]:
    """The perceptual network."""
    return self.losses.consts()

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters of both players; with `ema` the codebook is extra state."""
    k_net, k_critic = jax.random.split(key)
    critic = self.losses.critic.init(k_critic, batch["image"][:1])["params"]
    net, extra = self.net.init(k_net), {}
    if self.codebook.ema:
      extra = self.codebook.extra(net.pop("codes"))
    return {"autoencoder": net, "discriminator": critic}, extra

  def draw(self, keys, batch, step) -> method.Draws:
    """With `restart`: pick [codes], a vector of the batch for each; row [b]."""
    del step
    return self.codebook.draw(keys, (len(batch["image"]), self.places))

  def codes(self, weights: method.Weights) -> jax.Array:
    """[k, c] codes, whoever keeps them."""
    extra, params = weights.extra, weights.params["autoencoder"]
    return (extra if self.codebook.ema else params)["codes"]

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Of the autoencoder, or of its critic."""
    x, params = batch["image"], weights.params["autoencoder"]
    z = self.moments(weights, batch, None)
    q, ids, loss_q = self.codebook.quantise(self.codes(weights), z)
    features = self.net.features(params, q)
    if player == "discriminator":
      made = self.net.pixels(params, features)
      return self.losses.critic_loss(weights, x, made, step)
    mean = lambda errors: errors.mean()
    loss, terms = self.losses.generator_loss(
      weights, x, features, step, net=self.net, likelihood=mean
    )
    perplexity = vq.perplexity(ids, self.codebook.codes)
    aux = {**terms, "codebook": loss_q, "perplexity": perplexity}
    return loss + loss_q, aux | self.codebook.statistics(z, ids, draws)

  def after(self, weights, aux, step, player="main") -> method.Tree:
    """Moves the codebook of moving averages, once the autoencoder has."""
    del step
    if not self.codebook.ema or player != self.players[0]:
      return weights.extra
    return self.codebook.moved(weights.extra, aux)

  def predict(self) -> dict[str, method.Predict]:
    """features, moments, codes, restore, errors."""
    names = ("features", "moments", "restore", "errors")
    return {"codes": self.ids, **{name: getattr(self, name) for name in names}}

  def moments(self, weights, batch, key) -> jax.Array:
    """[b, h, w, c] before quantisation, what a second stage reads."""
    del key
    params = weights.params["autoencoder"]
    return self.net.encode(params, batch["image"])[0]

  def ids(self, weights, batch, key) -> jax.Array:
    """[b, h, w] int32, what a second stage of tokens reads."""
    z = self.moments(weights, batch, key)
    return vq.nearest(z, self.codes(weights))

  def features(self, weights, batch, key) -> jax.Array:
    """[b, c]: codes averaged over places."""
    ids = self.ids(weights, batch, key)
    return self.codes(weights)[ids].mean((1, 2))

  def restore(self, weights, batch, key) -> dict[str, jax.Array]:
    """image [b, H, W, c]: decoded from the nearest codes."""
    codes = {"codes": self.codes(weights)}
    z = self.moments(weights, batch, key)
    params = weights.params["autoencoder"] | codes
    return {"image": self.net.decode(params, z)}

  def errors(self, weights, batch, key) -> dict[str, jax.Array]:
    """Per image: pixel [b], of `restore`."""
    x, made = batch["image"], self.restore(weights, batch, key)["image"]
    errors = self.losses.errors(weights.consts, x, made)
    return {"pixel": errors.mean((1, 2, 3))}
