r"""Video-VAE: a causal autoencoder of clips, the first stage of Step-Video.

Ma et al. 2025 (Step-Video-T2V), in two layouts: theirs, deep, with and without
dual paths, and (variant adaptive-...) that of LaVin-DiT's ST-VAE (Wang et al.,
CVPR 2025). Equal to the authors' code (stepfun-ai/Step-Video-T2V@675e08c):
`tests/golden` compares the encoder's attention and moments, and decodings.

A clip is cut into chunks (17 frames), which are coded one by one; convolutions
and attention are causal, norms are of single frames, so a first frame alone is
an image, and 17 frames become 3. With E, D of a chunk x of T frames:

    mu, v  = E(x);  z = mu + exp(v / 2) noise          noise: draw
    x'     = D(z)
    rec    = |x - x'| + LPIPS(x, x')                   of every frame
    nll    = sum over pixels and channels of rec, mean over frames
    g, lambda, loss_C: of frames, as in `latent.autoencoder_kl`
    loss   = nll + kl_weight mean KL(N(mu, e^v) || N(0, 1)) / T
             + [step >= start] lambda g

Training follows the report: without dual paths first (deep-f4x8), then with
them (deep-f8x16), from the first run's weights, and `trains` says which layers
learn: the dual paths alone, the middle too, all.

Reference: none published of the autoencoder alone.

Ours, as only inference is published: weights of the losses, a perceptual
distance of frames where the report has a "video-LPIPS", a critic of frames,
adaptive weight of the critic, no mixture with images (a clip's first frame is
one). Clips in training are whole chunks; borders are blended in `restore`
alone. Weights: family `step_video_vae`; of ST-VAE `lavin_stvae`.

    python -m jmim.main --config=configs/autoencoder3d_shapes.py --workdir=W
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import adversarial
from jmim.methods.parts import clips
from jmim.nn.nets import autoencoder
from jmim.nn.nets import video_codec
from jmim.nn.nets import video_sizes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Autoencoder3D(method.Method):
  """Causal autoencoder of clips with a weak prior on its latents."""

  players = ("autoencoder", "discriminator")
  per_example = False  # batch statistics, and one weight per batch
  n_codes = 0  # no codebook: what is encoded are moments of a Gaussian

  size: int = field.value(544, "frame side [pixels]", low=1)
  frames: int = field.value(17, "frames of a clip", low=1)
  channels: int = field.value(3, "channels of a frame", low=1)
  dims: video_sizes.Dims = field.part(video_sizes.Dims, "autoencoder")
  losses: adversarial.Losses = field.part(adversarial.Losses, "losses")
  trains: str = field.value(
    "all",
    "layers that learn: dual: those of the dual paths; middle: the middle, too",
    choices=tuple(clips.TRAINED),
  )
  kl_weight: float = field.value(
    1e-6, "weight of the divergence, beside a sum over pixels", low=0.0
  )
  latent_scale: float = field.value(
    0.0,
    "factor of the latents in models of them, where the weights came with one; "
    "0: none",
    low=0.0,
  )

  @classmethod
  def tiny(cls) -> "Autoencoder3D":
    """Two chunks of 5 frames of 8 pixels, of each 2 latent ones of 2 x 2."""
    critic = dict(disc_start=0, disc_layers=1, disc_width=4, disc_weight=0.1)
    perceptual = dict(perceptual="small", perceptual_width=4)
    return field.replace(
      cls(),
      size=8,
      frames=10,
      dims=dict(variant="deep-f4x4", width=4, code=2),
      losses=dict(**critic, **perceptual, disc_loss="vanilla"),
    )

  @property
  def net(self) -> video_codec.VideoCodec:
    """The autoencoder."""
    return video_codec.VideoCodec(
      size=self.dims.size(self.channels), rt=self.rt
    )

  def inputs(self) -> dict[str, method.Input]:
    """Clips [frames, size, size, channels] in -1 .. 1."""
    clips.check(self.net.size, self.size, frames=self.frames)
    clips.check_trained(self.net.size, self.trains)
    self.losses.check(self.size, self.channels)
    shape = (self.frames, self.size, self.size, self.channels)
    return {"video": method.Input(shape)}

  def consts(self) -> dict[str, method.Const]:
    """The perceptual network."""
    return self.losses.consts()

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters of both players; no extra state."""
    k_net, k_critic = jax.random.split(key)
    frames = batch["video"][:1, 0]
    critic = self.losses.critic.init(k_critic, frames)["params"]
    return {"autoencoder": self.net.init(k_net), "discriminator": critic}, {}

  def groups(self) -> tuple[method.Group, ...]:
    """Layers that stay as they are."""
    return clips.frozen(self.trains)

  def draw(self, keys, batch, step) -> method.Draws:
    """noise of the posterior, [b, t, h, w, code]."""
    del step
    s, side = self.net.size, self.size // self.net.size.factor
    shape = (s.latents(self.frames), side, side, s.code)
    noise = jax.random.normal(keys("noise"), (len(batch["video"]), *shape))
    return {"noise": noise}

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Of the autoencoder, or of its critic."""
    net, params = clips.Frames(self.net), weights.params["autoencoder"]
    x = net.chunks(batch["video"], self.net.size.chunk)
    noise = net.chunks(draws["noise"], self.net.size.latent_chunk)
    moments = self.net.moments(params, x)
    z = autoencoder.drawn(moments, noise)
    features, frames = self.net.features(params, z), net.frames(x)
    if player == "discriminator":
      made = net.pixels(params, features)
      return self.losses.critic_loss(weights, frames, made, step)
    loss, terms = self.losses.generator_loss(
      weights, frames, features, step, net=net, likelihood=likelihood
    )
    kl = autoencoder.divergence(moments).mean() / x.shape[1]
    return loss + self.kl_weight * kl, {
      **terms,
      "kl": kl,
      "latent_std": z.std(),
    }

  def predict(self) -> dict[str, method.Predict]:
    """features, moments, restore, errors."""
    names = ("features", "moments", "restore", "errors")
    return {name: getattr(self, name) for name in names}

  def moments(self, weights, batch, key) -> jax.Array:
    """[b, t, h, w, 2 c]: mean and log variance, what a second stage reads."""
    del key
    params = weights.params["autoencoder"]
    return self.net.encode(params, batch["video"])[0]

  def features(self, weights, batch, key) -> jax.Array:
    """[b, c]: the posterior's mean, averaged over frames and places."""
    moments = self.moments(weights, batch, key)
    return autoencoder.posterior(moments)[0].mean((1, 2, 3))

  def restore(self, weights, batch, key) -> dict[str, jax.Array]:
    """image, target [b, T, H, W, c]: decoded from the posterior's mean."""
    mean, _ = autoencoder.posterior(self.moments(weights, batch, key))
    made = self.net.decode(weights.params["autoencoder"], mean)
    return {"image": made, "target": batch["video"]}

  def errors(self, weights, batch, key) -> dict[str, jax.Array]:
    """Per clip [b]: squared, absolute, of `restore`; kl [nats per frame]."""
    moments = self.moments(weights, batch, key)
    mean, _ = autoencoder.posterior(moments)
    error = self.net.decode(weights.params["autoencoder"], mean)
    error -= batch["video"]
    axes = tuple(range(1, error.ndim))
    return {
      "squared": (error**2).mean(axes),
      "absolute": jnp.abs(error).mean(axes),
      "kl": autoencoder.divergence(moments) / self.frames,
    }


def likelihood(errors: jax.Array) -> jax.Array:
  """Errors [n, h, w, c] summed over a frame, mean over frames."""
  return errors.sum((1, 2, 3)).mean()
