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
import jax.numpy as jnp

from jmim.core import field
from jmim.methods.latent import _autoencoder
from jmim.nn import vq
from jmim.nn.nets import codec


@dataclasses.dataclass(frozen=True, kw_only=True)
class AutoencoderVQ(_autoencoder.FirstStage):
  """Autoencoder whose code is an entry of a table at every place."""

  variant: str = field.value(
    "vq-f4", "factor of downsampling", choices=codec.variants("vq")
  )
  codes: int = field.value(8192, "size of the codebook", low=2)
  beta: float = field.value(0.25, "of the smaller term", low=0.0)
  legacy: bool = field.value(True, "beta on the codebook's side")
  ema: float = field.value(
    0.0,
    "decay of a codebook of moving averages; 0: by gradient",
    low=0.0,
    below=1.0,
  )
  restart: float = field.value(
    0.0, "least use of a code per batch (with ema); 0: no restart", low=0.0
  )

  @classmethod
  def tiny(cls) -> "AutoencoderVQ":
    """An 8-pixel image, 8 x 8 codes of 4."""
    return cls(
      size=8,
      width=8,
      multipliers=(1,),
      blocks=1,
      codes=4,
      disc_start=0,
      disc_layers=1,
      disc_width=8,
      disc_weight=0.1,
      disc_loss="vanilla",
    )

  @property
  def n_codes(self):
    """Of the codebook."""
    return self.codes

  @property
  def side(self) -> int:
    """Of the grid of codes."""
    return self.size // self.net.size.factor

  def inputs(self):
    """Images [size, size, channels] in -1 .. 1."""
    if self.restart and not self.ema:
      raise ValueError("restart without ema: codes are parameters there")
    return super().inputs()

  def init(self, key, batch):
    """Parameters of both players; with `ema` the codebook is extra state."""
    params, extra = super().init(key, batch)
    if self.ema:
      codes = params["autoencoder"].pop("codes")
      n = jnp.ones(self.codes)
      extra = {"codes": codes, "used": n, "total": jnp.copy(codes)}
    return params, extra

  def draw(self, key, batch, step):
    """With `restart`, [codes]: which vectors of the batch are candidates."""
    if not self.restart:
      return {}
    n = len(batch["image"]) * self.side**2
    return {"pick": jax.random.randint(key, (self.codes,), 0, n)}

  def codebook(self, params, extra) -> jax.Array:
    """[k, c] codes, whoever keeps them."""
    return extra["codes"] if self.ema else params["autoencoder"]["codes"]

  def quantise(self, codes, z):
    """(q with the gradient of z, ids [b, h, w], L_q) of [b, h, w, c]."""
    ids = vq.nearest(z, codes)
    q = codes[ids]
    codebook, commitment = vq.losses(z, q)
    if self.ema:
      loss = self.beta * commitment
    elif self.legacy:
      loss = commitment + self.beta * codebook
    else:
      loss = self.beta * commitment + codebook
    return vq.straight_through(z, q), ids, loss

  def code(self, params, extra, batch, draws):
    """The codes of an image; with `ema` also what moves them."""
    z, _ = self.net.encode(params["autoencoder"], batch["image"])
    q, ids, loss = self.quantise(self.codebook(params, extra), z)
    aux = {"codebook": loss, "perplexity": vq.perplexity(ids, self.codes)}
    if self.ema:
      aux["count"], aux["sum"] = vq.statistics(z, ids, self.codes)
    if self.restart:
      aux["candidates"] = z.reshape(-1, z.shape[-1])[draws["pick"]]
    return q, loss, aux

  def after(self, player, params, extra, aux, step):
    """Moves the codebook of moving averages, once the autoencoder has."""
    if not self.ema or player != self.players[0]:
      return extra
    old, new = (extra["used"], extra["total"]), (aux["count"], aux["sum"])
    state = vq.update(old, new, extra["codes"], self.ema)
    if self.restart:
      state = vq.restart(state, aux["candidates"], self.restart)
    return dict(zip(("used", "total", "codes"), state, strict=True))

  def likelihood(self, pixels):
    """Mean over everything."""
    return pixels.mean()

  def predict(self):
    """features, moments, codes, restore, errors."""
    more = {"codes": self.ids, "moments": self.moments}
    return super().predict() | more

  def moments(self, params, extra, consts, batch, key):
    """[b, h, w, c] before quantisation, what a second stage reads."""
    return self.net.encode(params["autoencoder"], batch["image"])[0]

  def ids(self, params, extra, consts, batch, key):
    """[b, h, w] int32, what a second stage of tokens reads."""
    z = self.moments(params, extra, consts=consts, batch=batch, key=key)
    return vq.nearest(z, self.codebook(params, extra))

  def features(self, params, extra, consts, batch, key):
    """[b, c]: codes averaged over places."""
    ids = self.ids(params, extra, consts=consts, batch=batch, key=key)
    return self.codebook(params, extra)[ids].mean((1, 2))

  def restore(self, params, extra, consts, batch, key):
    """image [b, H, W, c]: decoded from the nearest codes."""
    own = {**params["autoencoder"], "codes": self.codebook(params, extra)}
    z, _ = self.net.encode(own, batch["image"])
    return {"image": self.net.decode(own, z)}

  def errors(self, params, extra, consts, batch, key):
    """Per image: pixel [b], of `restore`."""
    made = self.restore(params, extra, consts=consts, batch=batch, key=key)[
      "image"
    ]
    error = self.errors_of(consts, batch["image"], made)
    return {"pixel": error.mean((1, 2, 3))}
