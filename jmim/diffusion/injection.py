r"""Offsets inside a frozen denoiser while it samples.

    h_t        a map inside the network at a step
    e(x | d)   the network's noise with h_t + d_t in the place of h_t
    x_s = a_s (x - s_t e^P) / a_t + sqrt(s_s^2 - std^2) e^D + std z

Symmetric: e^P = e^D = e(x | d) (Haas et al. 2023, whose default this is).
Asymmetric: e^D = e(x | 0), by a second pass (Asyrp, Kwon et al. 2023). Steps
are those of `sampler.Table`; everything is a function of arrays.
"""

import dataclasses
from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jmim.diffusion import invert
from jmim.diffusion import jacobian
from jmim.diffusion import model
from jmim.diffusion import respace
from jmim.diffusion import sampler
from jmim.diffusion import schedule
from jmim.diffusion import solvers
from jmim.diffusion import targets

Array = jax.Array
# (x [b, ...], network times [b], told, offset or None) -> (raw prediction, h
# [b, ...] without the offset); an offset is [b, ...] or [...], as h is.
Inside = Callable[[Array, Array, Any, Array | None], tuple[Array, Array]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Opened:
  """A frozen model and a place inside its network.

  Attributes:
    source: the model.
    inside: its network, see above.
    told: what it is told, of the batch at hand.
    symmetric: which noises are edited, see above.
  """

  source: model.Diffuser
  inside: Inside
  told: Any = None
  symmetric: bool = True

  def denoise(self, offsets: Array | None = None) -> sampler.Denoise:
    """The network as a sampler calls it; `aux` is h without the offset.

    Args:
      offsets: [steps, (b,) *h], in the order of sampling; None: none at all.
    """

    def at(x, level, offset):
      t = jnp.full(len(x), level.time)
      raw, h = self.inside(x, t, self.told, offset)
      return self.source.output(raw, x, level, 0.0)._replace(aux=h)

    def call(x, level):
      if offsets is None:
        return at(x, level, None)
      moved = at(x, level, offsets[level.index])
      if self.symmetric:
        return moved
      plain = at(x, level, None)
      return moved._replace(eps=plain.eps, aux=plain.aux)

    return call

  def response(
    self, x: Array, level: sampler.Level, mask: Array | float = 1.0
  ) -> jacobian.Function:
    """offset [b, *h] -> mask e(x | offset) [b, ...].

    Args:
      x: [b, ...] state.
      level: where it stands.
      mask: what of the noise counts, broadcast to x; 1: all.
    """

    def noise(offset):
      t = jnp.full(len(x), level.time)
      raw, _ = self.inside(x, t, self.told, offset)
      return mask * self.source.output(raw, x, level, 0.0).eps

    return noise


class Walked(NamedTuple):
  """A walk from noise to data.

  Attributes:
    end: [b, ...] last state.
    states: [steps, b, ...] before each step.
    h: [steps, b, *h], without offsets.
  """

  end: Array
  states: Array
  h: Array


def walk(
  table: sampler.Table,
  denoise: sampler.Denoise,
  x: Array,
  noise: Array | None = None,
) -> Walked:
  """Samples, and keeps what was seen.

  Args:
    table: of the sampler.
    denoise: of `Opened`.
    x: [b, ...] state at the first level.
    noise: [steps, b, ...]; None where the table needs none.
  """
  keep = lambda level, new, out: (new, (new, out.aux))
  end, (after, h) = sampler.sample(table, denoise, x, noise, callback=keep)
  return Walked(end, jnp.concatenate([jnp.asarray(x)[None], after[:-1]]), h)


def backward(
  process: schedule.Schedule, steps: int, spacing: str = "leading"
) -> schedule.Levels:
  """The path that DDIM is inverted along, from noise to the least noise.

  As the authors': data are taken to be at the first time already, and the last
  step goes on as far as those between, but not beyond time T - 2.

  Args:
    process: of T times.
    steps: of the sampler, and as many here.
    spacing: of the times.
  """
  visited = respace.visited(spacing, len(process), steps)
  far = min(len(process) - 2, visited[0] + len(process) // steps)
  whole = process.levels(np.append(far, visited))
  return whole.part(0, len(visited))


def inverted(
  opened: Opened, levels: schedule.Levels, z: Array
) -> tuple[Array, Array]:
  """DDIM backwards from data z: (state at the first level, h of its calls).

  Args:
    opened: the model.
    levels: of `backward`.
    z: [b, ...].

  Returns:
    [b, ...] and [steps, b, *h] in the order of sampling.
  """
  table = solvers.ddim(invert.inverse(levels))
  found = walk(table, opened.denoise(), z)
  return found.end, found.h[::-1]


def friendly(
  table: sampler.Table,
  opened: Opened,
  z: Array,
  noise: Array,
) -> tuple[Array, Array]:
  """The noises of a stochastic sampler that lead to z (Huberman et al. 2023).

  States are drawn independently of each other, x_t = a_t z + s_t n_t, and the
  noises of the sampler are solved for. Where its last step adds none, z is
  reached but for the model's error there.

  Args:
    table: the sampler.
    opened: the model.
    z: [b, ...] data.
    noise: [steps, b, ...] standard normal.

  Returns:
    [b, ...] state at the first level, and noises [steps, b, ...].
  """
  each = lambda a: targets.expand(jnp.asarray(a, z.dtype), noise.ndim)
  signal, spread = each(table.level.signal), each(table.level.noise)
  states = targets.noised(z[None], noise, signal, spread)
  path = jnp.concatenate([states, z[None]])
  return states[0], sampler.noises(table, opened.denoise(), path)


def scaled(offsets: Array, alphas: tuple[float, ...]) -> Array:
  """[k, ...] and a strengths -> [k a, ...], strengths innermost."""
  each = jnp.asarray(alphas, offsets.dtype)
  each = each.reshape(1, -1, *[1] * (offsets.ndim - 1))
  return (offsets[:, None] * each).reshape(-1, *offsets.shape[1:])


def pointed(u: Array, by_step: bool) -> Array:
  """Directions with their signs fixed, as the authors do.

  The first entry is positive; of directions by step that of step 0, and the
  others lie on its side.

  Args:
    u: [k, steps, *h], of numpy or jax.
    by_step: whether each step's is one of its own.
  """
  flat = u.reshape(*u.shape[:2], -1)
  u = u * _sign(flat[:, 0, 0], u.ndim)
  if not by_step:
    return u
  flat = u.reshape(*u.shape[:2], -1)
  return u * _sign((flat * flat[:, :1]).sum(-1), u.ndim)


def _sign(a: Array, ndim: int) -> Array:
  """1 or -1, never 0, with as many dimensions."""
  return (1.0 - 2.0 * (a < 0)).reshape(a.shape + (1,) * (ndim - a.ndim))


def box(shape: tuple[int, ...], edges: tuple[float, ...]) -> np.ndarray:
  """float32 [h, w, 1]: 1 within (top, left, bottom, right), shares of sides.

  A pixel counts if its centre lies within.

  Raises:
    ValueError: none does, or not four edges.
  """
  if len(edges) != 4:
    raise ValueError(f"mask={edges}: give top, left, bottom and right, or none")
  top, left, bottom, right = edges
  rows, columns = ((np.arange(n) + 0.5) / n for n in shape[:2])
  inside = ((rows >= top) & (rows <= bottom))[:, None]
  inside = inside & ((columns >= left) & (columns <= right))
  if not inside.any():
    raise ValueError(f"mask={edges} holds no pixel of {shape[0]} x {shape[1]}")
  return inside.astype(np.float32)[..., None]


def apart(n: np.ndarray, others: np.ndarray) -> np.ndarray:
  """n - N (N^T N)^-1 N^T n: directions without their parts along others.

  Args:
    n: [k, ...] directions, as flat vectors.
    others: [m, ...], the columns of N; where they depend on each other, all
      that they span is left out.

  Returns:
    float64 [k, ...].
  """
  rows = np.asarray(n, np.float64).reshape(len(n), -1)
  unwanted = np.asarray(others, np.float64).reshape(len(others), -1)
  share = np.linalg.lstsq(unwanted.T, rows.T, rcond=None)[0]
  return (rows - share.T @ unwanted).reshape(np.shape(n))
