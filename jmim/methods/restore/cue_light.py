r"""CUE's prior of light: hidden windows of a map of light, drawn smoothly.

Zheng, Zhou, Zhang, Yu, Zhao, ICCV 2023. A small U-Net is shown the greatest
channel of an image with half of its windows black, and draws the light behind
it: the same map, smoothed but for its edges. `restore.cue` goes on from its
encoder. Equal to the authors' code (zheng980629/CUE@1682c22): `tests/golden`
compares map and features.

    g     = 1, U(0.2, 0.5), U(0.5, 1)                     draw
    x_g   = (max_c image)^(1 / g);  t_g = bilateral(x_g)
    y_g   = D(E(v x_g))              v: 0 in int(r n) of the n windows
    loss  = sum_g mean over hidden pixels |y_g - t_g|

Reference: none for the prior alone.

Corrected: the released loss reads windows of the first image of a batch only;
here each image counts its own. Ours, where card and code leave it open: the
powers are drawn per image, and its three maps share the windows. Weights:
family `cue_light`.

    python -m jmim.main --config=configs/cue_cifar10.py:stage=light --workdir=L
"""

import dataclasses

import einops
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.masks import tokens as masking
from jmim.nn import bilateral
from jmim.nn.nets import illumination
from jmim.nn.nets import retinex


@dataclasses.dataclass(frozen=True, kw_only=True)
class CueLight(method.Method):
  """Hidden windows of light."""

  size: int = field.value(120, "image side [pixels]", low=1)
  channels: int = field.value(3, "image channels", low=1)
  width: int = field.value(6, "channels at full resolution, even", low=2)
  window: int = field.value(20, "side of a hidden window [pixels]", low=1)
  mask_ratio: float = field.value(
    0.5, "share of windows hidden", above=0.0, below=1.0
  )
  gamma_dark: tuple = field.value(
    (0.2, 0.5), "limits of g of the darker of two further maps"
  )
  gamma_mild: tuple = field.value(
    (0.5, 1.0), "limits of g of the other further map"
  )
  diameter: int = field.value(5, "bilateral filter's disc, odd [pixels]", low=3)
  sigma_value: float = field.value(
    0.2, "bilateral filter's deviation of values", above=0.0
  )
  sigma_space: float = field.value(
    50.0, "bilateral filter's deviation of places [pixels]", above=0.0
  )

  @classmethod
  def tiny(cls) -> "CueLight":
    """16 windows of a 16-pixel image."""
    return cls(size=16, width=4, window=4)

  @property
  def encoder(self) -> illumination.Encoder:
    """E."""
    return illumination.Encoder(width=self.width, rt=self.rt)

  @property
  def decoder(self) -> illumination.Decoder:
    """D."""
    return illumination.Decoder(width=self.width, rt=self.rt)

  @property
  def windows(self) -> int:
    """n, windows of an image."""
    return (self.size // self.window) ** 2

  @property
  def hidden(self) -> int:
    """int(r n)."""
    return int(self.mask_ratio * self.windows)

  def inputs(self) -> dict[str, method.Input]:
    """Images [size, size, channels] in 0 .. 1."""
    if self.size % self.window or self.size % 4:
      raise ValueError(
        f"size {self.size} must divide by window {self.window} and by 4"
      )
    if not self.hidden:
      raise ValueError(f"mask_ratio {self.mask_ratio} hides no window")
    if self.diameter % 2 == 0 or self.width % 2:
      raise ValueError(
        f"diameter {self.diameter} must be odd, width {self.width} even"
      )
    for name in ("gamma_dark", "gamma_mild"):
      limits = getattr(self, name)
      if len(limits) != 2 or not 0 < limits[0] <= limits[1]:
        raise ValueError(f"{name} {limits}: two numbers above 0 that rise")
    shape = (self.size, self.size, self.channels)
    return {"image": method.Input(shape, range=(0.0, 1.0))}

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters of encoder and decoder; no extra state."""
    k_encoder, k_decoder = jax.random.split(key)
    light = retinex.brightest(batch["image"][:1])
    encoder = self.encoder.init(k_encoder, light)["params"]
    found = self.encoder.apply({"params": encoder}, light)
    decoder = self.decoder.init(k_decoder, *found)["params"]
    return {"main": {"encoder": encoder, "decoder": decoder}}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """scores [b, n]: the windows with the largest are hidden; gamma [b, 2]."""
    del step
    b = len(batch["image"])
    limits = jnp.asarray([self.gamma_dark, self.gamma_mild])
    u = jax.random.uniform(keys("gamma"), (b, 2))
    gamma = limits[:, 0] + u * (limits[:, 1] - limits[:, 0])
    scores = jax.random.uniform(keys("windows"), (b, self.windows))
    return {"scores": scores, "gamma": gamma}

  def mask(self, scores: jax.Array) -> jax.Array:
    """[b, n] scores -> [b, h, w, 1], 1 = hidden."""
    mask = masking.from_scores(scores, self.windows - self.hidden).mask
    side = self.size // self.window
    grid = mask.reshape(-1, side, side)
    p = self.window
    return einops.repeat(grid, "b h w -> b (h p) (w q) 1", p=p, q=p)

  def maps(self, images: jax.Array, gamma: jax.Array) -> jax.Array:
    """[b, h, w, c], [b, 2] -> [(b 3), h, w, 1]: x_g of each image's three g."""
    power = 1 / jnp.pad(gamma, ((0, 0), (1, 0)), constant_values=1.0)
    light = retinex.brightest(images)[:, None]
    light = light ** power[:, :, None, None, None]
    return light.reshape(-1, *light.shape[2:])

  def light(self, params: method.Tree, maps: jax.Array) -> jax.Array:
    """y [b, h, w, 1] float32 of maps alike, as they are shown."""
    found = self.encoder.apply({"params": params["encoder"]}, maps)
    return self.decoder.apply({"params": params["decoder"]}, *found)

  def smooth(self, maps: jax.Array) -> jax.Array:
    """t [b, h, w, 1] float32 of whole maps."""
    return bilateral.filtered(
      maps, self.diameter, self.sigma_value, sigma_space=self.sigma_space
    )

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Sum over the three maps of the mean error of hidden pixels."""
    del step, player
    maps = self.maps(batch["image"], draws["gamma"])
    hidden = jnp.repeat(self.mask(draws["scores"]), 3, axis=0)
    made = self.light(weights.params["main"], maps * (1 - hidden))
    error = jnp.abs(made - self.smooth(maps))
    return 3 * masking.masked_mean(error, hidden), {}

  def predict(self) -> dict[str, method.Predict]:
    """features, reconstruct."""
    return {"features": self.features, "reconstruct": self.reconstruct}

  def features(self, weights, batch, key) -> jax.Array:
    """[b, 4 width] float32: what the encoder finds, mean over places."""
    del key
    light, params = retinex.brightest(batch["image"]), weights.params["main"]
    found, _ = self.encoder.apply({"params": params["encoder"]}, light)
    return found.astype(jnp.float32).mean((1, 2))

  def reconstruct(self, weights, batch, key) -> dict[str, jax.Array]:
    """image and target [b, h, w, c], in grey, of g = 1; mask [b, h, w, 1]."""
    draws, images = self.drawn(key, batch), batch["image"]
    light, hidden = retinex.brightest(images), self.mask(draws["scores"])
    made = self.light(weights.params["main"], light * (1 - hidden))
    like = lambda x: jnp.broadcast_to(x, images.shape)
    target = like(self.smooth(light))
    return {"image": like(made), "target": target, "mask": hidden}
