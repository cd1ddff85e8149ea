r"""The Jacobian of a denoiser: singular values, directions, numerical rank.

    J_i = d f(x)_i / d x_i        f of a batch whose examples are independent

All functions take f (x [b, ...] -> [b, ...]) and work on all its examples at
once: a batch of tangents gives J_i v_i of every example i. Rank as in Wang et
al. 2024 (huijieZH/Diffusion-Model-Generalizability@6c7576c):

    rank = smallest r with sqrt(sum_{i<=r} s_i^2) > 0.99 sqrt(sum_i s_i^2)
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jmim.diffusion import sampler

Function = Callable[[jax.Array], jax.Array]


class Triplets(NamedTuple):
  """The greatest singular values of each example, descending.

  Attributes:
    left: [b, k, ...] directions of the output.
    values: [b, k].
    right: [b, k, ...] directions of the input.
  """

  left: jax.Array
  values: jax.Array
  right: jax.Array


def whole(f: Function, x: jax.Array, chunk: int = 64) -> jax.Array:
  """J of every example, [b, outputs, inputs], column by column.

  Args:
    f: see above.
    x: [b, ...].
    chunk: columns computed at once.
  """
  each = x[0].size
  columns = jnp.eye(each, dtype=x.dtype).reshape(each, 1, *x.shape[1:])
  _, push = jax.linearize(f, x)

  def column(v):
    return push(jnp.broadcast_to(v, x.shape)).reshape(len(x), -1)

  rows = jax.lax.map(column, columns, batch_size=min(chunk, each))
  return jnp.moveaxis(rows, 0, -1)


def singular_values(f: Function, x: jax.Array, chunk: int = 64) -> jax.Array:
  """[b, min(outputs, inputs)], descending; for inputs of a few thousand."""
  return jnp.linalg.svd(whole(f, x, chunk), compute_uv=False)


def rank(values: jax.Array, share: float = 0.99) -> jax.Array:
  """Numerical rank [...] of descending singular values [..., n]; int32.

  0 where all are 0.
  """
  root = jnp.sqrt(jnp.cumsum(values**2, -1))
  below = (root <= share * root[..., -1:]).sum(-1) + 1
  return jnp.where(root[..., -1] > 0, below, 0).astype(jnp.int32)


def triplets(
  f: Function, x: jax.Array, start: jax.Array, steps: int = 20
) -> Triplets:
  """The greatest singular triplets, by power iteration on a subspace.

  v <- orthonormal J^T J v, and at the end the singular vectors of J v: k
  products forward and k backward per step, whatever the size of the input.

  Args:
    f: see above; of what only a part counts, mask its output.
    x: [b, ...].
    start: [b, k, ...] directions, random; of what may not move, 0 there.
    steps: of the iteration; it converges as (s_{k+1} / s_i)^(2 steps).
  """
  _, push = jax.linearize(f, x)
  pull = jax.linear_transpose(push, x)
  along = jax.vmap(push, 1, 1)
  back = jax.vmap(lambda w: pull(w)[0], 1, 1)
  moving = (start != 0).any(1, keepdims=True)

  def orthonormal(v):
    flat = v.reshape(*v.shape[:2], -1)
    q, _ = jnp.linalg.qr(jnp.swapaxes(flat, 1, 2))
    return jnp.swapaxes(q, 1, 2).reshape(v.shape)

  def step(v, _):
    return orthonormal(moving * back(along(v))), None

  v, _ = jax.lax.scan(step, orthonormal(start), None, length=steps)
  w = along(v)
  flat = w.reshape(*w.shape[:2], -1)
  turn, values, left = jnp.linalg.svd(flat, full_matrices=False)
  right = jnp.einsum("bjk,bj...->bk...", turn, v)
  return Triplets(left.reshape(w.shape), values, right)


def along(
  table: sampler.Table,
  denoise: sampler.Denoise,
  x: jax.Array,
  measure: Callable[[Function, jax.Array], jax.Array],
) -> tuple[jax.Array, jax.Array]:
  """A measure of d x0 / d x at every call of a sampler without noise.

  Args:
    table: of the sampler, of one call per step.
    denoise: as the sampler calls it.
    x: [b, ...] first state.
    measure: (f, x) -> array, such as `singular_values`.

  Returns:
    states [calls, b, ...] of the calls, and what was measured at them
    [calls, ...].
  """

  def noted(y, level):
    f = lambda z: denoise(z, level).x0
    return denoise(y, level)._replace(aux=(y, measure(f, y)))

  _, records = sampler.sample(
    table, noted, x, callback=lambda level, new, out: (new, out.aux)
  )
  return records


def level_of(table: sampler.Table, call: int) -> sampler.Level:
  """The level of one call of a sampler."""
  return jax.tree.map(lambda a: jnp.asarray(a)[call], table.level)
