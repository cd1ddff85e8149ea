r"""DiffMatch's second stage: a flow on a finer grid, around the coarse one.

Nam et al., ICLR 2024; see `dense.diffmatch`, whose loss and outputs it has:

    u  = up(mean of flows of the frozen coarse model)
    c  = cos(target, source at p + u(p) + step), of finer features
    x0 = u + net([x_t, u, c], 1000 t / T)                  a UNet of its own

Costs are made step by step: the cosines of all cells with all of a fine grid
would not fit. In training the coarse flow is one sample, from drawn noise; when
it is tested, a mean of `hypotheses`. `tests/golden` of `dense.diffmatch`
compares the cost.

The coarse model is a run (`coarse_host.path`), with the same features. The
paper begins with its weights, too: `init_from`, where both UNets are alike;
the released code's has other levels.

    C=configs/diffmatch_warps.py:features=F,stage=fine,coarse=COARSE
    python -m jmim.main --config=$C --workdir=W --config.data.data_dir=DIR
"""

import dataclasses

import jax

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.methods.dense import diffmatch
from jmim.methods.parts import flow_samples
from jmim.methods.parts import host as hosts
from jmim.methods.parts import matcher as matchers
from jmim.nn import matching
from jmim.nn.nets import unet

Array = jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiffMatchFine(diffmatch.DiffMatch):
  """A diffusion model of flows on a finer grid."""

  matcher: matchers.Matcher = field.redefault(
    diffmatch.DiffMatch,
    "matcher",
    size=256,
    levels=((512, 1),),
    dims=unet.Dims(
      **matchers.UNET | dict(multipliers=(1, 1, 2, 2, 4, 4), attend_at=(16, 32))
    ),
  )
  coarse: matchers.Matcher = field.part(
    matchers.Matcher, "grid and network of the coarse model"
  )
  coarse_host: hosts.Host = field.part(hosts.Host, "run of the coarse model")

  @classmethod
  def tiny(cls) -> "DiffMatchFine":
    """A grid of 8 x 8 after one of 4 x 4."""
    small = dict(radius=1, **diffmatch.TINY)
    return field.replace(
      super().tiny(),
      matcher=dict(size=8, levels=((16, 1),), **small),
      coarse=dict(size=4, levels=((8, 1), (8, 2)), **small),
      coarse_host=dict(path="W"),
    )

  def inputs(self) -> dict[str, method.Input]:
    """As of the coarse model.

    Raises:
      ValueError: fields that do not go together.
    """
    self.coarse.check(self.features, "coarse")
    return super().inputs()

  def consts(self) -> dict[str, method.Const]:
    """The network of the features, and the coarse model."""
    parts = (self.coarse, self.noise, self.features, self.coarse_host)
    const = matchers.const(*parts, size=self.size, key="method.coarse")
    return super().consts() | {"coarse": const}

  def draw(self, keys, batch, step) -> method.Draws:
    """Also coarse [b, h, w, 2], the noise that the coarse flow starts with."""
    shape = (method.batch_size(batch), *self.coarse.shape)
    own = {"coarse": jax.random.normal(keys("coarse"), shape)}
    return super().draw(keys, batch, step) | own

  def starts_drawn(self, draws: method.Draws) -> Array:
    """One, [1, b, h, w, 2]."""
    return draws["coarse"][None]

  def starts(self, keys: randomness.Keys, batch: method.Batch) -> Array:
    """[n, b, h, w, 2] of n hypotheses."""
    return self.hypotheses.starts(keys("coarse"), batch, self.coarse.shape)

  def told(
    self,
    weights: method.Weights,
    images: Array,
    starts: Array,
    blind: bool = False,
  ) -> tuple[Array, Array]:
    """See `dense.diffmatch`; costs are 0 on both grids where it is blind."""
    flow = self.coarse_flow(weights, images, starts, blind)
    flow = matching.resized(flow, self.matcher.shape[:2])
    m = self.matcher
    source, target, shown = m.read(
      self.features, weights.consts["features"], images
    )
    cost = matching.sampled_cost(source, target, flow * m.size, m.radius)
    return flow, m.told(flow, cost * (not blind), shown)

  def coarse_flow(
    self, weights: method.Weights, images: Array, starts: Array, blind: bool
  ) -> Array:
    """Mean [b, h, w, 2] of the coarse model's flows from all starts."""
    first = {"features": self.features, "matcher": self.coarse}
    names = ("size", "sides", "noise", "sampling", "rt")
    same = {name: getattr(self, name) for name in names}
    model = diffmatch.DiffMatch(**first, **same)
    _, told = model.told(weights, images, None, blind)
    made = self.coarse.walk(
      weights.consts["coarse"],
      told,
      starts,
      noise=self.noise,
      sampling=self.sampling,
    )
    return flow_samples.mean(made)
