r"""LDM: High-Resolution Image Synthesis with Latent Diffusion Models.

Rombach, Blattmann, Lorenz, Esser, Ommer, CVPR 2022. Equal to the authors' code
(CompVis/latent-diffusion@a506df5): `tests/golden` compares the UNet with a
context, its time embedding, the noise schedule and DDIM.

A UNet denoises in the latent space of a frozen autoencoder:

    z     = s E(x)                           s = 1 / std of the first batch
    x_t   = a_t z + s_t eps                  t ~ U{0..T-1}
    e     = net([x_t, c], t, context)        conditions: `_conditions`
    loss  = mean |eps - e|^p / exp(v_t) + v_t                     p = 2, or 1
            + elbo mean w_t |eps - e|^p,  w_t = beta^2/(2 sigma^2 alpha (1-a^2))

v_t is a parameter with `learn_log_var`, else 0; `elbo` is 0 in all models.

Reference (FID; DDIM): CelebA-HQ 5.11 (200 steps), FFHQ 4.98, LSUN-Churches 4.02
(kl-f8, 400), Bedrooms 2.95; ImageNet LDM-4-G 3.60 (guidance 1.5, 250 steps).

Following the released code: sampling visits times i T // S + 1 and ends at time
0 (`spacing="offset"`), with x0 not clipped; quantised first stages are used
before quantisation and quantise again when they decode; `latent_scale=0` takes
s from the first batch, 1 suits VQ. Differs: 10 % dropped contexts for all
tasks; holes are rectangles; low resolution is a bicubic reduction. Weights:
families `ldm_first_stage` and `ldm`.

    python -m jmim.main --config=configs/ldm_digits.py --workdir=W ...
    python -m jmim.tools.claim ldm
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.diffusion import weights
from jmim.methods.diffusion import _gaussian
from jmim.methods.diffusion import _latent
from jmim.methods.diffusion import _unet
from jmim.methods.latent import _conditions
from jmim.nn import losses
from jmim.nn.nets import unet


@dataclasses.dataclass(frozen=True, kw_only=True)
class LDM(_conditions.Conditioned):
  """Diffusion on a UNet in the latents of a first stage."""

  per_example = False  # the scale of the first batch

  transformer: int = field.value(
    0, "blocks of cross-attention to a context; 0: self-attention", low=0
  )
  scale_shift: bool = field.value(False, "time as scale and shift")
  updown: bool = field.value(False, "resample in residual blocks")
  error: str = field.value("l2", "of the noise", choices=("l1", "l2"))
  learn_log_var: bool = field.value(False, "a parameter v_t for every time")
  elbo: float = field.value(0.0, "weight of the bound", low=0.0)
  latent_scale: float = field.value(
    0.0, "s; 0: of the first batch; 1 for VQ", low=0.0
  )
  dropout: float = field.redefault(_unet.Convolutional, "dropout", 0.0)
  schedule: str = field.redefault(
    _gaussian.Gaussian, "schedule", "scaled_linear"
  )
  beta_start: float = field.redefault(_gaussian.Gaussian, "beta_start", 0.0015)
  beta_end: float = field.redefault(_gaussian.Gaussian, "beta_end", 0.0195)
  spacing: str = field.redefault(_gaussian.Gaussian, "spacing", "offset")
  clip: float = field.redefault(_gaussian.Gaussian, "clip", 0.0)
  first_stage: str = field.redefault(_latent.Latent, "first_stage", "vq-f4")

  @classmethod
  def tiny(cls) -> "LDM":
    """4 x 4 latents of a 16-pixel image, told three tokens."""
    return cls(
      first_stage="kl-f4",
      first_stage_width=8,
      first_stage_path="W",
      size=4,
      first_stage_blocks=1,
      width=16,
      multipliers=(1, 2),
      blocks=1,
      attend_at=(2,),
      heads=2,
      norm_groups=4,
      task="tokens",
      tokens=3,
      vocabulary=9,
      token_depth=1,
      token_heads=1,
      transformer=1,
      context=8,
      steps=3,
      times=20,
      beta_start=1e-3,
      beta_end=0.5,
    )

  @property
  def net(self) -> unet.UNet:
    """As trained, with dropout."""
    return unet.UNet(
      width=self.width,
      multipliers=self.multipliers,
      out=self.channels,
      blocks=self.blocks,
      attend_at=self.attend_at,
      heads=self.heads,
      classes=0,
      dropout=self.dropout,
      scale_shift=self.scale_shift,
      transformer=self.transformer,
      groups=self.norm_groups,
      updown=self.updown,
      head_width=self.head_width,
      rt=self.rt,
    )

  def inputs(self):
    """Images or moments, and conditions; see `Conditioned`."""
    if (self.task in _conditions.CONTEXTS) != bool(self.transformer):
      raise ValueError(
        f"task {self.task!r} with transformer={self.transformer}: a context "
        "needs blocks of cross-attention, and they need a context"
      )
    return super().inputs()

  def init(self, key, batch):
    """Parameters; the scale of the latents if it is to be measured."""
    k_net, k_condition = jax.random.split(key)
    x = jnp.zeros(
      (1, self.size, self.size, self.channels + self.extra_channels)
    )
    context = jnp.zeros((1, 1, self.context)) if self.transformer else None
    net = dataclasses.replace(self.net, dropout=0.0)
    main = {
      "net": net.init(k_net, x, jnp.zeros(1), None, context)["params"],
      "condition": self.init_condition(k_condition),
    }
    if self.learn_log_var:
      main["log_var"] = jnp.zeros(self.times)
    return {"main": main}, {"scale": jnp.float32(0)} if self.measures else {}

  @property
  def measures(self) -> bool:
    """Whether the scale is that of the first batch."""
    return self.stage is not None and not self.latent_scale

  def draw(self, key, batch, step):
    """Those of `Conditioned`, and a seed of dropout."""
    found = super().draw(key, batch, step)
    bits = jax.random.bits(jax.random.fold_in(key, 3), ())
    return found | ({"dropout": bits} if self.dropout else {})

  def scale(self, extra, z=None):
    """s, measured on z where it has not been yet (1 if there is no z)."""
    if self.latent_scale:
      return self.latent_scale
    fresh = 1.0 if z is None else 1 / z.std()
    return jnp.where(extra["scale"] > 0, extra["scale"], fresh)

  def loss(self, player, params, extra, consts, batch, draws, step):
    """Error of the noise; aux: the same without weights, and the scale."""
    z = self.latents(consts, batch, draws, extra)["image"]
    ids = self.ids(batch)
    if ids is not None:
      drop = (draws["label_drop"] < self.label_drop)[:, None]
      ids = jnp.where(drop, self.nothing(ids), ids)
    told = self.told(params, ids) | self.beside(params, consts, batch, draws)
    x_t, _, _ = self.noised(z, draws)
    raw = self.network(
      params, x_t, t=draws["t"], label=told, seed=draws.get("dropout")
    )
    error = losses.DISTANCES[self.error](raw - draws["noise"]).mean((1, 2, 3))
    aux = {"loss_unweighted": error.mean()}
    if self.measures:
      aux["latent_scale"] = self.scale(
        extra, self.encoded(consts, batch, draws)
      )
    return self.weighted(params, error, draws["t"]), aux

  def weighted(self, params, error, t) -> jax.Array:
    """[b] errors at times t [b] -> the loss."""
    v = params["main"]["log_var"][t] if self.learn_log_var else 0.0
    loss = (error / jnp.exp(v) + v).mean()
    if self.elbo:
      loss += self.elbo * (weights.bound(self.process, t) * error).mean()
    return loss

  def after(self, player, params, extra, aux, step):
    """Keeps the scale of the first batch."""
    return {"scale": aux["latent_scale"]} if extra else extra

  def network(self, params, x, t, label, seed=None):
    """[b, h, w, c] noise; label: {"context", "concat"}; seed: of dropout."""
    if "concat" in label:
      x = jnp.concatenate([x, label["concat"]], axis=-1)
    net, rngs = dataclasses.replace(self.net, dropout=0.0), {}
    if seed is not None:
      net, rngs = self.net, {"dropout": jax.random.key(seed)}
    variables = {"params": params["main"]["net"]}
    return net.apply(variables, x, t, None, label.get("context"), rngs=rngs)

  def condition(self, params, consts, batch):
    """(context and channels, the same with the context of nothing)."""
    ids = self.ids(batch)
    beside = self.beside(params, consts, batch, batch)
    nothing = None if ids is None else self.nothing(ids)
    return self.told(params, ids) | beside, self.told(params, nothing) | beside

  def errors(self, params, extra, consts, batch, key):
    """eps [b]: squared error of the noise at random times, all told."""
    draws = self.draw(key, batch, 0)
    z = self.latents(consts, batch, draws, extra)["image"]
    x_t, _, _ = self.noised(z, draws)
    told, _ = self.condition(params, consts, batch | draws)
    raw = self.network(params, x_t, draws["t"], told)
    return {"eps": ((raw - draws["noise"]) ** 2).mean((1, 2, 3))}

  def predict(self):
    """errors; sample, and restore where there is an image to compare."""
    found = {"errors": self.errors}
    if self.decodes:
      found["sample"] = self.sample
      if self.task in ("inpaint", "superres"):
        found["restore"] = self.restore
    return found
