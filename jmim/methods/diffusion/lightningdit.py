r"""LightningDiT: a DiT with rectified flow; SiT is one of its settings.

Yao, Yang, Wang, CVPR 2025 ("Reconstruction vs. generation"). Equal to the
authors' code (hustvl/LightningDiT@2725fed): `tests/golden` compares network,
both terms of the loss, times and guided trajectory. Their tokenizer, VA-VAE
(an autoencoder aligned with a vision model), is not here.

DiT with RMSNorm, SwiGLU, rotary positions and normed q and k, which predicts
the velocity of straight paths:

    x_u   = u x + (1 - u) eps           u = sigmoid(n), n ~ N(0, 1): 1 = data
    v     = net(x_u, u, y)              y = none with probability 0.1
    w     = x - eps
    loss  = mean (v - w)^2 + direction mean_places (1 - cos_channels(v, w))

Samples follow dx = v du with Euler steps that are shorter near noise: u ->
s u / (1 + (s - 1) u); guidance acts where u >= `guidance_start`.

SiT (Ma et al., ECCV 2024) is norm="layer", swiglu=False, rotary=False,
qk_norm=False, direction=0, uniform=True, spare=True (its unused half of the
output), shift=1.

Reference (ImageNet 256, latents of VA-VAE f16d32, XL/1, FID without / with
guidance): 64 epochs 5.14 / 2.11, 800 epochs 2.17 / 1.35.

Following the released code: times are told as u, not times 1000; the fixed
table of positions is added beside the rotary ones; `guidance_channels=3`
guides the first three channels only. Weights: family `lightningdit`.

    python -m jmim.main --config=configs/lightningdit_digits.py --workdir=W
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.diffusion import guidance as guiding
from jmim.diffusion import sampler as samplers
from jmim.diffusion import schedule
from jmim.diffusion import solvers
from jmim.diffusion import targets
from jmim.diffusion import weights
from jmim.methods.diffusion import _conditional
from jmim.methods.diffusion import _transformer
from jmim.nn import norm as norms
from jmim.nn import sizes
from jmim.nn.nets import dit

THETA = 10_000.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class LightningDiT(_transformer.Sized, _conditional.Conditional):
  """Velocity of straight paths, by a modern DiT."""

  variant: str = field.redefault(_transformer.Sized, "variant", "B/1")
  norm: str = field.value("rms", "of the blocks", choices=("rms", "layer"))
  swiglu: bool = field.value(True, "SwiGLU instead of an MLP")
  rotary: bool = field.value(True, "rotary positions")
  qk_norm: bool = field.value(True, "RMSNorm of q and k")
  spare: bool = field.value(False, "twice the output, half unused (SiT)")
  direction: float = field.value(1.0, "weight of the cosine", low=0.0)
  uniform: bool = field.value(False, "times uniform, not logit-normal")
  sampler: str = field.redefault(_conditional.Conditional, "sampler", "euler")
  steps: int = field.redefault(_conditional.Conditional, "steps", 249)
  shift: float = field.value(0.3, "s of the sampler's times", above=0.0)
  guidance_start: float = field.value(0.1, "first time u with guidance")
  clip: float = field.redefault(_conditional.Conditional, "clip", 0.0)

  @classmethod
  def tiny(cls) -> "LightningDiT":
    """16 patches of an 8-pixel image, two blocks of width 32."""
    return cls(
      variant="S/2", size=8, width=32, depth=2, heads=4, classes=3, steps=3
    )

  @property
  def net(self) -> dit.DiT:
    """The network."""
    return dit.DiT(
      size=self.net_size,
      patch=self.patch,
      grid=self.grid,
      out=self.channels * (1 + self.spare),
      classes=self.classes,
      rt=self.rt,
      qk_norm="rms" if self.qk_norm else False,
      rms=self.norm == "rms",
      swiglu=self.swiglu,
      theta=THETA if self.rotary else 0.0,
    )

  @property
  def table(self) -> samplers.Table:
    """The sampler along straight paths."""
    return solvers.make(self.sampler, schedule.straight(self.steps, self.shift))

  def inputs(self) -> dict[str, method.Input]:
    """Normalised images (or moments) and, if conditional, labels."""
    sizes.check(self.net_size, self.size, self.patch)
    return super().inputs()

  def init(self, key, batch):
    """Parameters; no extra state."""
    x, zero = jnp.zeros((1, *self.shape)), jnp.zeros(1, jnp.int32)
    params = self.net.init(key, x, jnp.zeros(1), zero)["params"]
    return {"main": params}, {}

  def draw(self, key, batch, step):
    """u [b] in (0, 1), noise like the images, label_drop [b] ~ U[0, 1)."""
    del step
    k_u, k_noise, k_drop, k_latent = jax.random.split(key, 4)
    shape = (len(jax.tree.leaves(batch)[0]), *self.shape)
    normal = jax.random.normal(k_u, shape[:1])
    u = jax.random.uniform(k_u, shape[:1])
    found = {
      "u": u if self.uniform else weights.logit_normal(normal),
      "noise": jax.random.normal(k_noise, shape),
    }
    if self.classes:
      found["label_drop"] = jax.random.uniform(k_drop, shape[:1])
    return found | self.draw_latents(k_latent, shape[0])

  def network(self, params, x, u, label) -> jax.Array:
    """Velocity [b, h, w, c] at times u [b]."""
    out = self.net.apply({"params": params["main"]}, x, u, label)
    return out["pred"][..., : self.channels]

  def loss(self, player, params, extra, consts, batch, draws, step):
    """Squared error and direction."""
    del player, extra, step
    terms = self.terms(params, self.latents(consts, batch, draws), draws)
    total = terms["mse"] + self.direction * terms["cos"]
    return total.mean(), {f"loss_{k}": v.mean() for k, v in terms.items()}

  def terms(self, params, batch, draws) -> dict[str, jax.Array]:
    """Each term of the loss per image: mse [b], cos [b]."""
    x, eps = batch["image"].astype(jnp.float32), draws["noise"]
    u = targets.expand(draws["u"], x.ndim)
    x_u = targets.noised(x, eps, *schedule.interpolant("linear", u))
    v = self.network(params, x_u, draws["u"], self.labels(batch, draws))
    w = targets.target("velocity", x, eps=eps, a=u, s=1 - u)
    cos = (norms.unit(v, 1e-8) * norms.unit(w, 1e-8)).sum(-1)
    return {
      "mse": ((v - w) ** 2).mean((1, 2, 3)),
      "cos": (1 - cos).mean((1, 2)),
    }

  def output(self, raw, x, level) -> targets.Output:
    """Velocity."""
    return targets.output(
      "velocity", raw, x=x, a=level.signal, s=level.noise, clip=self.clip
    )

  def guided(self, cond, null, time) -> jax.Array:
    """Guidance from `guidance_start` on."""
    scale = guiding.interval(self.guidance, time, self.guidance_start, 1.0)
    return guiding.combine(cond, null, scale, self.guidance_channels or None)

  def predict(self):
    """features [b, w]: mean of the last tokens at u = 1; sample."""
    own = {"features": self.on_latents(self.features)}
    return own | ({"sample": self.sample} if self.decodes else {})

  def features(self, params, extra, consts, batch, key):
    """Mean of the tokens after the last block, of clean images, no label."""
    x, b = batch["image"], len(batch["image"])
    one, none = jnp.ones(b), jnp.full(b, self.classes)
    out = self.net.apply({"params": params["main"]}, x, one, none)
    return out["latent"].mean(1).astype(jnp.float32)
