r"""DiffuseVAE: a diffusion model that refines what a VAE decodes.

Pandey, Mukherjee, Rai, Kumar, TMLR 2022. Equal to the authors' code
(kpandey008/DiffuseVAE@8e6d251): `tests/golden` compares noising, DDPM and DDIM
of both forms under recorded outputs of a network; the VAE with that of
`latent.diffusevae_vae`.

A frozen VAE gives a code and a blurred image of it, which the UNet sees:

    z ~ q(z | x);  c = 2 D(z) - 1                          `parts/coarse.py`
    c = z = 0 with probability coarse.drop, ONE coin for the whole batch
    u_t   = a_t x + s_t eps                  t ~ U{0..T-1}
    x_t   = u_t           (form 1)           x_t = u_t + c        (form 2)
    loss  = mean (eps - net([x_t, c], t, z))^2

Form 2 starts at N(c, I). It is the plain process of u = x_t - c: every sampler
walks u, the network is shown u + c, and what is left at the end is x. Without
the condition (the second call of guidance) the network gets zeros beside the
image, and still u + c.

    z     ~ N(0, I), or a mixture fitted to codes      `parts/code_prior.py`
    u_T   = tau n;  tau: sampling.temperature            `parts/refining.py`
    e     = (1 + w) net(c, z) - w net(0, 0);  w = sampling.guidance - 1

Reference (FID): CelebA-HQ 128 in 10 steps 16.47, DDIM 34.36; CIFAR-10 2.62 in
1000 steps with a mixture and CelebA-64 3.97 (both from memory).

Following the released code: x0 is clipped, and DDIM takes e as it was before;
the last step of DDPM adds no noise. Differs: a VAE of another side, whose image
they resize, is refused. Of `interpolate` the way between two noises, on a
circle, is ours. Weights: families `diffusevae` (the VAE) and
`diffusevae_unet`.

    python -m jmim.main --config=configs/diffusevae_digits.py:vae=V,form=2 \
      --workdir=W
    python -m jmim.tools.claim diffusevae
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import coarse as coarse_parts
from jmim.methods.parts import code_prior
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided
from jmim.methods.parts import refining
from jmim.nn.nets import unet

Array = jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiffuseVAE(method.Method):
  """A UNet given the blurred image of a frozen VAE."""

  shared = ("condition_drop", "dropout")

  size: int = field.value(32, "image side [pixels]", low=1)
  dims: unet.Dims = field.part(unet.Dims, "UNet")
  coarse: coarse_parts.Coarse = field.part(
    coarse_parts.Coarse, "frozen VAE and how it conditions"
  )
  prior: code_prior.Prior = field.part(
    code_prior.Prior, "distribution that codes are sampled from"
  )
  noise: gaussian.Gaussian = field.part(
    gaussian.Gaussian, "forward process", spacing="stride", variance="large"
  )
  sampling: guided.Guided = field.part(
    guided.Guided, "sampler", sampler="ddpm", steps=1000
  )
  points: int = field.value(
    8, "images from one end of `interpolate` to the other", low=2, asked=True
  )

  @classmethod
  def tiny(cls) -> "DiffuseVAE":
    """Form 2 with a code and a mixture, 8-pixel images."""
    small = dict(width=16, multipliers=(1, 2), blocks=1, attend_at=(2,))
    vae = dict(
      encoder="8d2,8t4,4d4,4t1,1",
      encoder_widths="8:8,4:8,1:6",
      decoder="1,1u4,1t4,4u2,4t8,8",
      decoder_widths="8:8,4:8,1:6",
    )
    return field.replace(
      cls(),
      size=8,
      dims=dict(**small, heads=2, norm_groups=4, dropout=0.0, scale_shift=True),
      coarse=dict(form=2, code=True, drop=0.1, dims=vae, path="W"),
      prior=dict(path="W", components=3),
      noise=dict(times=20, beta_start=1e-3, beta_end=0.5),
      sampling=dict(steps=4),
    )

  @property
  def shape(self) -> tuple[int, int, int]:
    """[h, w, c] of an image."""
    return (self.size, self.size, self.coarse.channels)

  def net(self, dropout: float = 0.0) -> unet.UNet:
    """The network, without dropout unless it is asked for."""
    options = {"code": "added" if self.coarse.code else "", "rt": self.rt}
    return self.dims.net(out=self.coarse.channels, dropout=dropout, **options)

  def inputs(self) -> dict[str, method.Input]:
    """Images [size, size, channels] in -1 .. 1."""
    self.dims.check(self.size)
    if self.coarse.code and not self.dims.scale_shift:
      raise ValueError("coarse.code=True without dims.scale_shift=True")
    self.coarse.check(self.size, self.sampling.guidance)
    self.sampling.check()
    self.noise.check(self.sampling, learns=False)
    return {"image": method.Input(self.shape, range=(-1.0, 1.0))}

  def consts(self) -> dict[str, method.Const]:
    """The VAE and, where codes are not N(0, I), their mixture."""
    return self.coarse.consts() | self.prior.consts(self.coarse.width)

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters; no extra state."""
    del batch
    x, t = jnp.zeros((1, *self.shape)), jnp.zeros(1)
    x = jnp.concatenate([x, x], axis=-1)
    code = jnp.zeros((1, self.coarse.width)) if self.coarse.code else None
    return {"main": self.net().init(key, x, t, code=code)["params"]}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """t [b], noise, posterior; condition_drop [] ~ U[0, 1); dropout's seed."""
    del step
    shape = (method.batch_size(batch), *self.shape)
    draws = method.draws_of(keys, shape, self.noise, self.coarse)
    if self.dims.dropout:
      draws["dropout"] = jax.random.bits(keys("dropout"), ())
    return draws

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Mean squared error of the noise."""
    del step, player
    shown = self.coarse.in_training(weights, batch["image"], draws)
    error = self.error(weights, batch, draws, shown)
    return error.mean(), {}

  def error(
    self,
    weights: method.Weights,
    batch: method.Batch,
    draws: method.Draws,
    shown: Any,
  ) -> Array:
    """[b, h, w, c] squared error of the noise, given what is shown."""
    t, eps = draws["t"], draws["noise"]
    u_t, _, _ = self.noise.add(batch["image"], t, eps)
    seed = draws.get("dropout")
    return (self.network(weights.params, u_t, t, shown, seed=seed) - eps) ** 2

  def network(
    self, params: Any, u: Array, t: Array, shown: Any, seed: Any = None
  ) -> Array:
    """Noise [b, h, w, c] in u + c or u; seed: of dropout, or None."""
    x = self.coarse.state(u, shown)
    x = jnp.concatenate([x, shown["image"]], axis=-1)
    rngs = {} if seed is None else {"dropout": jax.random.key(seed)}
    net = self.net(self.dims.dropout if rngs else 0.0)
    variables = {"params": params["main"]}
    return net.apply(variables, x, t, code=shown.get("code"), rngs=rngs)

  def predict(self) -> dict[str, method.Predict]:
    """errors, and what `parts/refining.py` makes of codes and images."""
    refiner = refining.Refiner(
      coarse=self.coarse,
      prior=self.prior,
      noise=self.noise,
      sampling=self.sampling,
      network=self.network,
      shape=self.shape,
      points=self.points,
    )
    return {"errors": self.errors, **refiner.outputs()}

  def errors(self, weights, batch, key) -> dict[str, Array]:
    """eps [b]: squared error of the noise at random times, c shown."""
    draws = self.drawn(key, batch)
    code = self.coarse.encode(weights, batch["image"], draws["posterior"])
    shown, _ = self.coarse.guiding(weights, code)
    draws.pop("dropout", None)
    error = self.error(weights, batch, draws, shown)
    return {"eps": error.mean((1, 2, 3))}
