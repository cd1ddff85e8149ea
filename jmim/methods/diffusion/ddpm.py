r"""DDPM on a UNet: the baseline and ablation grid of the diffusion parts.

Ho, Jain, Abbeel 2020, with DDIM, classifier-free guidance and other schedules
as compared by Shah, Gromis, Pinto 2024 (arXiv 2412.14422), whose code is not
public: `tests/golden` compares schedules, noising and sampling steps with a
library reference, not the network.

    x_t    = a_t x + s_t eps                 t ~ U{0..T-1}
    target = eps, x0, v = a eps - s x0 or velocity = x0 - eps
    loss   = mean w_t (net(x_t, t, y) - target)^2   y = none with p = 0.1
    w_t    = 1, or min(SNR_t, 5) in terms of the target

Reference (CIFAR-10 FID of the original papers, width 128, 800 k steps): DDPM
3.17, DDIM in 50 steps 4.67, in 10 steps 13.36.

Differs from the report, as far as it is known: the label is added to the time
embedding instead of being one token of cross-attention (with one key the
softmax is 1, which adds a projection of it).

    python -m jmim.main --config=configs/ddpm_cifar10.py --workdir=runs/ddpm
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.diffusion import targets
from jmim.diffusion import weights
from jmim.methods.diffusion import _unet
from jmim.nn.nets import unet


@dataclasses.dataclass(frozen=True, kw_only=True)
class DDPM(_unet.Convolutional):
  """Denoising diffusion on a UNet."""

  prediction: str = field.value(
    "eps", "what the network predicts", choices=targets.KINDS
  )
  weight: str = field.value(
    "uniform", "of the loss over times", choices=("uniform", "min_snr")
  )

  @classmethod
  def tiny(cls) -> "DDPM":
    """Two levels of width 16 on an 8-pixel image."""
    return cls(
      size=8,
      width=16,
      multipliers=(1, 2),
      blocks=1,
      attend_at=(2,),
      heads=2,
      norm_groups=4,
      dropout=0.0,
      classes=3,
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
      classes=self.classes,
      dropout=self.dropout,
      groups=self.norm_groups,
      head_width=self.head_width,
      rt=self.rt,
    )

  def inputs(self):
    """Normalised images (or latents) and, if conditional, labels."""
    if self.variance == "learned":
      raise ValueError("variance 'learned': this network predicts none")
    if self.weight == "min_snr" and self.prediction == "velocity":
      raise ValueError("weight 'min_snr' has no form for prediction 'velocity'")
    return super().inputs()

  def init(self, key, batch):
    """Parameters; no extra state."""
    zero = jnp.zeros(1, jnp.int32)
    net = dataclasses.replace(self.net, dropout=0.0)
    x = jnp.zeros((1, *self.shape))
    return {"main": net.init(key, x, zero, zero)["params"]}, {}

  def draw(self, key, batch, step):
    """t, noise, label_drop of `Gaussian`, and a seed of dropout."""
    k_base, k_drop = jax.random.split(key)
    seed = jax.random.bits(k_drop, ())  # a number has no batch dimension
    return {**super().draw(k_base, batch, step), "dropout": seed}

  def loss(self, player, params, extra, consts, batch, draws, step):
    """Weighted mean squared error of the prediction."""
    del player, extra, step
    x, eps = self.latents(consts, batch, draws)["image"], draws["noise"]
    x_t, a, s = self.noised(x, draws)
    pred = self.net.apply(
      {"params": params["main"]},
      x_t,
      draws["t"],
      self.labels(batch, draws),
      rngs={"dropout": jax.random.key(draws["dropout"])},
    )
    error = (pred - targets.target(self.prediction, x, eps=eps, a=a, s=s)) ** 2
    w = weights.make(self.weight, self.prediction, a, s)
    return (w * error).mean(), {"loss_unweighted": error.mean()}

  def network(self, params, x, t, label):
    """[b, h, w, c], without dropout."""
    net = dataclasses.replace(self.net, dropout=0.0)
    return net.apply({"params": params["main"]}, x, t, label)

  def output(self, raw, x, level):
    """Of whatever the network predicts."""
    return targets.output(
      self.prediction,
      raw,
      x=x,
      a=level.signal,
      s=level.noise,
      clip=self.clip,
      scales=level.scales,
    )

  def predict(self):
    """sample, and the error [b] of the noise it implies."""
    return self.predictions("errors")

  def errors(self, params, extra, consts, batch, key):
    """eps [b]: squared error of the noise at random times, labels given."""
    draws = self.draw(key, batch, 0)
    x_t, a, s = self.noised(batch["image"], draws)
    label = batch["label"] if self.classes else None
    raw = self.network(params, x_t, draws["t"], label)
    eps = targets.to_eps(self.prediction, raw, x=x_t, a=a, s=s)
    return {"eps": ((eps - draws["noise"]) ** 2).mean((1, 2, 3))}
