"""Orthonormal bases that are trained: of the free matrices, and by retraction.

    U = Q of A = Q R                       `orthonormal`: U U^T is what counts
    U <- Q of (U - Adam(dL/dU))            `descend`: QR after every step

Both keep U on the manifold of orthonormal bases. The first is how a method with
any optimizer trains it, the second how the figures of the paper's claim are
made: full batch, new noise in every step, many starts at once.
"""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import optax

from jmim.diffusion import low_rank

Bases = tuple[jax.Array, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Descent:
  """How `descend` trains.

  Attributes:
    s: factor of the data.
    g: factor of the noise.
    rate: of Adam.
    steps: of each start.
    starts: of which the one with the least loss is taken.
  """

  s: float = 1.0
  g: float = 0.1
  rate: float = 0.03
  steps: int = 600
  starts: int = 6


def orthonormal(a: jax.Array) -> jax.Array:
  """Q of a matrix [n, d] of full rank; differentiable."""
  return jnp.linalg.qr(a)[0]


def random(key: jax.Array, n: int, dims: Sequence[int]) -> Bases:
  """Orthonormal [n, d_k], each uniform."""
  keys = jax.random.split(key, len(dims))
  return tuple(
    orthonormal(jax.random.normal(k, (n, d)))
    for k, d in zip(keys, dims, strict=True)
  )


def errors(
  bases: Bases,
  priors: Sequence[float],
  x0: jax.Array,
  *,
  noise: jax.Array,
  s: low_rank.Factor,
  g: low_rank.Factor,
) -> jax.Array:
  """|E[x0 | s x0 + g noise] - x0|^2 of the mixture's denoiser, [b].

  Args:
    bases: U_k.
    priors: pi_k.
    x0: points [b, n].
    noise: [b, n].
    s: factor of the data: one, or [b].
    g: factor of the noise: one, or [b].
  """
  x = jnp.asarray(s)[..., None] * x0 + jnp.asarray(g)[..., None] * noise
  out = low_rank.denoised(bases, priors, x, s=s, g=g)
  return ((out - x0) ** 2).sum(-1)


def descend(
  key: jax.Array,
  x0: jax.Array,
  dims: Sequence[int],
  how: Descent | None = None,
) -> tuple[Bases, jax.Array]:
  """Trains the denoiser of a mixture with equal weights on all points at once.

  Args:
    key: of starts and noise.
    x0: points [N, n].
    dims: d_k.
    how: options.

  Returns:
    the bases of the best start, and the loss of every start [starts]: a mean
    over its last tenth of steps.
  """
  how = how or Descent()
  priors = (1 / len(dims),) * len(dims)
  adam = optax.adam(how.rate)
  tail = max(1, how.steps // 10)

  def one(key):
    start, key = jax.random.split(key)
    bases = random(start, x0.shape[1], dims)

    def loss(bases, noise):
      each = errors(bases, priors, x0, noise=noise, s=how.s, g=how.g)
      return each.mean()

    def step(carry, key):
      bases, state = carry
      noise = jax.random.normal(key, x0.shape)
      value, grads = jax.value_and_grad(loss)(bases, noise)
      change, state = adam.update(grads, state)
      moved = optax.apply_updates(bases, change)
      return (jax.tree.map(orthonormal, moved), state), value

    keys = jax.random.split(key, how.steps)
    (bases, _), values = jax.lax.scan(step, (bases, adam.init(bases)), keys)
    return bases, values[-tail:].mean()

  found, losses = jax.vmap(one)(jax.random.split(key, how.starts))
  best = jnp.argmin(losses)
  return jax.tree.map(lambda u: u[best], found), losses
