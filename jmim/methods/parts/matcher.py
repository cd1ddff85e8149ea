"""A UNet that denoises a flow, and what it is told of two images.

    u    = initial flow, in shares of the sides           2 channels
    c    = cost near where u leads                        (2 r + 1)^2
    x0   = u + net([x_t, u, c, target], 1000 t / T)       on a square grid

`nn/matching.py` has flows and costs; target: features of the target, of length
1, if they are shown. (DiffMatch.)
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import runtime
from jmim.diffusion import sampler as samplers
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided
from jmim.methods.parts import host as hosts
from jmim.methods.parts import pyramid as pyramids
from jmim.nn import matching
from jmim.nn.nets import unet

Array = jax.Array
# What the shapes of parameters do not tell, beside `field.unseen` of the dims.
TOLD = ("size", "radius", "levels", "target")
SPAN = 1000  # the network's times, whatever T is
UNET = dict(
  width=128,
  multipliers=(1, 2, 3, 4),
  blocks=3,
  attend_at=(4, 8),
  scale_shift=True,
  dropout=0.0,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Matcher:
  """The grid, the network and the features it is told of."""

  size: int = field.value(64, "side of the grid [cells]", low=2)
  dims: unet.Dims = field.part(unet.Dims, "UNet", **UNET)
  levels: tuple = field.value(
    ((512, 2), (512, 3), (256, 3), (256, 4)),
    "features of which costs are made: side of the images, number of the map",
  )
  radius: int = field.value(4, "greatest step of the local cost [cells]", low=1)
  target: tuple = field.value(
    (), "features of the target that are shown, a level; (): none"
  )
  rt: runtime.Runtime = field.runtime()

  @property
  def net(self) -> unet.UNet:
    """The network."""
    return self.dims.net(out=2, dropout=0.0, rt=self.rt)

  @property
  def shape(self) -> tuple[int, int, int]:
    """[h, w, 2] of a flow."""
    return (self.size, self.size, 2)

  def check(self, features: pyramids.Pyramid, key: str) -> None:
    """Raises ValueError for fields that do not go together.

    Args:
      features: where they come from.
      key: of this part.
    """
    self.dims.check(self.size)
    if self.dims.dropout:
      raise ValueError(f"{key}.dims.dropout={self.dims.dropout}: none is here")
    features.check(self.levels, f"{key}.levels")
    if self.target:
      features.check((self.target,), f"{key}.target")

  def init(self, key: Array, channels: int = 0) -> method.Tree:
    """Parameters; channels: of the target's features that are shown."""
    wide = 4 + (2 * self.radius + 1) ** 2 + channels
    x = jnp.zeros((1, self.size, self.size, wide))
    return self.net.init(key, x, jnp.zeros(1))["params"]

  def read(
    self, features: pyramids.Pyramid, params: method.Tree, images: Array
  ) -> tuple[list[Array], list[Array], Array | None]:
    """(levels of the source, of the target, what is shown of the target).

    Args:
      features: their network.
      params: its parameters.
      images: [b, 2, h, w, c], the source first.
    """
    shown = (tuple(self.target),) if self.target else ()
    levels = (*map(tuple, self.levels), *shown)
    maps = features.maps(params, images, levels, self.size)
    both = maps[: len(self.levels)]
    last = maps[-1][:, 1] if shown else None
    return [m[:, 0] for m in both], [m[:, 1] for m in both], last

  def told(self, flow: Array, cost: Array, shown: Array | None = None) -> Array:
    """What the network reads beside x_t, [b, h, w, c].

    Args:
      flow: initial one [b, h, w, 2], in shares of the sides.
      cost: [b, h, w, k k].
      shown: features of the target [b, h, w, c], or None.
    """
    more = [] if shown is None else [matching.unit(shown)]
    return jnp.concatenate([flow, cost, *more], axis=-1)

  def network(
    self,
    params: method.Tree,
    x: Array,
    t: Array,
    told: Array,
    *,
    noise: gaussian.Gaussian,
  ) -> Array:
    """x0 [b, h, w, 2] of x_t at times t [b]; `noise`: the process."""
    x, initial = jnp.concatenate([x, told], axis=-1), told[..., :2]
    t = t * (SPAN / noise.times)
    return initial + self.net.apply({"params": params}, x, t)

  def walk(
    self,
    params: method.Tree,
    told: Array,
    starts: Array,
    *,
    noise: gaussian.Gaussian,
    sampling: guided.Guided,
  ) -> Array:
    """A flow from each start, [n, b, h, w, 2], in shares of the sides.

    Args:
      params: of the network.
      told: as of `told`.
      starts: standard normal [n, b, h, w, 2].
      noise: the process.
      sampling: of a sampler without noise.
    """
    network = functools.partial(self.network, params, noise=noise)
    output = functools.partial(
      noise.output, channels=2, clip=sampling.clip, kind="x0"
    )
    denoise = sampling.denoiser(
      network, output, condition=(told, None), end=noise.end, channels=2
    )
    table = noise.table(sampling)
    one = lambda start: samplers.sample(table, denoise, start)[0]
    return jax.lax.map(one, sampling.temperature * starts)


def check(noise: gaussian.Gaussian, sampling: guided.Guided) -> None:
  """Raises ValueError unless flows differ in where they start alone."""
  noise.check(sampling, learns=False, kind="x0")
  if noise.table(sampling).stochastic:
    raise ValueError(
      f"sampling.sampler={sampling.sampler!r}, sampling.eta={sampling.eta}: "
      "hypotheses differ in the noise they start with alone, and the sampler "
      "adds none (ddim with eta 0)"
    )
  if sampling.guidance != 1:
    raise ValueError(
      f"sampling.guidance={sampling.guidance}: no condition is dropped in "
      "training that guidance could be by; set it to 1"
    )


def const(
  matcher: Matcher,
  noise: gaussian.Gaussian,
  features: pyramids.Pyramid,
  host: hosts.Host,
  *,
  size: int,
  key: str,
) -> method.Const:
  """A frozen one, of a run that agrees in what shapes do not tell.

  Args:
    matcher: ours.
    noise: the process.
    features: the network of the features.
    host: where it is, `<key>_host` in our config.
    size: side of the images [pixels].
    key: of the matcher in our config.
  """
  own = {f"matcher.{n}": (f"{key}.{n}", getattr(matcher, n)) for n in TOLD}
  own["size"] = ("method.size", size)
  wide = features.channels(matcher.target, size)
  return host.const(
    lambda k: matcher.init(k, wide),
    own | features.agrees() | noise.agrees(),
    key=f"{key}_host",
    dims=matcher.dims,
    at=("matcher.dims", f"{key}.dims"),
  )
