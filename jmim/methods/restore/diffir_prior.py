r"""DiffIR, first stage: a restorer told by a vector that has seen the truth.

Xia, Zhang, Wang, Wang, Wu, Tian, Yang, Van Gool, ICCV 2023. Equal to the
authors' code (Zj-BinXia/DiffIR@293f86c): `tests/golden` compares the vector,
the image and the loss.

    z    = E([unshuffle(y), unshuffle(x)])      both at a fourth of x's side
    x'   = G(y, z)                              y: spoilt image, x: truth
    loss = mean |x - x'|

G is a Restormer whose blocks multiply and shift by linear maps of z
(`nn/nets/restormer.py`); `restore.diffir` learns to guess z from y. vector
"constant" is the claim's baseline: z is learned and the same for all images.

`degraded.factor` 1 (deblurring), 2, 4; 1 with `dims.unshuffle` 4 is the layout
of real photographs. With `holes.boxes` y has pixels missing and a mask beside
it; errors of known pixels weigh `holes.known`.

Reference (from memory, of both stages): GoPro 33.20 dB, SSIM .963; HIDE 31.55.

Following the released code: images in 0 .. 1, not normalised; sides that do not
fit are mirrored, and cut again. Ours: boxes as holes, whose errors weigh 1 (the
authors train LaMa's losses); E reads the mask. Weights: family `diffir_prior`.

    python -m jmim.main --config=configs/diffir_prior_cifar10.py --workdir=W
    python -m jmim.tools.claim diffir
"""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.methods.parts import degraded as degraded_parts
from jmim.methods.parts import holes as hole_parts
from jmim.nn import resize
from jmim.nn.nets import restoration_prior
from jmim.nn.nets import restormer

Array = jax.Array
LIMITS = (0.0, 1.0)
Normal = Callable[..., Array]  # sides of a row -> standard normal [b, *sides]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiffIRPrior(method.Method):
  """A restorer and the vector it is told, read off both images."""

  size: int = field.value(192, "side of a restored image [pixels]", low=1)
  channels: int = field.value(3, "image channels", low=1)
  dims: restormer.Dims = field.part(restormer.Dims, "restorer")
  prior: restoration_prior.Dims = field.part(
    restoration_prior.Dims, "vector and its encoder"
  )
  degraded: degraded_parts.Degraded = field.part(
    degraded_parts.Degraded, "spoilt images", degradation="motion", factor=1
  )
  holes: hole_parts.Holes = field.part(hole_parts.Holes, "missing pixels")
  vector: str = field.value(
    "images",
    "where the vector comes from; 'constant': learned, the same for all",
    choices=("images", "constant"),
  )

  @classmethod
  def tiny(cls) -> "DiffIRPrior":
    """One block per level of width 8 on a 16-pixel image, of twice the side."""
    dims = dict(width=8, blocks=(1, 1, 1, 1), heads=(1, 2, 2, 4))
    return field.replace(
      cls(),
      size=32,
      dims=dict(**dims, refinement=0, unshuffle=2),
      prior=dict(width=8, blocks=1),
      degraded=dict(degradation="bicubic", factor=2),
    )

  @property
  def net(self) -> restormer.Restormer:
    """G."""
    scale = self.degraded.factor
    return self.dims.net(scale=scale, out=self.channels, rt=self.rt)

  @property
  def encoder(self) -> restoration_prior.Encoder:
    """E."""
    return self.prior.encoder(self.degraded.factor, self.rt)

  @property
  def shape(self) -> tuple[int, int, int]:
    """[h, w, c] of a restored image."""
    return (self.size, self.size, self.channels)

  def inputs(self) -> dict[str, method.Input]:
    """Images in 0 .. 1, or pairs of them."""
    found = self.degraded.inputs(self.shape, LIMITS)
    self.dims.check(self.degraded.factor, self.size)
    self.holes.check(self.degraded.factor)
    return found

  def blank(self) -> tuple[Array, Array]:
    """(y, x) of one example, zeros."""
    h, w, c = self.degraded.low_shape(self.shape)
    y = jnp.zeros((1, h, w, c + self.holes.channels))
    return y, jnp.zeros((1, *self.shape))

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters of restorer and encoder, or constant; no extra state."""
    del batch
    k_net, k_vector = jax.random.split(key)
    d, (y, x) = self.prior.vector, self.blank()
    made = {"net": self.net.init(k_net, y, jnp.zeros((1, d)))["params"]}
    if self.vector == "constant":
      made["constant"] = 0.1 * jax.random.normal(k_vector, (d,))
    else:
      made["encoder"] = self.encoder.init(k_vector, y, x)["params"]
    return {"main": made}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """Numbers of the degradation, and of the holes."""
    del step
    b = method.batch_size(batch)
    spoilt = self.degraded.draw(keys, (b, *self.shape))
    return spoilt | self.holes.draw(keys, b)

  def pair(
    self, batch: method.Batch, draws: method.Draws
  ) -> tuple[Array, Array]:
    """(y [b, h / f, w / f, c or c + 1], x [b, h, w, c]); f: the factor."""
    y, x = self.degraded.pair(batch, draws, LIMITS)
    return self.holes.cut(y, draws), x

  def read(self, params: method.Tree, y: Array, x: Array) -> Array:
    """z [b, d] of both images, or the constant; params: of the player."""
    if self.vector == "constant":
      return jnp.broadcast_to(params["constant"], (len(y), self.prior.vector))
    return self.encoder.apply({"params": params["encoder"]}, y, x)

  def restored(self, params: method.Tree, y: Array, z: Array) -> Array:
    """x' [b, h, w, c] of spoilt images and vectors [b, d], not clipped."""
    return self.net.apply({"params": params["net"]}, y, z)

  def error(self, made: Array, x: Array, y: Array) -> Array:
    """Mean |x - x'|, weighted where pixels are missing."""
    return self.holes.weighted(jnp.abs(made - x), y).mean()

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Mean absolute error of the restored image."""
    del step, player
    (y, x), params = self.pair(batch, draws), weights.params["main"]
    made = self.restored(params, y, self.read(params, y, x))
    return self.error(made, x, y), {}

  def vectors(
    self, weights: method.Weights, y: Array, x: Array, normal: Normal
  ) -> Array:
    """z [b, d] that images are restored by; normal: drawn for each."""
    del normal
    return self.read(weights.params["main"], y, x)

  def fixed(self, batch: method.Batch) -> tuple[Array, Array]:
    """`pair`, by numbers that are an image's own."""
    y, x = self.degraded.fixed(batch, LIMITS)
    return self.holes.fixed(y, self.degraded.numbers(batch, LIMITS)), x

  def normal(self, batch: method.Batch, key: Array) -> Normal:
    """What an image gets depends on it, not on its place in the batch."""
    numbers = self.degraded.numbers(batch, LIMITS)
    return lambda *sides: randomness.normals(key, numbers, sides)(0)

  def fitting(self, y: Array, x: Array) -> tuple[Array, Array]:
    """(y, x) mirrored to sides that the network takes."""
    least = self.dims.multiple
    x = resize.reflected(x, least * self.degraded.factor)
    return resize.reflected(y, least), x

  def predict(self) -> dict[str, method.Predict]:
    """features, restore; permuted: as restore, by another image's vector."""
    permuted = functools.partial(self.restore, turn=1)
    names = {"features": self.features, "restore": self.restore}
    return names | {"permuted": permuted}

  def features(self, weights, batch, key) -> Array:
    """Vectors [b, d]."""
    y, x = self.fitting(*self.fixed(batch))
    return self.vectors(weights, y, x, self.normal(batch, key))

  def restore(self, weights, batch, key, turn: int = 0) -> dict[str, Array]:
    """image, target and input, [b, h, w, c] each; known pixels stay.

    turn: each image has the vector of the one so many places before it.
    """
    y, x = self.fixed(batch)
    wide, truth = self.fitting(y, x)
    z = self.vectors(weights, wide, truth, self.normal(batch, key))
    turned = jnp.roll(z, turn, axis=0)
    made = self.restored(weights.params["main"], wide, turned)
    made = self.holes.pasted(made[:, : x.shape[1], : x.shape[2]], y)
    return self.degraded.output(made, y[..., : self.channels], x)
