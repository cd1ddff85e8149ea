"""A frozen VAE whose blurred image conditions a second stage.

    z ~ N(mu, e^v) of E((x + 1) / 2);  c = 2 D(z) - 1         x, c in [-1, 1]

Its own images are in [0, 1]. Nothing of it gets a gradient. In form 1 c stands
beside what is diffused; in form 2 it is also added to it: the process is that
of u = x_t - c. The code z may be shown, too.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.core import runtime
from jmim.nn.nets import autoencoder
from jmim.nn.nets import block_vae

Shown = dict[str, jax.Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Coarse:
  """Which VAE, where it is, and what of it is shown."""

  dims: block_vae.Dims = field.part(block_vae.Dims, "blocks of the VAE")
  channels: int = field.value(3, "image channels, of the VAE and here", low=1)
  path: str = field.value("", "trained VAE: a run, or an .npz")
  sha256: str = field.value("", "hash of the VAE's .npz; empty: any")
  form: int = field.value(
    1,
    "1: the blurred image stands beside; 2: it is also added to the process",
    choices=(1, 2),
  )
  code: bool = field.value(False, "the code is added to the time")
  drop: float = field.value(
    0.0, "share of steps without any condition, for guidance", low=0, high=1
  )
  rt: runtime.Runtime = field.runtime()

  @property
  def net(self) -> block_vae.BlockVAE:
    """Encoder and decoder."""
    return self.dims.net(self.channels, self.rt)

  @property
  def width(self) -> int:
    """Z, numbers of a code."""
    return self.dims.code

  def check(self, side: int, guidance: float) -> None:
    """Raises ValueError for fields that do not go together.

    Args:
      side: of the images [pixels].
      guidance: of the sampler; 1: none.
    """
    self.dims.check(side, "coarse.dims.")
    if guidance != 1 and not self.drop:
      raise ValueError(
        f"sampling.guidance={guidance} with coarse.drop=0: guidance is by a "
        "prediction without a condition, which was never trained"
      )

  def consts(self) -> dict[str, method.Const]:
    """The VAE, of a run on images in [0, 1]."""
    agrees = {
      f"data.{name}": (f"data.{name} of the VAE", (value,) * self.channels)
      for name, value in (("mean", 0.0), ("std", 1.0))
    }
    const = method.Const(
      self.path,
      self.net.init,
      self.sha256,
      agrees=agrees,
      key="method.coarse.path",
    )
    return {"vae": const}

  def draw(
    self, keys: randomness.Keys, shape: tuple[int, ...]
  ) -> dict[str, jax.Array]:
    """posterior [b, 1, 1, Z]; condition_drop [] ~ U[0, 1), one for all.

    The latter where conditions are dropped at all; shape: [b, h, w, c].
    """
    noise = jax.random.normal(keys("posterior"), (shape[0], 1, 1, self.width))
    if not self.drop:
      return {"posterior": noise}
    coin = jax.random.uniform(keys("condition_drop"))
    return {"posterior": noise, "condition_drop": coin}

  def encode(
    self, weights: method.Weights, x: jax.Array, noise: jax.Array
  ) -> jax.Array:
    """[b, Z] a sample of the posterior of images.

    Args:
      weights: of the method, whose const "vae" is the network.
      x: [b, h, w, c] in [-1, 1].
      noise: [b, 1, 1, Z].
    """
    moments = self.net.moments(weights.consts["vae"], (x + 1) / 2)
    z = autoencoder.drawn(moments, noise)[:, 0, 0]
    return jax.lax.stop_gradient(z)

  def decode(self, weights: method.Weights, code: jax.Array) -> jax.Array:
    """c [b, h, w, c] in [-1, 1] of codes [b, Z]."""
    made = self.net.decode(weights.consts["vae"], code)
    return jax.lax.stop_gradient(2 * made - 1)

  def in_training(
    self, weights: method.Weights, x: jax.Array, draws: method.Draws
  ) -> Shown:
    """What is shown of images x [b, h, w, c]; zeros where the coin says so.

    Without the condition form 2 has no shift either.
    """
    code = self.encode(weights, x, draws["posterior"])
    shown, _ = self.guiding(weights, code)
    if not self.drop:
      return shown
    kept = draws["condition_drop"] >= self.drop
    return {name: jnp.where(kept, a, 0.0) for name, a in shown.items()}

  def guiding(
    self, weights: method.Weights, code: jax.Array
  ) -> tuple[Shown, Shown]:
    """(what is shown of codes [b, Z], the same of none).

    image [b, h, w, c], what stands beside; code [b, Z], if it is shown; shift
    [b, h, w, c] of form 2, which none has, too.
    """
    c = self.decode(weights, code)
    shown = {"image": c} | ({"code": code} if self.code else {})
    none = jax.tree.map(jnp.zeros_like, shown)
    shift = {"shift": c} if self.form == 2 else {}
    return shown | shift, none | shift

  def state(self, u: jax.Array, shown: Shown) -> jax.Array:
    """x_t [b, h, w, c] of u_t: itself, or u + c (form 2)."""
    return u + shown["shift"] if self.form == 2 else u
