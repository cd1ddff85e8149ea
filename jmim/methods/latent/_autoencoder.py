"""What the two first stages share: networks, perceptual and patch losses.

An autoencoder against a critic of patches (Esser et al. 2021, Rombach et al.
2022). Both players see the same batch, the autoencoder first.
"""

import dataclasses

import jax
import jax.numpy as jnp
import optax

from jmim.core import field
from jmim.core import method
from jmim.nn import losses
from jmim.nn.frozen import lpips
from jmim.nn.nets import autoencoder
from jmim.nn.nets import codec
from jmim.nn.nets import discriminator as critics

PERCEPTUAL = ("none", "vgg", "small")


@dataclasses.dataclass(frozen=True, kw_only=True)
class FirstStage(method.Method):
  """Fields and losses of an autoencoder with a patch discriminator."""

  players = ("autoencoder", "discriminator")
  per_example = False  # batch statistics, and one weight per batch

  variant: str = field.value("kl-f8", "see `nn.nets.codec.SIZES`")
  size: int = field.value(256, "image side in pixels", low=1)
  channels: int = field.value(3, "image channels", low=1)
  width: int = field.value(0, "finest level; 0: that of variant", low=0)
  multipliers: tuple = field.value((), "of the levels; (): those of variant")
  latent: int = field.value(0, "channels z; 0: those of variant", low=0)
  embed: int = field.value(0, "channels of the code; 0: latent", low=0)
  blocks: int = field.value(0, "per level; 0: those of variant", low=0)
  attend_at: tuple = field.value((), "downsampling factors with attention")
  pixel: str = field.value("l1", "pixel loss", choices=("l1", "l2"))
  perceptual: str = field.value(
    "none", "network of the perceptual loss", choices=PERCEPTUAL
  )
  perceptual_path: str = field.value("", "its weights: .npz, or a run")
  perceptual_sha256: str = field.value("", "hash of that file; empty: any")
  perceptual_weight: float = field.value(1.0, "of that loss", low=0.0)
  perceptual_width: int = field.value(32, "channels of `small`", low=1)
  disc_start: int = field.value(50_001, "first step with a critic", low=0)
  disc_weight: float = field.value(0.5, "of the critic's gradient", low=0.0)
  disc_layers: int = field.value(3, "convolutions that halve", low=1)
  disc_width: int = field.value(64, "channels of its first", low=1)
  disc_loss: str = field.value(
    "hinge", "of the critic", choices=tuple(critics.LOSSES)
  )
  adaptive: bool = field.value(True, "balance gradients at the last layer")

  @property
  def net(self) -> autoencoder.Autoencoder:
    """The autoencoder."""
    names = ("width", "multipliers", "latent", "embed", "blocks", "attend_at")
    given = {n: getattr(self, n) for n in names}
    size = codec.size(self.variant, channels=self.channels, **given)
    return autoencoder.Autoencoder(size, self.n_codes, self.rt)

  @property
  def n_codes(self) -> int:
    """Of the codebook; 0: none."""
    return 0

  @property
  def critic(self) -> critics.PatchGAN:
    """The discriminator."""
    return critics.PatchGAN(self.disc_layers, self.disc_width, self.rt)

  @property
  def layers(self) -> tuple[lpips.Layer, ...]:
    """Of the perceptual network."""
    own = lpips.small(self.perceptual_width)
    return {"none": (), "vgg": lpips.VGG16, "small": own}[self.perceptual]

  def inputs(self):
    """Images [size, size, channels] in -1 .. 1."""
    self.net.size.check(self.size)
    least = self.critic.least_side()
    if self.size < least:
      raise ValueError(
        f"size {self.size} below {least}, which disc_layers needs"
      )
    if self.layers and self.channels != 3:
      raise ValueError(
        f"perceptual networks see 3 channels, not {self.channels}"
      )
    return {"image": method.Input((self.size, self.size, self.channels))}

  def consts(self):
    """The perceptual network; `vgg` has learned layer weights as well."""
    if not self.layers:
      return {}
    vgg = self.perceptual == "vgg"
    init = lambda key: lpips.random(key, self.layers, lin=vgg)
    sha256 = self.perceptual_sha256 or None
    return {"perceptual": method.Const(self.perceptual_path, init, sha256)}

  def init(self, key, batch):
    """Parameters of both players; no extra state."""
    k_net, k_critic = jax.random.split(key)
    critic = self.critic.init(k_critic, batch["image"][:1])["params"]
    return {"autoencoder": self.net.init(k_net), "discriminator": critic}, {}

  def code(self, params, extra, batch, draws):
    """(what is decoded [b, h, w, c], regulariser, aux to log or keep)."""
    raise TypeError(f"{type(self).__name__} must define code()")

  def likelihood(self, pixels) -> jax.Array:
    """[b, h, w, c] errors -> the scalar that is minimised."""
    raise TypeError(f"{type(self).__name__} must define likelihood()")

  def errors_of(self, consts, x, made) -> jax.Array:
    """Per pixel and channel; an image's perceptual distance on all of them."""
    found = losses.DISTANCES[self.pixel](x - made)
    if self.layers:
      far = lpips.distance(self.layers, consts["perceptual"], x, made)
      found += self.perceptual_weight * far[:, None, None, None]
    return found

  def judge(self, params, images) -> jax.Array:
    """Logits [b, h', w', 1] of the critic."""
    return self.critic.apply({"params": params["discriminator"]}, images)

  def judged(self, real, fake) -> jax.Array:
    """The critic's loss."""
    return critics.LOSSES[self.disc_loss](real, fake)

  def weight(self, params, consts, x, features) -> jax.Array:
    """lambda: |d nll / dW| / |d g / dW| at the last kernel, times disc_weight.

    A constant to the gradient, as are its arguments.
    """
    if not self.adaptive:
      return jnp.float32(self.disc_weight)
    params, features = jax.lax.stop_gradient((params, features))
    last = params["autoencoder"]["last"]

    def made(kernel):
      own = {"last": {**last, "kernel": kernel}}
      return self.net.pixels(own, features)

    def nll(kernel):
      return self.likelihood(self.errors_of(consts, x, made(kernel)))

    def adversarial(kernel):
      return -self.judge(params, made(kernel)).mean()

    slopes = [jax.grad(f)(last["kernel"]) for f in (nll, adversarial)]
    a, b = (optax.global_norm(s) for s in slopes)
    ratio = jnp.clip(a / (b + 1e-4), 0.0, 1e4)
    return jax.lax.stop_gradient(ratio) * self.disc_weight

  def loss(self, player, params, extra, consts, batch, draws, step):
    """Of the autoencoder, or of its critic."""
    x, on = batch["image"], (step >= self.disc_start) * jnp.float32(1)
    z, regulariser, aux = self.code(params, extra, batch, draws)
    features = self.net.features(params["autoencoder"], z)
    if player == "autoencoder":
      found = self.fool(params, consts, x=x, features=features, on=on)
      return found["total"] + regulariser, aux | {
        k: v for k, v in found.items() if k != "total"
      }
    made = self.net.pixels(params["autoencoder"], features)
    real, fake = self.judge(params, x), self.judge(params, made)
    loss = on * self.judged(real, fake)
    return loss, {"logits_real": real.mean(), "logits_fake": fake.mean()}

  def fool(self, params, consts, x, features, on) -> dict[str, jax.Array]:
    """total = nll + lambda g, and its parts, from the decoder's features."""
    made = self.net.pixels(params["autoencoder"], features)
    nll = self.likelihood(self.errors_of(consts, x, made))
    g = -self.judge(params, made).mean()
    weight = self.weight(params, consts, x, features)
    return {
      "total": nll + on * weight * g,
      "nll": nll,
      "adversarial": g,
      "disc_weight": weight,
    }

  def predict(self):
    """features [b, c], restore, errors."""
    names = ("features", "restore", "errors")
    return {name: getattr(self, name) for name in names}

  def groups(self):
    """Nothing is decayed but what the optimizer's settings ask for."""
    return ()
