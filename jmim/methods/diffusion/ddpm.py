r"""DDPM on a UNet: the baseline and ablation grid of the diffusion parts.

Ho, Jain, Abbeel 2020, with DDIM, classifier-free guidance and other schedules
as compared by Shah, Gromis, Pinto 2024 (arXiv 2412.14422), whose code is not
public: `tests/golden` compares schedules, noising and sampling steps with a
library reference, not the network.

    x_t    = a_t x + s_t eps                 t ~ U{0..T-1}
    target = eps, x0, v = a eps - s x0 or velocity = x0 - eps
    loss   = mean w_t (net(x_t, t, y) - target)^2   y = none with p = 0.1
    w_t    = 1, or min(SNR_t, 5) in terms of the target

With `noise.learn_variance` the network also predicts v, as in ADM (Dhariwal and
Nichol 2021): the loss is L_hybrid, the term L_vb of `parts/gaussian.py` beside.

Reference (CIFAR-10 FID of the original papers, width 128, 800 k steps): DDPM
3.17, DDIM in 50 steps 4.67, in 10 steps 13.36.

Differs from the report, as far as it is known: the label is added to the time
embedding instead of being one token of cross-attention (with one key the
softmax is 1, which adds a projection of it).

    python -m jmim.main --config=configs/ddpm_cifar10.py --workdir=runs/ddpm
"""

import dataclasses
import functools
from typing import Any
from typing import ClassVar

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.diffusion import model
from jmim.diffusion import targets
from jmim.diffusion import weights as loss_weights
from jmim.methods.parts import diffusers
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided
from jmim.methods.parts import labels as conditions
from jmim.methods.parts import variational
from jmim.nn.nets import unet

Array = jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class DDPM(method.Method):
  """Denoising diffusion on a UNet."""

  shared = ("dropout",)

  size: int = field.value(32, "side in pixels or latents", low=1)
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
    "eps", "quantity that the network predicts", choices=targets.KINDS
  )
  weight: str = field.value(
    "uniform", "weight of the loss over times", choices=("uniform", "min_snr")
  )

  measures: ClassVar[bool] = False  # the scale of latents, on the first batch

  @classmethod
  def tiny(cls) -> "DDPM":
    """Two levels of width 16 on an 8-pixel image."""
    small = dict(width=16, multipliers=(1, 2), blocks=1, attend_at=(2,))
    return field.replace(
      cls(),
      size=8,
      dims=dict(**small, heads=2, norm_groups=4, dropout=0.0),
      noise=dict(times=20, beta_start=1e-3, beta_end=0.5),
      labels=dict(classes=3),
      sampling=dict(steps=3),
    )

  @property
  def shape(self) -> tuple[int, int, int]:
    """[h, w, c] of what is diffused."""
    return (self.size, self.size, self.channels)

  def net(self, dropout: float = 0.0) -> unet.UNet:
    """The network, without dropout unless it is asked for."""
    out, classes = self.channels * self.noise.outputs, self.labels.classes
    return self.dims.net(out=out, dropout=dropout, classes=classes, rt=self.rt)

  def inputs(self) -> dict[str, method.Input]:
    """Normalised images (or latents) and, if conditional, labels."""
    loss_weights.check(self.weight, self.prediction)
    self.dims.check(self.size)
    self.sampling.check(self.labels.drop if self.labels.classes else None)
    learns = variational.learns(self)
    self.noise.check(self.sampling, learns=learns, kind=self.prediction)
    images = self.first_stage.inputs(self.shape, self.measures)
    return images | self.labels.inputs()

  def consts(self) -> dict[str, method.Const]:
    """The first stage, in latent mode."""
    return self.first_stage.consts()

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters; no extra state."""
    del batch
    x, zero = jnp.zeros((1, *self.shape)), jnp.zeros(1, jnp.int32)
    return {"main": self.net().init(key, x, zero, zero)["params"]}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """t [b], noise, posterior, label_drop [b], and a seed of dropout."""
    del step
    parts = (self.noise, self.labels, self.first_stage)
    shape = (method.batch_size(batch), *self.shape)
    draws = method.draws_of(keys, shape, *parts)
    if self.dims.dropout:
      draws["dropout"] = jax.random.bits(keys("dropout"), ())
    return draws

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Weighted mean squared error of the prediction, and L_vb if learned."""
    del step, player
    x = self.first_stage.encode(weights, batch, draws)
    label = self.labels.dropped(batch, draws)
    raw, target, w = self.predicted(weights, x, draws, label)
    error = (raw[..., : self.channels] - target) ** 2
    bound = variational.bound(self.noise, raw, x, draws)
    aux = {"loss_unweighted": error.mean(), **bound}
    return (w * error).mean() + sum(bound.values()), aux

  def predicted(
    self, weights: method.Weights, x: Array, draws: method.Draws, shown: Any
  ) -> tuple[Array, Array, Array]:
    """(raw, target, w_t [b, 1, 1, 1]) of data x at the drawn times."""
    t, eps = draws["t"], draws["noise"]
    x_t, a, s = self.noise.add(x, t, eps)
    seed = draws.get("dropout")
    pred = self.network(weights.params, x_t, t, shown, seed=seed)
    target = targets.target(self.prediction, x, eps=eps, a=a, s=s)
    return pred, target, loss_weights.make(self.weight, self.prediction, a, s)

  def network(
    self, params: Any, x: Array, t: Array, shown: Any, seed: Any = None
  ) -> Array:
    """Raw prediction [b, h, w, c or 2 c] of x at times t [b].

    Args:
      params: of the only player.
      x: [b, h, w, c].
      t: [b].
      shown: labels [b]; None: unconditional.
      seed: of dropout; None: there is none.
    """
    rngs = {} if seed is None else {"dropout": jax.random.key(seed)}
    net = self.net(self.dims.dropout if rngs else 0.0)
    return net.apply({"params": params["main"]}, x, t, shown, rngs=rngs)

  def guiding(
    self, weights: method.Weights, batch: method.Batch
  ) -> tuple[Any, Any]:
    """(what the network is conditioned on, the same of none)."""
    del weights
    return self.labels.condition(batch)

  def predict(self) -> dict[str, method.Predict]:
    """sample, and the error [b] of the noise it implies."""
    sample = {"sample": self.sample} if self.first_stage.decodes else {}
    return {"errors": self.errors, **sample}

  def errors(self, weights, batch, key) -> dict[str, jax.Array]:
    """eps [b]: squared error of the noise at random times, all shown."""
    draws = self.drawn(key, batch)
    x, eps = self.first_stage.encode(weights, batch, draws), draws["noise"]
    x_t, a, s = self.noise.add(x, draws["t"], eps)
    shown, _ = self.guiding(weights, batch | draws)
    raw = self.network(weights.params, x_t, draws["t"], shown)
    pred = raw[..., : self.channels]
    implied = targets.to_eps(self.prediction, pred, x=x_t, a=a, s=s)
    return {"eps": ((implied - eps) ** 2).mean((1, 2, 3))}

  def sample(self, weights, batch, key) -> jax.Array:
    """Images [b, h, w, c] in the units of the input; see `parts/guided.py`."""
    network = functools.partial(self.network, weights.params)
    shown = self.guiding(weights, batch)
    options = dict(shape=self.shape, batch=batch, key=key, kind=self.prediction)
    z = self.sampling.sample(self.noise, network, condition=shown, **options)
    return self.first_stage.decode(weights, z)

  def diffuser(self, weights: method.Weights) -> model.Diffuser:
    """A run of it, frozen."""
    return diffusers.of(self, weights, kind=self.prediction)
