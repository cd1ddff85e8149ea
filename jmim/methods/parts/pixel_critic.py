"""Losses beyond the pixels' own: a critic of each pixel, features of a VGG.

With x' what was made of an image whose truth is x, C the critic:

    loss   = perceptual sum_k w_k mean |f_k(x) - f_k(x')|
             + weight mean softplus(-C(x'))
    loss_C = mean softplus(-C(x)) + mean softplus(C(x'))

f: VGG19 before the ReLUs that end its stages, w = .1 .1 1 1 1. C is a UNet with
spectral norm. Both from memory of Real-ESRGAN (Wang et al. 2021), whose
training DiffIR follows.
"""

import dataclasses
import re

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import runtime
from jmim.methods.parts import perceptual as perceptuals
from jmim.nn import spectral
from jmim.nn.frozen import lpips
from jmim.nn.nets import discriminator

PLAYER, STATE, FEATURES = "discriminator", "spectral", "perceptual"
SMALL = 8  # channels of the network of that kind


@dataclasses.dataclass(frozen=True, kw_only=True)
class PixelCritic:
  """Weights of both losses, and the networks."""

  weight: float = field.value(
    0.0, "weight of the critic's loss; 0: no critic", low=0.0
  )
  width: int = field.value(64, "channels of the critic's finest level", low=1)
  perceptual: float = field.value(
    0.0, "weight of the distance of features; 0: none", low=0.0
  )
  features: str = field.value(
    "vgg19",
    "network of the features; 'small': one of ours, for tests",
    choices=("vgg19", "small"),
  )
  path: str = field.value("", ".npz of VGG19's arrays by torchvision's names")
  sha256: str = field.value("", "hash of that .npz; empty: any")
  rt: runtime.Runtime = field.runtime()

  @property
  def players(self) -> tuple[str, ...]:
    """The critic, if there is one."""
    return (PLAYER,) if self.weight else ()

  @property
  def net(self) -> discriminator.UNetCritic:
    """C."""
    return discriminator.UNetCritic(self.width, self.rt)

  @property
  def layers(self) -> tuple[lpips.Layer, ...]:
    """Of f."""
    small = self.features == "small"
    return lpips.small(SMALL) if small else lpips.VGG19

  def check(self, side: int, channels: int) -> None:
    """Raises ValueError for images that the networks cannot see.

    Args:
      side: of what is made [pixels].
      channels: of it.
    """
    least = self.net.MULTIPLE
    if self.weight and side % least:
      raise ValueError(
        f"critic.weight={self.weight} with images of side {side}: the critic "
        f"needs a multiple of {least} (size)"
      )
    if self.perceptual and channels != 3:
      raise ValueError(
        f"critic.perceptual={self.perceptual} with {channels} channels: its "
        "network sees 3"
      )

  def consts(self) -> dict[str, method.Const]:
    """The network of f, where it is needed."""
    if not self.perceptual:
      return {}
    return {
      FEATURES: method.Const(
        self.path,
        lambda key: lpips.random(key, self.layers, lin=False),
        self.sha256 or None,
        agrees=perceptuals.SHOWN,
        key="method.critic.path",
      )
    }

  def init(
    self, key: jax.Array, image: jax.Array
  ) -> tuple[method.Tree, method.Tree]:
    """({player: parameters}, {state of the spectral norm}), or nothing.

    Args:
      key: random key.
      image: [1, h, w, c] as it judges them.
    """
    if not self.weight:
      return {}, {}
    k_net, k_state = jax.random.split(key)
    params = self.net.init(k_net, image)["params"]
    chosen = re.compile(self.net.SPECTRAL).search
    state = spectral.start(k_state, params, lambda n: bool(chosen(n)))
    return {PLAYER: params}, {STATE: state}

  def logits(self, weights: method.Weights, x: jax.Array) -> jax.Array:
    """[b, h, w, 1], high = real."""
    net, state = weights.params[PLAYER], weights.extra[STATE]
    return self.net.apply({"params": spectral.normalise(net, state)}, x)

  def of_maker(
    self, weights: method.Weights, x: jax.Array, made: jax.Array
  ) -> method.Loss:
    """What is added to the loss of whoever makes images, and its parts.

    Args:
      weights: of all players.
      x: the truth [b, h, w, c] in 0 .. 1.
      made: what was made.
    """
    loss, terms = jnp.float32(0), {}
    if self.perceptual:
      terms["perceptual"] = self.distance(weights.consts[FEATURES], x, made)
      loss += self.perceptual * terms["perceptual"]
    if self.weight:
      logits = self.logits(weights, made)
      terms["adversarial"] = jax.nn.softplus(-logits).mean()
      loss += self.weight * terms["adversarial"]
    return loss, terms

  def distance(
    self, arrays: method.Tree, x: jax.Array, made: jax.Array
  ) -> jax.Array:
    """[]: weighted distance of features, mean over everything in a layer."""
    pairs = zip(
      *(
        lpips.features(
          self.layers, arrays, lpips.normalise(2 * a - 1), linear=True
        )
        for a in (x, made)
      ),
      strict=True,
    )
    gaps = [jnp.abs(u - v).mean() for u, v in pairs]
    factors = (0.1, 0.1, 1.0, 1.0, 1.0)[-len(gaps) :]
    return sum(w * gap for w, gap in zip(factors, gaps, strict=True))

  def of_critic(
    self, weights: method.Weights, x: jax.Array, made: jax.Array
  ) -> method.Loss:
    """Loss of the critic, and its mean logits."""
    real, fake = (self.logits(weights, a) for a in (x, made))
    loss = jax.nn.softplus(-real).mean() + jax.nn.softplus(fake).mean()
    return loss, {"logits_real": real.mean(), "logits_fake": fake.mean()}

  def after(self, weights: method.Weights, player: str) -> method.Tree:
    """New `extra`: one power iteration, of the critic's new weights."""
    if player != PLAYER:
      return weights.extra
    net, state = weights.params[PLAYER], weights.extra[STATE]
    return {**weights.extra, STATE: spectral.iterate(net, state)}
