"""Vector quantisation: nearest codes, both losses, moving-average codebooks.

van den Oord et al. 2017 (VQ-VAE); the losses as in taming-transformers@3ba01b2.
"""

import jax
import jax.numpy as jnp


def nearest(x: jax.Array, codes: jax.Array) -> jax.Array:
  """[..., d] vectors, [k, d] codes -> [...] int32, the closest code (eq. 1)."""
  x = x.astype(jnp.float32)
  # |x - c|^2 = |x|^2 - 2 x.c + |c|^2, without |x|^2, which all codes share.
  distance = (codes**2).sum(-1) - 2 * x @ codes.T
  return jnp.argmin(distance, axis=-1)


def uniform_codes(key: jax.Array, k: int, d: int) -> jax.Array:
  """[k, d] ~ U(-1/k, 1/k)."""
  return jax.random.uniform(key, (k, d), minval=-1 / k, maxval=1 / k)


def straight_through(z: jax.Array, quantised: jax.Array) -> jax.Array:
  """The quantised values [..., d], with the gradient of z (section 3.2)."""
  return z + jax.lax.stop_gradient(quantised - z)


def losses(z: jax.Array, quantised: jax.Array) -> tuple[jax.Array, jax.Array]:
  """(codebook, commitment): the last two terms of eq. 3, without beta.

  |sg(z) - e|^2 moves the codes, |z - sg(e)|^2 moves z; means over [..., d].
  """
  fixed = jax.lax.stop_gradient
  codebook = ((quantised - fixed(z)) ** 2).mean()
  return codebook, ((fixed(quantised) - z) ** 2).mean()


def perplexity(ids: jax.Array, k: int) -> jax.Array:
  """exp of the entropy of how codes are used; k if all are used equally.

  Args:
    ids: [...] codes.
    k: number of codes.

  Returns:
    a scalar.
  """
  share = jnp.bincount(ids.ravel(), length=k) / ids.size
  return jnp.exp(-jnp.sum(share * jnp.log(share + 1e-10)))


def baselines(
  target: jax.Array, visible: jax.Array, k: int
) -> dict[str, jax.Array]:
  """Accuracies of predicting codes without looking at an image.

  Args:
    target: [b, m] codes to be predicted.
    visible: [b, n] codes of the rest of each image, -1 where there is none.
    k: number of codes.

  Returns:
    commonest_token: of always predicting the commonest of all target codes;
    visible_token: of predicting the commonest visible code of each image.
  """
  share = jnp.bincount(target.ravel(), length=k).max() / target.size
  # How often the code of each visible place occurs among the visible ones.
  equal = (visible[:, :, None] == visible[:, None]) & (visible >= 0)[:, None]
  place = equal.sum(-1).argmax(1, keepdims=True)
  right = target == jnp.take_along_axis(visible, place, axis=1)
  return {"commonest_token": share, "visible_token": right.mean()}


def statistics(
  z: jax.Array, ids: jax.Array, k: int
) -> tuple[jax.Array, jax.Array]:
  """Counts and sums of the vectors of each code.

  Args:
    z: [..., d] vectors.
    ids: [...] their nearest codes.
    k: number of codes.

  Returns:
    count [k], sum of the vectors [k, d]; float32.
  """
  z = z.reshape(-1, z.shape[-1]).astype(jnp.float32)
  count = jnp.zeros(k).at[ids.ravel()].add(1.0)
  return count, jnp.zeros((k, z.shape[-1])).at[ids.ravel()].add(z)


def update(
  old: tuple[jax.Array, jax.Array],
  new: tuple[jax.Array, jax.Array],
  codes: jax.Array,
  decay: float,
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """A codebook that follows the means of its vectors (appendix A.1).

      N_k <- d N_k + (1 - d) n_k           n_k: how many vectors
      m_k <- d m_k + (1 - d) sum_j z_kj    their sum
      e_k  = m_k / N_k

  A code that is no longer used (N_k below 1e-5) stays where it is.

  Args:
    old: (N [k], m [k, d]), at the start (1, code).
    new: `statistics` of this batch.
    codes: [k, d] so far.
    decay: d.

  Returns:
    new N, new m, codes [k, d].
  """
  n, m = (decay * a + (1 - decay) * b for a, b in zip(old, new, strict=True))
  used = (n > 1e-5)[:, None]
  return n, m, jnp.where(used, m / jnp.where(used, n[:, None], 1.0), codes)


def picked(
  z: jax.Array, pick: jax.Array, row: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Vectors chosen from a whole batch, as far as its part at hand has them.

  Args:
    z: [b, h, w, d] of the part.
    pick: [k] numbers of vectors of the batch, place by place in raster order.
    row: [b] numbers of the part's examples in the batch.

  Returns:
    [k] 1 where the vector is here, else 0; and [k, d] those vectors, else 0.
  """
  z = z.reshape(len(z), -1, z.shape[-1])
  example, place = jnp.divmod(pick, z.shape[1])
  same = example[:, None] == row
  here = same.any(1).astype(jnp.float32)
  return here, z[same.argmax(1), place] * here[:, None]


def restart(
  state: tuple[jax.Array, jax.Array, jax.Array],
  candidates: jax.Array,
  least: float,
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """Codes used less often than `least` start again at vectors of the batch.

  Args:
    state: (N, m, codes) of `update`.
    candidates: [k, d] vectors of the batch.
    least: bound of N, the moving average of a code's uses in a batch.

  Returns:
    the new state; N of those that start again is `least`.
  """
  n, m, codes = state
  dead = n < least
  where_dead = lambda new, old: jnp.where(dead[:, None], new, old)
  return (
    jnp.where(dead, least, n),
    where_dead(least * candidates, m),
    where_dead(candidates, codes),
  )
