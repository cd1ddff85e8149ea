"""Losses of a first stage: pixels, a perceptual network, a critic of patches.

Esser et al. 2021, Rombach et al. 2022 (CompVis/taming-transformers@3ba01b2).
With x' the decoded image, C the critic and W the decoder's last kernel:

    rec    = |x - x'| + perceptual distance            on every pixel
    g      = -mean C(x')
    lambda = disc_weight |d nll/dW| / (|d g/dW| + 1e-4)
    loss   = nll(rec) + [step >= start] lambda g       of the autoencoder
    loss_C = [step >= start] (mean relu(1 - C(x)) + mean relu(1 + C(x'))) / 2
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from jmim.core import field
from jmim.core import method
from jmim.core import runtime
from jmim.methods.parts import perceptual as perceptuals
from jmim.nn import losses
from jmim.nn.nets import autoencoder
from jmim.nn.nets import discriminator as critics

Likelihood = Callable[[jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Losses:
  """Pixel and perceptual errors, and the critic."""

  pixel: str = field.value("l1", "pixel loss", choices=("l1", "l2"))
  perceptual: str = field.value(
    "none",
    "network of the perceptual loss",
    choices=("none", "vgg", "small"),
  )
  perceptual_path: str = field.value(
    "", "weights of the perceptual network: .npz, or a run"
  )
  perceptual_sha256: str = field.value(
    "", "hash of the perceptual weights' file; empty: any"
  )
  perceptual_weight: float = field.value(
    1.0, "weight of the perceptual loss", low=0.0
  )
  perceptual_width: int = field.value(32, "channels of `small`", low=1)
  disc_start: int = field.value(50_001, "first step with a critic", low=0)
  disc_weight: float = field.value(
    0.5, "weight of the critic's gradient", low=0.0
  )
  disc_layers: int = field.value(
    3, "convolutions of the critic that halve", low=1
  )
  disc_width: int = field.value(
    64, "channels of the critic's first convolution", low=1
  )
  disc_loss: str = field.value(
    "hinge", "loss of the critic", choices=tuple(critics.LOSSES)
  )
  adaptive: bool = field.value(True, "balance gradients at the last layer")
  rt: runtime.Runtime = field.runtime()

  @property
  def critic(self) -> critics.PatchGAN:
    """The discriminator."""
    return critics.PatchGAN(self.disc_layers, self.disc_width, self.rt)

  @property
  def compared(self) -> perceptuals.Perceptual:
    """What compares images."""
    return perceptuals.Perceptual(
      network=self.perceptual,
      path=self.perceptual_path,
      sha256=self.perceptual_sha256,
      weight=self.perceptual_weight,
      width=self.perceptual_width,
    )

  def check(self, side: int, channels: int) -> None:
    """Raises ValueError for images the networks cannot see."""
    least = self.critic.least_side()
    if side < least:
      raise ValueError(f"size {side} below {least}, which disc_layers needs")
    if self.compared.layers and channels != 3:
      raise ValueError(f"perceptual networks see 3 channels, not {channels}")

  def consts(self) -> dict[str, method.Const]:
    """The perceptual network."""
    return self.compared.consts("method.losses.perceptual_path")

  def errors(
    self, consts: method.Tree, x: jax.Array, made: jax.Array
  ) -> jax.Array:
    """Per pixel and channel [b, h, w, c]; perceptual distance on all of them.

    Args:
      consts: with "perceptual", if there is such a network.
      x: images [b, h, w, c] in -1 .. 1.
      made: their reconstructions.
    """
    errors = losses.DISTANCES[self.pixel](x - made)
    if self.compared.layers:
      distance = self.compared.distance(consts, x, made)
      errors += self.perceptual_weight * distance[:, None, None, None]
    return errors

  def critic_logits(self, params: method.Tree, images: jax.Array) -> jax.Array:
    """[b, h', w', 1], high = real; params: of all players."""
    return self.critic.apply({"params": params["discriminator"]}, images)

  def critic_loss(
    self,
    weights: method.Weights,
    x: jax.Array,
    made: jax.Array,
    step: jax.Array,
  ) -> method.Loss:
    """Loss of the critic, 0 before its start.

    Args:
      weights: of all players.
      x: images.
      made: their reconstructions.
      step: of training.
    """
    real = self.critic_logits(weights.params, x)
    fake = self.critic_logits(weights.params, made)
    loss = self._on(step) * critics.LOSSES[self.disc_loss](real, fake)
    return loss, {"logits_real": real.mean(), "logits_fake": fake.mean()}

  def generator_loss(
    self,
    weights: method.Weights,
    x: jax.Array,
    features: jax.Array,
    step: jax.Array,
    *,
    net: autoencoder.Autoencoder,
    likelihood: Likelihood,
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """(nll + lambda g, its parts), from the decoder's features.

    Args:
      weights: of all players.
      x: images.
      features: what the last convolution reads.
      step: of training.
      net: the autoencoder.
      likelihood: errors [b, h, w, c] -> the scalar that is minimised.
    """
    made = net.pixels(weights.params["autoencoder"], features)
    nll = likelihood(self.errors(weights.consts, x, made))
    g = -self.critic_logits(weights.params, made).mean()
    scale = self.weight(weights, x, features, net=net, likelihood=likelihood)
    terms = {"nll": nll, "adversarial": g, "disc_weight": scale}
    return nll + self._on(step) * scale * g, terms

  def weight(
    self,
    weights: method.Weights,
    x: jax.Array,
    features: jax.Array,
    *,
    net: autoencoder.Autoencoder,
    likelihood: Likelihood,
  ) -> jax.Array:
    """lambda, a constant to the gradient, as are its arguments.

    Args as of `generator_loss`.
    """
    if not self.adaptive:
      return jnp.float32(self.disc_weight)
    params, features = jax.lax.stop_gradient((weights.params, features))
    last = params["autoencoder"]["last"]
    pixels = lambda w: net.pixels({"last": {**last, "kernel": w}}, features)

    def nll(kernel):
      return likelihood(self.errors(weights.consts, x, pixels(kernel)))

    def adversarial(kernel):
      return -self.critic_logits(params, pixels(kernel)).mean()

    grads = [jax.grad(f)(last["kernel"]) for f in (nll, adversarial)]
    of_nll, of_g = (optax.global_norm(grad) for grad in grads)
    ratio = jnp.clip(of_nll / (of_g + 1e-4), 0.0, 1e4)
    return jax.lax.stop_gradient(ratio) * self.disc_weight

  def _on(self, step):
    """1 from the critic's first step on, else 0."""
    return (step >= self.disc_start) * jnp.float32(1)
