r"""What a UNet learns of a mixture of low-rank Gaussians: the same with EDM.

Wang et al. 2024 (arXiv 2409.02426), the experiment of their repository
(huijieZH/Diffusion-Model-Generalizability@6c7576c): points of a union of
subspaces, seen as images [side, side, 3] without clipping, and EDM (Karras et
al. 2022, table 1) on them.

    x     = x0 + sigma eps,   log sigma ~ N(-1.2, 1.2^2)
    D(x)  = skip x + out F(in x, log(sigma) / 4)
    loss  = mean (sigma^2 + d^2) / (sigma d)^2 (D(x) - x0)^2,   d = 0.5

Its Jacobian has the rank of the data along the sampling path (evaluator
`jacobian`) where there are enough points of each component; reference: about
60 d_k of them [second hand], for the denoiser of `theory.subspace` d_k.

Differs: the UNet is LDM's with the widths of ddpm++ instead of SongUNet (no
filtered resampling, no skips over sqrt(2)); no augmentation (p 0.12 there).

    python -m jmim.main --config=configs/subspace_unet_molrg.py --workdir=W
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.diffusion import model
from jmim.diffusion import sampler
from jmim.diffusion import schedule
from jmim.diffusion import solvers
from jmim.diffusion import targets
from jmim.diffusion import weights as loss_weights
from jmim.nn.nets import unet


@dataclasses.dataclass(frozen=True, kw_only=True)
class SubspaceUNet(method.Method):
  """EDM on points that are seen as small images."""

  shared = ("dropout",)

  size: int = field.value(4, "side of the images", low=1)
  channels: int = field.value(3, "channels of the images", low=1)
  dims: unet.Dims = field.part(
    unet.Dims, "UNet", multipliers=(2, 2, 2), blocks=4, attend_at=()
  )
  mean: float = field.value(-1.2, "mean of log sigma in training")
  std: float = field.value(1.2, "deviation of log sigma in training", above=0.0)
  data_std: float = field.value(0.5, "deviation of the data", above=0.0)
  steps: int = field.value(18, "steps of Heun's sampler", low=2)

  @classmethod
  def tiny(cls) -> "SubspaceUNet":
    """Two levels of width 8 on points of 12 dimensions."""
    small = dict(width=8, multipliers=(1, 2), blocks=1, heads=2, norm_groups=4)
    small |= dict(attend_at=(2,), dropout=0.0)
    return field.replace(cls(), size=2, dims=small, steps=2)

  @property
  def shape(self) -> tuple[int, int, int]:
    """[h, w, c] of the images."""
    return (self.size, self.size, self.channels)

  def net(self, dropout: float = 0.0) -> unet.UNet:
    """The network F."""
    return self.dims.net(out=self.channels, dropout=dropout, rt=self.rt)

  def inputs(self) -> dict[str, method.Input]:
    """Points [h w c]."""
    self.dims.check(self.size)
    return {"vector": method.Input((self.size**2 * self.channels,))}

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters; no extra state."""
    del batch
    x, zero = jnp.zeros((1, *self.shape)), jnp.zeros(1)
    return {"main": self.net().init(key, x, zero)["params"]}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """noise [b, h, w, c], level [b] normal, and a seed of dropout."""
    del step
    b = method.batch_size(batch)
    draws = {
      "noise": jax.random.normal(keys("noise"), (b, *self.shape)),
      "level": jax.random.normal(keys("level"), (b,)),
    }
    if self.dims.dropout:
      draws["dropout"] = jax.random.bits(keys("dropout"), ())
    return draws

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Weighted mean squared error of the denoised."""
    del step, player
    error, sigma = self.error(weights, batch, draws)
    w = loss_weights.edm(sigma, self.data_std)
    return (w * error).mean(), {"loss_unweighted": error.mean()}

  def error(
    self, weights: method.Weights, batch: method.Batch, draws: method.Draws
  ) -> tuple[jax.Array, jax.Array]:
    """(squared errors [b, h, w, c], sigma [b, 1, 1, 1]) at drawn levels."""
    x0 = batch["vector"].reshape(-1, *self.shape)
    sigma = loss_weights.lognormal(draws["level"], self.mean, self.std)
    x = x0 + targets.expand(sigma, 4) * draws["noise"]
    seed = draws.get("dropout")
    out = self.denoised(weights.params, x, jnp.log(sigma) / 4, seed=seed)
    return (out - x0) ** 2, targets.expand(sigma, 4)

  def denoised(
    self, params: Any, x: jax.Array, t: jax.Array, seed: Any = None
  ) -> jax.Array:
    """D(x) [b, h, w, c] at times t [b]; seed: of dropout, or None."""
    p = targets.edm(targets.expand(jnp.exp(4 * t), 4), self.data_std)
    rngs = {} if seed is None else {"dropout": jax.random.key(seed)}
    net = self.net(self.dims.dropout if rngs else 0.0)
    raw = net.apply({"params": params["main"]}, p.inside * x, t, rngs=rngs)
    return p.skip * x + p.out * raw

  def predict(self) -> dict[str, method.Predict]:
    """sample, and the error [b] of the denoised."""

    def errors(weights, batch, key):
      error, _ = self.error(weights, batch, self.drawn(key, batch))
      return {"x0": error.mean((1, 2, 3))}

    return {"errors": errors, "sample": self.sample}

  def sample(self, weights, batch, key) -> jax.Array:
    """[b, h, w, c] by Heun's sampler from sigma 80."""
    keys = randomness.numbered(key, method.numbers(batch))
    noise = jax.vmap(lambda k: jax.random.normal(k, self.shape))(keys)
    made = self.diffuser(weights)
    levels = made.levels(self.steps)
    x, _ = sampler.sample(
      solvers.heun(levels), made.denoise(), float(levels.noise[0]) * noise
    )
    return x

  def diffuser(self, weights: method.Weights) -> model.Diffuser:
    """A run of it, frozen, along EDM's path."""

    def output(raw, x, level, clip=0.0):
      a, s = level.signal, level.noise
      return targets.output("x0", raw, x=x, a=a, s=s, clip=clip)

    return model.Diffuser(
      shape=self.shape,
      schedule=None,
      path=schedule.karras,
      network=lambda x, t, told: self.denoised(weights.params, x, t),
      output=output,
    )
