"""From data back to the noises that a sampler would make it of.

Three ways to a place on a path (`schedule.Levels`), from least to most exact:

    begun     SDEdit (Meng et al. 2022): fresh noise at a level
    ddim      DDIM run backwards (Song et al. 2021)
    encode    DPM-encoder (Wu and De la Torre 2023): all noises of a stochastic
              sampler, which leads back to the data exactly
"""

import jax
import jax.numpy as jnp
import numpy as np

from jmim.diffusion import sampler as samplers
from jmim.diffusion import schedule
from jmim.diffusion import solvers
from jmim.diffusion import targets

Array = jax.Array


def steps_first(x: Array) -> Array:
  """[b, n, ...] of draws, which are per example -> [n, b, ...] of a path."""
  return jnp.moveaxis(x, 1, 0)


def begun(
  levels: schedule.Levels, z: Array, noise: Array, strength: float
) -> tuple[schedule.Levels | None, Array]:
  """Where SDEdit begins: the last steps of a path, and data noised to it.

  Args:
    levels: path from noise to data.
    z: data [b, ...].
    noise: of the same shape.
    strength: share of the steps, at least one; 0: none at all.

  Returns:
    (the rest of the path, the state at its start), or (None, z).
  """
  if not strength:
    return None, z
  rest = levels.last(strength)
  a, s = float(rest.signal[0]), float(rest.noise[0])
  return rest, targets.noised(z, noise, a, s)


def inverse(levels: schedule.Levels, told: str = "from") -> schedule.Levels:
  """The path from data to noise.

  Args:
    levels: from noise to data.
    told: which level's time the network is given in a step: "from", the one
      that is left (Song et al.), or "to", the one that is reached, so that the
      network is never asked about data without noise (as its own path).

  Raises:
    ValueError: another `told`.
  """
  if told not in ("from", "to"):
    raise ValueError(f"told {told!r}: 'from' or 'to'")
  back = levels.reverse()
  if told == "from":
    return back
  times = np.append(back.time[1:], back.time[-1])
  return schedule.Levels(times, back.signal, back.noise)


def ddim(
  denoise: samplers.Denoise,
  levels: schedule.Levels,
  z: Array,
  told: str = "from",
) -> tuple[Array, Array]:
  """DDIM backwards, for networks that predict noise (or v).

  Args:
    denoise: of the model.
    levels: from noise to data.
    z: data [b, ...], at the last level.
    told: see `inverse`.

  Returns:
    (state at the first level, all states [n, b, ...] on the way there).
  """
  table = solvers.ddim(inverse(levels, told))
  end, seen = samplers.sample(table, denoise, z, callback=samplers.trajectory)
  return end, seen["x"]


def knowing(z: Array) -> samplers.Denoise:
  """A denoiser that knows the data: x0 = z, eps = (x - a z) / s."""

  def call(x, level):
    eps = targets.to_eps("x0", z, x=x, a=level.signal, s=level.noise)
    return targets.Output(z, eps)

  return call


def posterior(table: samplers.Table, z: Array, x: Array, noise: Array) -> Array:
  """States [n + 1, b, ...] of the forward process, given its two ends.

  Of DDIM's table with eta, or of DDPM's with the small variance, they are
  drawn from q(x_s | x_t, z); the last one is z itself.

  Args:
    table: sampler along the path; its rows but the last are used.
    z: data [b, ...].
    x: state at the first level.
    noise: [n - 1, b, ...] standard normal.

  Raises:
    ValueError: not as much noise.
  """
  if len(noise) != len(table) - 1:
    raise ValueError(f"noise of {len(noise)} steps for {len(table) - 1}")
  last = jnp.zeros((1, *x.shape), x.dtype)
  noise = jnp.concatenate([noise, last])
  _, seen = samplers.sample(
    table, knowing(z), x, noise, callback=samplers.trajectory
  )
  return jnp.concatenate([x[None], seen["x"][:-1], z[None]])


def encode(
  table: samplers.Table,
  denoise: samplers.Denoise,
  z: Array,
  *,
  x: Array,
  noise: Array,
  drawn_by: samplers.Table | None = None,
) -> Array:
  """The noises with which a model's sampler walks from x to z.

  Those of the states of `posterior`, by differences that are small: what the
  model lacks of z and of the noise in x, over a deviation that is small too.

  Args:
    table: a stochastic sampler along the path, of memory 1. Where its last
      step adds no noise (it leads to clean data), z is reached but for the
      model's error there.
    denoise: of the model.
    z: data [b, ...].
    x: state at the first level, `begun`.
    noise: [n - 1, b, ...] standard normal, of `posterior`.
    drawn_by: sampler that draws the states in between; None: `table`. Of DDPM
      with the large variance it is that with the small one.

  Returns:
    [n, b, ...]; 0 where the sampler adds none.

  Raises:
    ValueError: not as much noise, a sampler that remembers, or two whose
      means are not the same.
  """
  drawn = drawn_by or table
  if table.memory > 1 or (table.out != drawn.out).any():
    raise ValueError("a sampler that remembers, or another one's states")
  if len(noise) != len(table) - 1:
    raise ValueError(f"noise of {len(noise)} steps for {len(table) - 1}")
  level, (of_x, _, of_eps, of_x0) = table.level, table.out.T
  # Of the true noise in x in the mean of the next state.
  share = of_x * level.noise + of_eps
  z, x = jnp.asarray(z), jnp.asarray(x)
  rows = samplers.rows_of(table, x.dtype) | {
    name: jnp.asarray(column, x.dtype)
    for name, column in (
      ("of_eps", of_eps),
      ("of_x0", of_x0),
      ("share", share),
      ("drawn", drawn.std),
    )
  }
  eps = targets.to_eps("x0", z, x=x, a=level.signal[0], s=level.noise[0])

  def gap(row, x, eps):
    """(the true mean of the next state less the model's, its deviation)."""
    out = denoise(x, row["level"])
    gap = row["of_eps"] * (eps - out.eps) + row["of_x0"] * (z - out.x0)
    return gap, samplers.deviation(table, row, out)

  def step(carry, row_and_noise):
    (x, eps), (row, n) = carry, row_and_noise
    lacks, std = gap(row, x, eps)
    spread, to = row["drawn"] * n, row["level"]
    eps = (row["share"] * eps + spread) / to.to_noise
    x = to.to_signal * z + to.to_noise * eps
    return (x, eps), _over(lacks + spread, std)

  first = jax.tree.map(lambda a: a[:-1], rows)
  (x, eps), found = jax.lax.scan(step, (x, eps), (first, jnp.asarray(noise)))
  # The last state is z itself, whatever would have been drawn.
  row = jax.tree.map(lambda a: a[-1], rows)
  lacks, std = gap(row, x, eps)
  there = (1 - row["level"].to_signal) * z - row["share"] * eps
  return jnp.concatenate([found, _over(lacks + there, std)[None]])


def _over(x: Array, std: Array) -> Array:
  """x / std, 0 where there is none."""
  return jnp.where(std > 0, x / jnp.where(std > 0, std, 1.0), 0.0)


def decode(
  table: samplers.Table, denoise: samplers.Denoise, x: Array, noise: Array
) -> Array:
  """What a sampler makes of a state and of its noises [n, b, ...]."""
  return samplers.sample(table, denoise, x, noise)[0]
