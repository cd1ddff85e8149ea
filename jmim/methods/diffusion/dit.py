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
    loss  = L_mse + L_vb         with `noise.learn_variance`, else L_mse

Reference (ImageNet 256, latents, FID): after 400 k steps without guidance S/2
68.4, B/2 43.5, L/2 23.3, XL/2 19.5; XL/2 after 7 M 9.62, with guidance 2.27.

Following the released code: guidance acts on 3 of the 4 latent channels if
`guidance_channels=3` (1 + x there is about 1 + 3x/4 on all); the table of
positions is fixed. Weights: family `dit`.

    python -m jmim.main --config=configs/dit_digits.py --workdir=runs/dit
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.diffusion import model
from jmim.methods.parts import diffusers
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided
from jmim.methods.parts import labels as conditions
from jmim.nn import sizes
from jmim.nn.nets import dit

Array = jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiT(method.Method):
  """Diffusion transformer with learned variance."""

  size: int = field.value(
    32, "side of what is diffused, in pixels or latents", low=1
  )
  channels: int = field.value(3, "channels of what is diffused", low=1)
  dims: sizes.Dims = field.part(
    sizes.Dims, "transformer", was="{}", variant="B/4"
  )
  first_stage: stages.FirstStage = field.part(
    stages.FirstStage, "images or latents", was="{}"
  )
  noise: gaussian.Gaussian = field.part(
    gaussian.Gaussian,
    "forward process",
    was="{}",
    variance="learned",
    learn_variance=True,
  )
  labels: conditions.Labels = field.part(
    conditions.Labels, "condition", was="{}"
  )
  sampling: guided.Guided = field.part(guided.Guided, "sampler", was="{}")

  @classmethod
  def tiny(cls) -> "DiT":
    """16 patches of an 8-pixel image, two blocks of width 32."""
    return field.replace(
      cls(),
      size=8,
      dims=dict(variant="S/2", width=32, depth=2, heads=4),
      noise=dict(times=20, beta_start=1e-3, beta_end=0.5),
      labels=dict(classes=3),
      sampling=dict(steps=3),
    )

  @property
  def shape(self) -> tuple[int, int, int]:
    """[h, w, c] of what is diffused."""
    return (self.size, self.size, self.channels)

  @property
  def body(self) -> dict[str, Any]:
    """What networks of this kind have in common."""
    return {
      "size": self.dims.size,
      "patch": self.dims.patch,
      "grid": self.dims.grid(self.size),
      "classes": self.labels.classes,
      "rt": self.rt,
    }

  @property
  def net(self) -> dit.DiT:
    """The network; it predicts c channels, or 2 c with the variance."""
    return dit.DiT(**self.body, out=self.channels * self.noise.outputs)

  def inputs(self) -> dict[str, method.Input]:
    """Normalised images (or moments) and, if conditional, labels."""
    self.dims.check(self.size)
    self.sampling.check(self.labels.drop if self.labels.classes else None)
    self.noise.check(self.sampling)
    return self.first_stage.inputs(self.shape) | self.labels.inputs()

  def consts(self) -> dict[str, method.Const]:
    """The first stage, in latent mode."""
    return self.first_stage.consts()

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters; no extra state."""
    del batch
    x, zero = jnp.zeros((1, *self.shape)), jnp.zeros(1, jnp.int32)
    return {"main": self.net.init(key, x, zero, zero)["params"]}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """t [b], noise and posterior [b, h, w, c], label_drop [b] ~ U[0, 1)."""
    del step
    parts = (self.noise, self.labels, self.first_stage)
    shape = (method.batch_size(batch), *self.shape)
    return method.draws_of(keys, shape, *parts)

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """L_mse + L_vb; the latter teaches the variance only."""
    del step, player
    terms = self.terms(weights, batch, draws)
    aux = {f"loss_{k}": v.mean() for k, v in terms.items()}
    return sum(terms.values()).mean(), aux

  def terms(
    self, weights: method.Weights, batch: method.Batch, draws: method.Draws
  ) -> dict[str, jax.Array]:
    """Each term of the loss per image: mse [b], vb [b] in bits."""
    z, out = self.denoised(weights, batch, draws)
    return self.noise.errors(out["pred"], z, draws)

  def denoised(
    self,
    weights: method.Weights,
    batch: method.Batch,
    draws: method.Draws,
    taps: tuple[str, ...] = (),
  ) -> tuple[Array, dict[str, Array]]:
    """(data z, the network's outputs at the drawn times); taps [depth, ...]."""
    z = self.first_stage.encode(weights, batch, draws).astype(jnp.float32)
    x_t, _, _ = self.noise.add(z, draws["t"], draws["noise"])
    label, params = self.labels.dropped(batch, draws), weights.params["main"]
    out = self.net.apply({"params": params}, x_t, draws["t"], label, taps=taps)
    return z, out

  def network(
    self, params: method.Tree, x: Array, t: Array, label: Array | None
  ) -> Array:
    """Raw prediction [b, h, w, c or 2 c] at times t [b]: noise, then v."""
    return self.net.apply({"params": params["main"]}, x, t, label)["pred"]

  def predict(self) -> dict[str, method.Predict]:
    """features [b, w]: mean of the last tokens of clean images; sample."""
    sample = {"sample": self.sample} if self.first_stage.decodes else {}
    return {"features": self.features, **sample}

  def features(self, weights, batch, key) -> jax.Array:
    """Mean of the tokens after the last block, of clean images, no label."""
    x = self.first_stage.encode(weights, batch, self.drawn(key, batch))
    clean, none = jnp.full(len(x), self.noise.clean), self.labels.none(len(x))
    out = self.net.apply({"params": weights.params["main"]}, x, clean, none)
    return out["latent"].mean(1).astype(jnp.float32)

  def sample(self, weights, batch, key) -> jax.Array:
    """Images [b, h, w, c] in the units of the input; see `parts/guided.py`."""
    z = self.sampling.sample(
      self.noise,
      functools.partial(self.network, weights.params),
      condition=self.labels.condition(batch),
      shape=self.shape,
      batch=batch,
      key=key,
    )
    return self.first_stage.decode(weights, z)

  def diffuser(self, weights: method.Weights) -> model.Diffuser:
    """A run of it, frozen."""
    return diffusers.of(self, weights, tell=self.labels.condition)
