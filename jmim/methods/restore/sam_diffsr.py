r"""SAM-DiffSR: diffusion for super-resolution, its noise told by regions.

Wang et al. 2024 (arXiv 2402.17133), on SRDiff (Li et al. 2022). Equal to the
authors' code (lose4578/SAM-DiffSR@a18eaf6): `tests/golden` compares the map,
the modulated noise, x_t, the prediction, the loss, a step and whole samples.

A UNet denoises what is missing to a small image y, enlarged; it reads the maps
of a frozen RRDB (`restore.rrdb`) on y. In training each region of the image has
a noise of its own mean, from its place and area:

    u    = enlarged(y);  x_0 = clip(2 (x - u), -1, 1)    `parts/small_image.py`
    eps' = eps + w_t E,  w_t = sqrt(1 - abar_t) beta_t   `parts/structure.py`
    x_t  = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps'        t ~ U{0..T-1}
    loss = mean |eps' - net(x_t, t, RRDB(y))|              or its square

    sample: x_T ~ N(0, I), T ancestral steps, x_0 clipped; x = x_0 / 2 + u

No region is read to sample. `structure.read="none"` is SRDiff.

Reference (PSNR, SSIM, FID, four times): Set5 30.99 .8731 48.20, Urban100 25.54
.7721 4.53, Manga109 29.43 .8899 2.40, DIV2K 29.34 .8109 .381.

Following the released code, where the paper shifts every step: E is added once,
by w_t. Differs: their enlarged image is 255/256 as bright (8 bits divided by
256), ours is not; they crop images that were reduced as a whole, here crops are
reduced; regions that are read as ids cannot overlap, a map that is stored can
(`jmim.tools.structure_maps`). Weights: family `sam_diffsr`.

    python -m jmim.main --config=configs/sam_diffsr_regions.py:rrdb=R \
      --workdir=W
    python -m jmim.tools.claim sam_diffsr
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import degraded as degradations
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided
from jmim.methods.parts import small_image as small_images
from jmim.methods.parts import structure as structures
from jmim.nn import losses
from jmim.nn.nets import srdiff

Array = jax.Array
LIMITS = (-1.0, 1.0)  # black and white


@dataclasses.dataclass(frozen=True, kw_only=True)
class SAMDiffSR(method.Method):
  """Diffusion of what an enlarged image lacks."""

  size: int = field.value(160, "side of the result [pixels]", low=1)
  channels: int = field.value(3, "image channels", low=1)
  dims: srdiff.Dims = field.part(srdiff.Dims, "UNet")
  small: small_images.SmallImage = field.part(
    small_images.SmallImage, "frozen RRDB, and what small images lack"
  )
  degraded: degradations.Degraded = field.part(
    degradations.Degraded, "how small images are made"
  )
  noise: gaussian.Gaussian = field.part(
    gaussian.Gaussian, "forward process", schedule="cosine", times=100
  )
  sampling: guided.Guided = field.part(
    guided.Guided, "sampler", sampler="ddpm", steps=100
  )
  structure: structures.Structure = field.part(
    structures.Structure, "maps of regions"
  )
  distance: str = field.value(
    "l1", "distance of noise whose mean is the loss", choices=("l1", "l2")
  )

  @classmethod
  def tiny(cls) -> "SAMDiffSR":
    """Two levels of width 16 and 32 on 8 pixels, three times."""
    return field.replace(
      cls(),
      size=8,
      dims=dict(width=16, multipliers=(1, 2)),
      small=dict(dims=dict(width=8, growth=4, blocks=2), path="W"),
      degraded=dict(factor=2),
      noise=dict(times=3),
      sampling=dict(steps=3),
      structure=dict(regions=3),
    )

  @property
  def shape(self) -> tuple[int, int, int]:
    """[h, w, c] of a result."""
    return (self.size, self.size, self.channels)

  @property
  def net(self) -> srdiff.UNet:
    """The denoiser."""
    return self.dims.net(self.degraded.factor, self.channels, self.rt)

  def inputs(self) -> dict[str, method.Input]:
    """Images in -1 .. 1, or pairs of them, and what maps are made of."""
    self.small.check(self.degraded.factor)
    self.dims.check(self.size)
    self.noise.check(self.sampling, learns=False)
    if self.sampling.guidance != 1:
      raise ValueError(
        f"sampling.guidance={self.sampling.guidance}: there is no prediction "
        "without a small image to guide by; leave it at 1"
      )
    images = self.degraded.inputs(self.shape, LIMITS)
    return images | self.structure.inputs(self.size)

  def consts(self) -> dict[str, method.Const]:
    """The RRDB."""
    return self.small.consts(self.degraded.factor, self.shape)

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters; no extra state."""
    del batch
    x, t = jnp.zeros((1, *self.shape)), jnp.zeros(1)
    sides = self.degraded.low_shape(self.shape)[:2]
    seen = jnp.zeros((1, *sides, self.small.depth))
    return {"main": self.net.init(key, x, t, seen)["params"]}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """t [b], noise, and numbers of the degradation, where it has any."""
    del step
    shape = (method.batch_size(batch), *self.shape)
    return method.draws_of(keys, shape, self.noise, self.degraded)

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Distance of the modulated noise."""
    del step, player
    return self.gap(weights, batch, draws).mean(), {}

  def gap(
    self, weights: method.Weights, batch: method.Batch, draws: method.Draws
  ) -> Array:
    """[b, h, w, c] distance of the modulated noise of a batch."""
    low, image = self.degraded.pair(batch, draws, LIMITS)
    seen, enlarged = self.shown(weights, low)
    x, t = self.small.residual(image, enlarged), draws["t"]
    eps = self.structure.told(batch, draws, self.noise.process)
    x_t, _, _ = self.noise.add(x, t, eps)
    gap = eps - self.network(weights.params, x_t, t, seen)
    return losses.DISTANCES[self.distance](gap)

  def shown(self, weights: method.Weights, low: Array) -> tuple[Array, Array]:
    """(maps [b, h / f, w / f, d], enlarged [b, h, w, c]) of small images."""
    factor = self.degraded.factor
    seen = self.small.seen(weights, low, factor)
    return seen, self.small.enlarged(low, factor)

  def network(self, params: Any, x: Array, t: Array, seen: Array) -> Array:
    """Noise [b, h, w, c] in x at times t [b]."""
    return self.net.apply({"params": params["main"]}, x, t, seen)

  def predict(self) -> dict[str, method.Predict]:
    """restore, errors; with maps regions."""
    found = {"restore": self.restore, "errors": self.errors}
    none = self.structure.read == "none"
    return found if none else found | {"regions": self.regions}

  def regions(self, weights, batch, key) -> dict[str, Array]:
    """map [b, h, w, 1]: E; noise [b, h, w, c]: eps' of the last time."""
    del weights
    draws = self.drawn(key, batch)
    draws["t"] = jnp.full_like(draws["t"], self.noise.times - 1)
    noise = self.structure.told(batch, draws, self.noise.process)
    return {"map": self.structure.maps(batch), "noise": noise}

  def errors(self, weights, batch, key) -> dict[str, Array]:
    """eps [b]: distance of the modulated noise at random times."""
    found = self.gap(weights, batch, self.drawn(key, batch))
    return {"eps": found.mean((1, 2, 3))}

  def restore(self, weights, batch, key) -> dict[str, Array]:
    """image, target, input; what tells regions apart is not looked at."""
    low, image = self.degraded.fixed(batch, LIMITS)
    index = self.degraded.numbers(batch, LIMITS)
    made = self.sampled(weights, low, index=index, key=key)
    return self.degraded.output(made, low, image)

  def sampled(
    self, weights: method.Weights, low: Array, *, index: Array, key: Array
  ) -> Array:
    """Images [b, h, w, c] of small ones; index: [b], of their noise."""
    seen, enlarged = self.shown(weights, low)
    x = self.sampling.sample(
      self.noise,
      functools.partial(self.network, weights.params),
      condition=(seen, None),
      shape=self.shape,
      batch={"index": index},
      key=key,
    )
    return self.small.completed(x, enlarged)
