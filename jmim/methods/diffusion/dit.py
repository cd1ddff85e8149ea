r"""DiT: Scalable Diffusion Models with Transformers.

Peebles and Xie, ICCV 2023. Equal to the authors' code (facebookresearch/
DiT@ed81ce2): `tests/golden` compares conditioning, blocks, output, both terms
of the loss, gradients, respacing, DDPM and DDIM trajectories with guidance.

A transformer on the patches of a (latent) image; time and label act by
adaLN-Zero. It predicts the noise and the variance of the reverse step:

    x_t   = a_t x + s_t eps                  t ~ U{0..T-1}
    e, v  = net(x_t, t, y)                   y = none with probability 0.1
    L_mse = mean (e - eps)^2
    L_vb  = KL(q(x_{t-1} | x_t, x) || N(mu_sg(e), Sigma_v)) / ln 2
            at t = 0: the negative log likelihood of x
    loss  = L_mse + L_vb                     `learn_variance`, else L_mse

Reference (ImageNet 256, latents, FID): after 400 k steps without guidance S/2
68.4, B/2 43.5, L/2 23.3, XL/2 19.5; XL/2 after 7 M 9.62, with guidance 2.27.

Following the released code: guidance acts on 3 of the 4 latent channels if
`guidance_channels=3` (1 + x there is about 1 + 3x/4 on all); the table of
positions is fixed. Weights: family `dit`.

    python -m jmim.main --config=configs/dit_digits.py --workdir=runs/dit
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.diffusion import targets
from jmim.diffusion import variance as variances
from jmim.methods.diffusion import _gaussian
from jmim.methods.diffusion import _transformer
from jmim.nn import sizes
from jmim.nn.nets import dit


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiT(_transformer.Transformer):
  """Diffusion transformer with learned variance."""

  learn_variance: bool = field.value(True, "predict v and learn it by L_vb")
  variance: str = field.redefault(_gaussian.Gaussian, "variance", "learned")

  @classmethod
  def tiny(cls) -> "DiT":
    """16 patches of an 8-pixel image, two blocks of width 32."""
    return cls(
      variant="S/2",
      size=8,
      width=32,
      depth=2,
      heads=4,
      classes=3,
      steps=3,
      times=20,
      beta_start=1e-3,
      beta_end=0.5,
    )

  @property
  def net(self) -> dit.DiT:
    """The network; it predicts c channels, or 2 c with the variance."""
    out = self.channels * (1 + self.learn_variance)
    return dit.DiT(
      size=self.net_size,
      patch=self.patch,
      grid=self.grid,
      out=out,
      classes=self.classes,
      rt=self.rt,
    )

  def inputs(self):
    """Normalised images (or latents) and, if conditional, labels."""
    sizes.check(self.net_size, self.size, self.patch)
    if self.variance == "learned" and not self.learn_variance:
      raise ValueError("variance 'learned' without learn_variance")
    return super().inputs()

  def init(self, key, batch):
    """Parameters; no extra state."""
    x, zero = jnp.zeros((1, *self.shape)), jnp.zeros(1, jnp.int32)
    params = self.net.init(key, x, zero, zero)["params"]
    return {"main": params}, {}

  def loss(self, player, params, extra, consts, batch, draws, step):
    """L_mse + L_vb; the latter teaches the variance only."""
    del player, extra, step
    batch = self.latents(consts, batch, draws)
    terms = self.terms(params, batch, draws)
    return (
      sum(terms.values()).mean(),
      {f"loss_{k}": v.mean() for k, v in terms.items()},
    )

  def terms(self, params, batch, draws) -> dict[str, jax.Array]:
    """Each term of the loss per image: mse [b], vb [b] in bits."""
    x_t, _, _ = self.noised(batch["image"], draws)
    label = self.labels(batch, draws)
    return self.scored(
      self.network(params, x_t, draws["t"], label), batch, draws
    )

  def scored(self, raw, batch, draws) -> dict[str, jax.Array]:
    """Each term of the loss of the network's raw output."""
    x, t = batch["image"], draws["t"]
    x_t, a, s = self.noised(x, draws)
    eps, v = raw[..., : self.channels], raw[..., self.channels :]
    found = {"mse": ((eps - draws["noise"]) ** 2).mean((1, 2, 3))}
    if self.learn_variance:
      bound = variances.Bound(self.process)
      x0 = targets.to_x0("eps", jax.lax.stop_gradient(eps), x=x_t, a=a, s=s)
      found["vb"] = bound.bits(x, x_t, t, x0, bound.log_var(v, t))
    return found

  def network(self, params, x, t, label):
    """[b, h, w, c or 2 c]: noise, then v."""
    return self.net.apply({"params": params["main"]}, x, t, label)["pred"]

  def output(self, raw, x, level):
    """Adds log Sigma of the step to what `Gaussian` reads."""
    found = super().output(raw, x, level)
    if not self.learn_variance:
      return found
    v = raw[..., self.channels :]
    log_var = variances.learned(v, level.log_small, level.log_large)
    return found._replace(log_var=log_var)

  def predict(self):
    """features [b, w]: mean of the last tokens at t = 0; sample."""
    return self.predictions("features")

  def features(self, params, extra, consts, batch, key):
    """Mean of the tokens after the last block, of clean images, no label."""
    x, b = batch["image"], len(batch["image"])
    t, null = jnp.zeros(b, jnp.int32), jnp.full(b, self.classes)
    out = self.net.apply({"params": params["main"]}, x, t, null)
    return out["latent"].mean(1).astype(jnp.float32)
