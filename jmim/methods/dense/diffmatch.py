r"""DiffMatch: dense matching as sampling a flow, told of the images' likeness.

Nam, Lee, Kim, Kim, Cho, Kim, Kim, ICLR 2024 (arXiv 2305.19094). Equal to the
authors' code (KU-CVLAB/DiffMatch@045ea83): `tests/golden` compares costs, the
initial flow, x_t, x0, the loss, sampled flows, the finer cost and the tables.

A flow leads from a target to its source, target(p) ~ source(p + flow(p)), and
is diffused on a coarse grid, in shares of the sides:

    c    = mean over levels of cos(source cell, target cell)
    u    = argmax over source cells of c, minus the target cell
    x_t  = a_t x + s_t eps              x: flow / (W, H), on the grid; T = 5
    x0   = u + net([x_t, u, c near p + u(p)], 1000 t / T)
    loss = sum m |up(x) - up(x0)|^2 / sum m         m: where a flow is known

up: bilinear, corners on corners, to the size of the flow; sums are over the
batch. Several flows are sampled and their mean is the answer (`hypotheses`);
their spread says where not to trust it. Levels are maps of a frozen network
(`parts/pyramid.py`): VGG16, or a run of ours. `dense.diffmatch_fine` is the
second stage.

Reference: best AEPE on HPatches and ETH3D at the time; no table is at hand.

Following the released code: the network says what is to be added to u; the
truth of the loss is what is left of the flow on the grid; the mean is of flows,
not of steps; x0 is not clipped on the way. From memory: VGG's maps behind their
poolings; images made smaller by means. Differs: their loop never ends
(lr_anneal_steps 0). Weights: family `diffmatch`.

    python -m jmim.main --config=configs/diffmatch_warps.py:features=F \
      --workdir=W --config.data.data_dir=DIR
    python -m jmim.tools.claim diffmatch
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.methods.parts import flow_samples
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided
from jmim.methods.parts import matcher as matchers
from jmim.methods.parts import pyramid
from jmim.nn import matching

Array = jax.Array
TINY = dict(
  dims=dict(
    width=8, multipliers=(1, 2), blocks=1, attend_at=(2,), norm_groups=4
  )
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiffMatch(method.Method):
  """A diffusion model of flows between two images."""

  per_example = False  # known pixels are counted over the batch

  size: int = field.value(512, "side of the images [pixels]", low=1)
  sides: tuple = field.value(
    (), "height and width of the flows [pixels]; (): as the images"
  )
  features: pyramid.Pyramid = field.part(pyramid.Pyramid, "frozen features")
  matcher: matchers.Matcher = field.part(matchers.Matcher, "grid and network")
  noise: gaussian.Gaussian = field.part(
    gaussian.Gaussian, "forward process", schedule="cosine", times=5
  )
  sampling: guided.Guided = field.part(
    guided.Guided, "sampler", steps=5, clip=0.0
  )
  hypotheses: flow_samples.FlowSamples = field.part(
    flow_samples.FlowSamples, "flows that are sampled"
  )

  @classmethod
  def tiny(cls) -> "DiffMatch":
    """A grid of 4 x 4 on 8-pixel images, flows a little larger."""
    return field.replace(
      cls(),
      size=8,
      sides=(8, 12),
      features=dict(net=dict(variant="small", width=4), host=dict(path="W")),
      matcher=dict(size=4, levels=((8, 1), (8, 2)), radius=1, **TINY),
      hypotheses=dict(count=2),
    )

  @property
  def span(self) -> tuple[int, int]:
    """(height, width) of the flows in pixels."""
    return tuple(self.sides) or (self.size, self.size)

  def inputs(self) -> dict[str, method.Input]:
    """images [2, h, w, 3], the source first; flow in pixels, where known.

    Raises:
      ValueError: fields that do not go together.
    """
    if len(self.span) != 2:
      raise ValueError(f"sides={self.sides}: height and width, or ()")
    self.matcher.check(self.features, "matcher")
    matchers.check(self.noise, self.sampling)
    return {
      "images": method.Input((2, self.size, self.size, 3), range=(-1.0, 1.0)),
      "flow": method.Input((*self.span, 2)),
      "flow_known": method.Input(self.span, jnp.int32, high=2),
    }

  def consts(self) -> dict[str, method.Const]:
    """The network of the features."""
    return {"features": self.features.const(self.size)}

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters of the UNet; no extra state."""
    del batch
    wide = self.features.channels(self.matcher.target, self.size)
    return {"main": self.matcher.init(key, wide)}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """t [b], noise [b, h, w, 2] on the grid."""
    del step
    shape = (method.batch_size(batch), *self.matcher.shape)
    return self.noise.draw(keys, shape)

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Squared error of x0 where a flow is known."""
    del step, player
    told = self.told(weights, batch["images"], self.starts_drawn(draws))[1]
    x, known = self.truth(batch), batch["flow_known"]
    x0 = self.denoised(weights, x, draws, told)
    up = functools.partial(matching.resized, sides=known.shape[1:])
    return matching.masked_error(up(x0), up(x), known), {}

  def truth(self, batch: method.Batch) -> Array:
    """x [b, h, w, 2]: the flow on the grid, in shares of the sides."""
    return matching.in_shares(batch["flow"], self.matcher.shape[:2])

  def denoised(
    self, weights: method.Weights, x: Array, draws: method.Draws, told: Array
  ) -> Array:
    """x0 [b, h, w, 2] of x, noised, at the drawn times."""
    x_t, _, _ = self.noise.add(x, draws["t"], draws["noise"])
    main, t = weights.params["main"], draws["t"]
    return self.matcher.network(main, x_t, t, told, noise=self.noise)

  def starts_drawn(self, draws: method.Draws) -> Array | None:
    """What stages before this one start with in training; there is none."""
    del draws

  def starts(self, keys: randomness.Keys, batch: method.Batch) -> Array | None:
    """The same when it is tested."""
    del keys, batch

  def told(
    self,
    weights: method.Weights,
    images: Array,
    starts: Array | None,
    blind: bool = False,
  ) -> tuple[Array, Array]:
    """(initial flow in shares of the sides, what the network is told).

    Args:
      weights: of all networks.
      images: [b, 2, h, w, 3], the source first.
      starts: of stages before this one.
      blind: whether costs are 0 instead.
    """
    del starts
    m = self.matcher
    source, target, shown = m.read(
      self.features, weights.consts["features"], images
    )
    cosines = matching.correlation(source, target)
    flow = matching.likeliest(cosines)
    cost = matching.local_cost(cosines, flow, m.radius) * (not blind)
    return flow / m.size, m.told(flow / m.size, cost, shown)

  def predict(self) -> dict[str, method.Predict]:
    """flow; of costs of 0; of corrupted images."""
    return self.hypotheses.outputs(self.flows)

  def flows(self, corruption: str = "", blind: bool = False) -> method.Predict:
    """An output of the evaluator `flow`, see `parts/flow_samples.py`."""

    def call(weights, batch, key):
      keys, m = randomness.Keys(key), self.matcher
      images = self.hypotheses.corrupted(batch["images"], corruption)
      starts = self.starts(keys, batch)
      initial, told = self.told(weights, images, starts, blind)
      made = m.walk(
        weights.params["main"],
        told,
        self.hypotheses.starts(keys("start"), batch, m.shape),
        noise=self.noise,
        sampling=self.sampling,
      )
      return flow_samples.described(made, initial, batch=batch, images=images)

    return call
