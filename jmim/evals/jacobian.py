r"""How many directions a denoiser keeps, along the path it samples by.

    J     = d x0(x_t) / d x_t            of every example, by DDIM in `steps`
    rank  = smallest r with sqrt(sum_{i<=r} s_i^2) > share sqrt(sum_i s_i^2)

Of any method that offers a diffusion model (`Method.diffuser`), guided by what
the examples are labelled with at scale 1. Wang et al. 2024 (arXiv 2409.02426):
the rank is small at medium noise, that of the data, and rises where there is
hardly any. `directions` of the greatest singular values are found by power
iteration, of models of any size, and shown as LOCO-Edit does: x0 at x_t and at
x_t +- alpha |x_t| v. Noise is that of the run's seed.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import field
from jmim.diffusion import jacobian
from jmim.diffusion import model as diffusion
from jmim.diffusion import sampler
from jmim.diffusion import solvers
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.evals.lib import draw
from jmim.evals.lib import finite
from jmim.evals.lib import predict

PICTURE = 320  # pixels across


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """Ranks by step, singular values, and a look along singular vectors."""

  diffuses = True

  predict: str = field.value("", "nothing: it asks for the diffusion model")
  steps: int = field.value(18, "calls of the network", low=2)
  examples: int = field.value(4, "paths, told what the examples are", low=1)
  values: bool = field.value(
    True, "all singular values, hence ranks; False: of the directions alone"
  )
  share: float = field.value(
    0.99, "share of all singular values in a rank", above=0.0, below=1.0
  )
  directions: int = field.value(3, "singular vectors shown", low=0)
  at: float = field.value(
    0.7, "share of the path still to go where they are", low=0.0, high=1.0
  )
  alpha: float = field.value(0.5, "length of a move, in those of the state")
  iterations: int = field.value(20, "steps of the power iteration", low=1)

  def needs(self) -> tuple[str, ...]:
    """No output: a diffusion model."""
    return ()

  def run(self, context: contexts.Context) -> base.Results:
    """Yields rank_XX by step, least and most, and pictures."""
    batch = next(iter(context.batches("eval", self.examples)))
    whole = {k: context.devices.gather(x) for k, x in batch.items()}
    rows = {k: x[whole["valid"]][: self.examples] for k, x in whole.items()}
    found = self._found(context, rows)
    if self.values:
      yield from self._ranks(found)
    if self.directions:
      for i, value in enumerate(found["top"].mean(0)):
        yield f"top_{i + 1}", float(value)
    if "moved" in found:
      yield "directions", self._sheet(context, found["moved"])
    yield "examples", len(rows["valid"])

  def _found(
    self, context: contexts.Context, rows: contexts.Arrays
  ) -> dict[str, np.ndarray]:
    """What is measured of a batch that every host holds; compiled once."""

    def make():
      fn = predict.diffused(context.method, context.spec, self.measured)
      return context.devices.jit(fn)

    out = context.once(self, make)(
      context.weights(self.weights),
      context.devices.put_whole(rows),
      jax.random.key(context.seed),
    )
    return jax.tree.map(np.asarray, out)

  def _ranks(self, found: dict[str, np.ndarray]) -> base.Results:
    """Of values [b, steps, n]."""
    values = found["values"]
    finite.check(values.reshape(len(values), -1))
    ranks = np.asarray(jacobian.rank(values, self.share)).mean(0)
    for i, rank in enumerate(ranks):
      yield f"rank_{i:02d}", float(rank)
    yield "rank_least", float(ranks.min())
    yield "rank_most", float(ranks.max())
    yield "least_ratio", float(ranks.min()) / values.shape[-1]
    yield "levels", {"noise_to_signal": found["noise"][0].tolist()}
    relative = values / np.maximum(values[..., :1], 1e-12)
    picture = draw.heat(relative.mean(0), 0.0, 1.0)
    factor = max(1, PICTURE // picture.shape[1])
    yield "values", picture.repeat(2 * factor, 0).repeat(factor, 1)

  def measured(
    self, model: diffusion.Diffuser, batch: contexts.Arrays, key: jax.Array
  ) -> dict[str, jax.Array]:
    """What is measured of a batch, on the devices.

    Args:
      model: the run's.
      batch: b examples.
      key: of the noise.

    Returns:
      values [b, steps, n] if asked for, noise [b, steps] over signal, top
      [b, directions], and moved [b, 1 + 2 directions, h, w, c], pictures,
      where the model can make some.
    """
    b = len(jax.tree.leaves(batch)[0])
    levels = model.levels(self.steps)
    table = solvers.ddim(levels, 0.0)
    denoise = model.denoise(*model.tell(batch))
    first, start = jax.random.split(key)
    x = jax.random.normal(first, (b, *model.shape)) * float(levels.noise[0])
    states, values = jacobian.along(table, denoise, x, self._values)
    ratio = jnp.asarray(table.level.noise / table.level.signal, jnp.float32)
    found = {"noise": jnp.broadcast_to(ratio, (b, len(table)))}
    if self.values:
      found["values"] = jnp.moveaxis(values, 0, 1)
    if self.directions:
      call = min(round((1 - self.at) * self.steps), self.steps - 1)
      level = jacobian.level_of(table, call)
      found |= self._directions(
        model, denoise, states[call], level=level, key=start
      )
    return found

  def _values(self, f: jacobian.Function, x: jax.Array) -> jax.Array:
    return jacobian.singular_values(f, x) if self.values else jnp.zeros(())

  def _directions(
    self,
    model: diffusion.Diffuser,
    denoise: sampler.Denoise,
    x: jax.Array,
    level: sampler.Level,
    key: jax.Array,
  ) -> dict[str, jax.Array]:
    """top and moved, see `measured`, at states x [b, ...]."""
    start = jax.random.normal(key, (len(x), self.directions, *x.shape[1:]))
    f = lambda z: denoise(z, level).x0
    top = jacobian.triplets(f, x, start, self.iterations)
    found = {"top": top.values}
    if "decode" not in model.can or len(model.image) != 3:
      return found
    length = jnp.sqrt((x**2).sum(tuple(range(1, x.ndim)), keepdims=True))
    pictures = [model.decode(f(x))]
    for i in range(self.directions):
      step = self.alpha * length * top.right[:, i]
      pictures += [model.decode(f(x + sign * step)) for sign in (-1, 1)]
    return found | {"moved": jnp.stack(pictures, 1)}

  def _sheet(self, context: contexts.Context, moved: np.ndarray) -> np.ndarray:
    """A row per example, a column per move."""
    titles = ["x0"]
    for i in range(self.directions):
      titles += [f"- v{i + 1}", f"+ v{i + 1}"]
    columns = {
      title: context.pixels(np.asarray(moved[:, i]))
      for i, title in enumerate(titles)
    }
    return draw.sheet(columns, pairs=1)
