"""One sampling loop; a sampler is a table of coefficients.

Every sampler here is linear in what it has seen. Call i of the network, at
the noise level of row i, gives x0 and eps; then

    anchor = A (x, last anchor, x0_i, x0_{i-1}, ...)
    x      = B (x, anchor, eps, x0_i, x0_{i-1}, ...) + std z

where A and B are rows of float64 tables (`jmim.diffusion.solvers`). The loop
knows no method: guidance, clipping, conditions, residual or partly clean
states live in `denoise` and `callback`, which are plain functions of arrays.
"""

import dataclasses
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jmim.diffusion import targets


class Level(NamedTuple):
  """Where a call of the network stands: scalars inside the loop.

  Attributes:
    index: number of the call.
    time: input of the network.
    signal: factor of x0 in x.
    noise: factor of eps in x.
    to_signal: the same of the level the step leads to.
    to_noise: the same.
    log_small: log of the posterior variance of the step, clipped.
    log_large: log of the forward variance of the step.
    scales: (1 / signal, noise / signal), rounded from float64.
  """

  index: Any
  time: Any
  signal: Any
  noise: Any
  to_signal: Any
  to_noise: Any
  log_small: Any
  log_large: Any
  scales: tuple[Any, Any]


Denoise = Callable[[jax.Array, Level], targets.Output]
# (level of the call, new state, output) -> (state to go on with, record).
Callback = Callable[[Level, jax.Array, targets.Output], tuple[jax.Array, Any]]
Noise = jax.Array | Callable[[jax.Array], jax.Array]
_ROWS = ("anchor", "out", "std", "churn")  # of a table, beside its level


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Table:
  """A sampler along a path of n calls.

  Attributes:
    level: fields [n] float64.
    anchor: [n, 2 + k] weights of (x, last anchor, x0_i, ..., x0_{i-k+1}).
    out: [n, 3 + k] weights of (x, anchor, eps, x0_i, ..., x0_{i-k+1}).
    std: [n] of the noise added after a step.
    churn: [n] of the noise added before a call.
    learned: std multiplies the network's own deviation, exp(log_var / 2).
  """

  level: Level
  anchor: np.ndarray
  out: np.ndarray
  std: np.ndarray
  churn: np.ndarray
  learned: bool = False

  def __len__(self) -> int:
    return len(self.std)

  @property
  def memory(self) -> int:
    """Outputs a step looks at, the present one included."""
    return self.anchor.shape[1] - 2

  def part(self, start: int, stop: int) -> "Table":
    """Calls start .. stop - 1; one part after the other is the whole path.

    What a walk is given is a table; `Levels.part` cuts a path before it is
    one. `sample` numbers the calls of a part from 0 again (`Level.index`, and
    with it noise).

    Raises:
      ValueError: a sampler that looks at earlier outputs, or anchors.
    """
    if self.memory > 1 or self.out[:, 1].any():
      raise ValueError("a sampler that remembers cannot be walked in parts")
    rows = slice(start, stop)
    cut = {name: getattr(self, name)[rows] for name in _ROWS}
    level = jax.tree.map(lambda a: a[rows], self.level)
    return dataclasses.replace(self, level=level, **cut)

  @property
  def stochastic(self) -> bool:
    """Whether it needs noise."""
    return bool(self.std.any() or self.churn.any())

  def still(self) -> "Table":
    """The same without noise."""
    none = np.zeros(len(self))
    return dataclasses.replace(self, std=none, churn=none)

  def draw(
    self, keys: Callable[[str], jax.Array], shape: tuple[int, ...]
  ) -> dict[str, jax.Array]:
    """start [*shape] and, where it is needed, noise [calls, *shape]."""
    draws = {"start": jax.random.normal(keys("start"), shape)}
    if self.stochastic:
      rows = (len(self), *shape)
      draws["noise"] = jax.random.normal(keys("noise"), rows)
    return draws

  def check(self, name: str) -> None:
    """Raises ValueError if a coefficient is not finite; `name`: the sampler's.

    Samplers in s / a or its logarithm cannot begin where a = 0.
    """
    weights = (self.anchor, self.out, self.std, self.churn)
    if not all(np.isfinite(w).all() for w in weights):
      raise ValueError(
        f"sampler {name!r} cannot walk these levels (pure noise first, as "
        "with zero_snr, or leave the range of numbers)"
      )


def _mix(table: np.ndarray, row: jax.Array, terms: list) -> jax.Array:
  """sum_j row_j terms_j, without the columns that are 0 in all rows."""
  used = [j for j in range(table.shape[1]) if table[:, j].any()]
  if len(used) == 1 and (table[:, used[0]] == 1).all():
    return terms[used[0]]
  return sum(row[j] * terms[j] for j in used)


def rows_of(table: Table, dtype: Any) -> dict[str, Any]:
  """The table as arrays with the call as dimension 0, at least float32."""
  dtype = jnp.promote_types(dtype, jnp.float32)
  cast = lambda a: jnp.asarray(a, dtype)
  level = jax.tree.map(cast, table.level)._replace(index=jnp.arange(len(table)))
  return {"level": level, **{f: cast(getattr(table, f)) for f in _ROWS}}


def _step(table, denoise, row, carry, z):
  """One call and one step without its callback: (carry, output)."""
  x, anchor, past = carry
  if z is not None and table.churn.any():
    x = x + row["churn"] * z
  out = denoise(x, row["level"])
  seen = [out.x0, *past]
  anchor = _mix(table.anchor, row["anchor"], [x, anchor, *seen])
  new = _mix(table.out, row["out"], [x, anchor, out.eps, *seen])
  return (new, anchor, tuple(seen[: table.memory - 1])), out


def deviation(
  table: Table, row: Mapping[str, Any], out: targets.Output
) -> jax.Array:
  """Of the noise that a step adds, whose row is one of `rows_of`."""
  if not table.learned:
    return row["std"]
  return row["std"] * jnp.exp(0.5 * out.log_var)


def sample(
  table: Table,
  denoise: Denoise,
  x: jax.Array,
  noise: Noise | None = None,
  callback: Callback | None = None,
  *,
  summed: bool = False,
) -> tuple[jax.Array, Any]:
  """Runs a sampler; differentiable, and one `lax.scan` whatever its length.

  Args:
    table: which sampler, along which path (`Levels.part` cuts a path).
    denoise: (x, level) -> `targets.Output`.
    x: state at the first level, any shape.
    noise: [calls, *x.shape] standard normal, or index of the call -> such an
      array; None for samplers that need none.
    callback: (level, new x, output) -> (x to go on with, record).
    summed: records are added up on the way: large ones of many calls would not
      fit.

  Returns:
    the last state, and the records stacked, [calls, ...], or their sum.

  Raises:
    ValueError: the sampler needs noise and there is none, or not as much.
  """
  if table.stochastic and noise is None:
    raise ValueError("this sampler needs noise: give an array or a function")
  given = noise is not None and not callable(noise)
  if given and len(noise) != len(table):
    raise ValueError(f"noise of {len(noise)} calls for {len(table)}")
  x = jnp.asarray(x)

  def body(carry, xs):
    row, z = xs
    z = noise(row["level"].index) if callable(noise) else z
    (x, anchor, past), out = _step(table, denoise, row=row, carry=carry, z=z)
    if table.std.any():
      x = x + deviation(table, row, out) * z
    record = None
    if callback is not None:
      x, record = callback(row["level"], x, out)
    return (x, anchor, past), record

  past = (jnp.zeros_like(x),) * (table.memory - 1)
  rows = (rows_of(table, x.dtype), noise if given else None)
  run = _scan_summed if summed else jax.lax.scan
  (x, _, _), records = run(body, (x, x, past), rows)
  return x, records


def _scan_summed(body, carry, rows):
  """`lax.scan` whose outputs are added up instead of stacked."""
  first = jax.tree.map(lambda a: a[0], rows)
  like = jax.eval_shape(body, carry, first)[1]
  zeros = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), like)

  def added(state, row):
    carry, total = state
    carry, record = body(carry, row)
    return (carry, jax.tree.map(jnp.add, total, record)), None

  return jax.lax.scan(added, (carry, zeros), rows)[0]


def noises(table: Table, denoise: Denoise, path: jax.Array) -> jax.Array:
  """The noise with which `sample` walks through given states.

  (CycleDiffusion's DPM-encoder.) Only for samplers that look at one call.

  Args:
    table: a stochastic sampler of memory 1 without churn.
    denoise: as in `sample`.
    path: [calls + 1, ...] states.

  Returns:
    [calls, ...]; 0 where the sampler adds none.

  Raises:
    ValueError: a sampler that remembers, or adds noise before a call.
  """
  if table.memory > 1 or table.churn.any():
    raise ValueError("noise is recovered from samplers of one call only")

  def one(row, x, new):
    (mean, _, _), out = _step(table, denoise, row=row, carry=(x, x, ()), z=None)
    std = deviation(table, row, out)
    return jnp.where(std > 0, (new - mean) / jnp.where(std > 0, std, 1.0), 0.0)

  rows = rows_of(table, path.dtype)
  return jax.lax.map(lambda a: one(*a), (rows, path[:-1], path[1:]))


def trajectory(
  level: Level, x: jax.Array, out: targets.Output
) -> tuple[jax.Array, dict[str, jax.Array]]:
  """A callback that changes nothing and records every x and x0."""
  del level
  return x, {"x": x, "x0": out.x0}


def ends(network: Callable[..., Any]) -> Callable[..., dict[str, jax.Array]]:
  """(table, network -> denoiser, x, noise) -> where a path begins and ends.

  Args:
    network: makes the calls.
  """
  return lambda table, make, x, noise: {
    "noise": x,
    "sample": sample(table, make(network), x, noise)[0],
  }
