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
from jmim.core import method
from jmim.core import randomness
from jmim.diffusion import sampler as samplers
from jmim.diffusion import targets
from jmim.diffusion import weights as loss_weights
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided
from jmim.methods.parts import labels as conditions
from jmim.nn.nets import unet


@dataclasses.dataclass(frozen=True, kw_only=True)
class DDPM(method.Method):
  """Denoising diffusion on a UNet."""

  shared = ("dropout",)

  size: int = field.value(
    32, "side of what is diffused, in pixels or latents", low=1
  )
  channels: int = field.value(3, "channels of what is diffused", low=1)
  dims: unet.Dims = field.part(unet.Dims, "UNet", was="{}")
  first_stage: stages.FirstStage = field.part(
    stages.FirstStage, "images or latents", was="{}"
  )
  noise: gaussian.Gaussian = field.part(
    gaussian.Gaussian, "forward process", was="{}"
  )
  labels: conditions.Labels = field.part(
    conditions.Labels, "condition", was="{}"
  )
  sampling: guided.Guided = field.part(guided.Guided, "sampler", was="{}")
  prediction: str = field.value(
    "eps", "what the network predicts", choices=targets.KINDS
  )
  weight: str = field.value(
    "uniform", "weight of the loss over times", choices=("uniform", "min_snr")
  )

  @classmethod
  def tiny(cls) -> "DDPM":
    """Two levels of width 16 on an 8-pixel image."""
    return cls(
      size=8,
      dims=unet.Dims(
        width=16,
        multipliers=(1, 2),
        blocks=1,
        attend_at=(2,),
        heads=2,
        norm_groups=4,
        dropout=0.0,
      ),
      noise=gaussian.Gaussian(times=20, beta_start=1e-3, beta_end=0.5),
      labels=conditions.Labels(classes=3),
      sampling=guided.Guided(steps=3),
    )

  @property
  def shape(self) -> tuple[int, int, int]:
    """[h, w, c] of what is diffused."""
    return (self.size, self.size, self.channels)

  def net(self, dropout: float = 0.0) -> unet.UNet:
    """The network, without dropout unless it is asked for."""
    return self.dims.net(
      out=self.channels,
      classes=self.labels.classes,
      dropout=dropout,
      rt=self.rt,
    )

  def inputs(self) -> dict[str, method.Input]:
    """Normalised images (or latents) and, if conditional, labels."""
    if self.weight == "min_snr" and self.prediction == "velocity":
      raise ValueError("weight 'min_snr' has no form for prediction 'velocity'")
    self.dims.check(self.size)
    self.sampling.check()
    self.noise.check(self.sampling, learns=False)
    return self.first_stage.inputs(self.shape) | self.labels.inputs()

  def consts(self) -> dict[str, method.Const]:
    """The first stage, in latent mode."""
    return self.first_stage.consts()

  def init(
    self, key: jax.Array, batch: method.Batch
  ) -> tuple[method.Tree, method.Tree]:
    """Parameters; no extra state."""
    del batch
    x, zero = jnp.zeros((1, *self.shape)), jnp.zeros(1, jnp.int32)
    return {"main": self.net().init(key, x, zero, zero)["params"]}, {}

  def draw(
    self, keys: randomness.Keys, batch: method.Batch, step: jax.Array
  ) -> method.Draws:
    """t [b], noise, posterior, label_drop [b], and a seed of dropout."""
    del step
    b = len(jax.tree.leaves(batch)[0])
    shape = (b, *self.shape)
    draws = self.noise.draw(keys, shape) | self.labels.draw(keys, b)
    draws |= self.first_stage.draw(keys, shape)
    return draws | {"dropout": jax.random.bits(keys("dropout"), ())}

  def loss(
    self,
    weights: method.Weights,
    batch: method.Batch,
    draws: method.Draws,
    step: jax.Array,
    player: str = "main",
  ) -> method.Loss:
    """Weighted mean squared error of the prediction."""
    del step, player
    x = self.first_stage.encode(weights, batch, draws)
    eps = draws["noise"]
    x_t, a, s = self.noise.add(x, draws["t"], eps)
    pred = self.net(self.dims.dropout).apply(
      {"params": weights.params["main"]},
      x_t,
      draws["t"],
      self.labels.dropped(batch, draws),
      rngs={"dropout": jax.random.key(draws["dropout"])},
    )
    target = targets.target(self.prediction, x, eps=eps, a=a, s=s)
    error = (pred - target) ** 2
    w = loss_weights.make(self.weight, self.prediction, a, s)
    return (w * error).mean(), {"loss_unweighted": error.mean()}

  def network(
    self,
    params: method.Tree,
    x: jax.Array,
    t: jax.Array,
    label: jax.Array | None,
  ) -> jax.Array:
    """[b, h, w, c], without dropout."""
    return self.net().apply({"params": params["main"]}, x, t, label)

  def output(
    self, raw: jax.Array, x: jax.Array, level: samplers.Level
  ) -> targets.Output:
    """What the sampler needs, of whatever the network predicts."""
    return targets.output(
      self.prediction,
      raw,
      x=x,
      a=level.signal,
      s=level.noise,
      clip=self.sampling.clip,
      scales=level.scales,
    )

  def predict(self) -> dict[str, method.Predict]:
    """sample, and the error [b] of the noise it implies."""
    sample = {"sample": self.sample} if self.first_stage.decodes else {}
    return {"errors": self.errors, **sample}

  def errors(
    self, weights: method.Weights, batch: method.Batch, key: jax.Array
  ) -> dict[str, jax.Array]:
    """eps [b]: squared error of the noise at random times, labels shown."""
    draws = self.drawn(key, batch)
    x, eps = self.first_stage.encode(weights, batch, draws), draws["noise"]
    x_t, a, s = self.noise.add(x, draws["t"], eps)
    label, _ = self.labels.condition(batch)
    raw = self.network(weights.params, x_t, draws["t"], label)
    implied = targets.to_eps(self.prediction, raw, x=x_t, a=a, s=s)
    return {"eps": ((implied - eps) ** 2).mean((1, 2, 3))}

  def sample(
    self, weights: method.Weights, batch: method.Batch, key: jax.Array
  ) -> jax.Array:
    """Images [b, h, w, c] in the units of the input; see `parts/guided.py`."""
    denoise = self.sampling.denoiser(
      lambda x, t, label: self.network(weights.params, x, t, label),
      self.output,
      condition=self.labels.condition(batch),
      end=self.noise.end,
      channels=self.channels,
    )
    z = self.sampling.run(
      self.noise.table(self.sampling),
      denoise,
      shape=self.shape,
      batch=batch,
      key=key,
    )
    return self.first_stage.decode(weights, z)
