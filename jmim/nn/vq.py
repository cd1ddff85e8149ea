"""Vector quantisation: nearest codes, both losses, moving-average codebooks.

van den Oord et al. 2017; the losses as in taming-transformers@3ba01b2.
"""

import jax
import jax.numpy as jnp


def nearest(x: jax.Array, codes: jax.Array) -> jax.Array:
  """[..., d] vectors, [k, d] codes -> [...] int32, the closest code."""
  x = x.astype(jnp.float32)
  far = (codes**2).sum(-1) - 2 * x @ codes.T  # |x - c|^2 - |x|^2
  return jnp.argmin(far, axis=-1)


def uniform_codes(key: jax.Array, k: int, d: int) -> jax.Array:
  """[k, d] ~ U(-1/k, 1/k)."""
  return jax.random.uniform(key, (k, d), minval=-1 / k, maxval=1 / k)


def straight_through(z: jax.Array, quantised: jax.Array) -> jax.Array:
  """The quantised values, with the gradient of z."""
  return z + jax.lax.stop_gradient(quantised - z)


def losses(z: jax.Array, quantised: jax.Array) -> tuple[jax.Array, jax.Array]:
  """(codebook, commitment): what moves the codes, and what moves z."""
  fixed = jax.lax.stop_gradient
  codebook = ((quantised - fixed(z)) ** 2).mean()
  return codebook, ((fixed(quantised) - z) ** 2).mean()


def perplexity(ids: jax.Array, k: int) -> jax.Array:
  """exp of the entropy of the codes' use; k if all are used alike."""
  share = jnp.bincount(ids.ravel(), length=k) / ids.size
  return jnp.exp(-jnp.sum(share * jnp.log(share + 1e-10)))


def guesses(
  wanted: jax.Array, known: jax.Array, k: int
) -> dict[str, jax.Array]:
  """Accuracies of naming codes without looking at an image.

  Args:
    wanted: [b, m] codes to be named.
    known: [b, n] codes of the rest of each image, -1 where there is none.
    k: number of codes.

  Returns:
    commonest_token: of always naming the commonest of all wanted codes;
    visible_token: of naming the commonest known code of each image.
  """
  share = jnp.bincount(wanted.ravel(), length=k).max() / wanted.size
  alike = (known[:, :, None] == known[:, None]) & (known >= 0)[:, None]
  best = alike.sum(-1).argmax(1, keepdims=True)
  right = wanted == jnp.take_along_axis(known, best, axis=1)
  return {"commonest_token": share, "visible_token": right.mean()}


def statistics(
  z: jax.Array, ids: jax.Array, k: int
) -> tuple[jax.Array, jax.Array]:
  """(how often each code was the nearest [k], sum of those vectors [k, d])."""
  z = z.reshape(-1, z.shape[-1]).astype(jnp.float32)
  count = jnp.zeros(k).at[ids.ravel()].add(1.0)
  return count, jnp.zeros((k, z.shape[-1])).at[ids.ravel()].add(z)


def moved(
  old: tuple[jax.Array, jax.Array],
  new: tuple[jax.Array, jax.Array],
  codes: jax.Array,
  decay: float,
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """A codebook that follows the means of its vectors.

      n_k = d n_k + (1 - d) count_k;  m_k likewise;  code_k = m_k / n_k

  A code that is no longer used (n_k below 1e-5) stays where it is.

  Args:
    old: (n [k], m [k, d]), at the start (1, code).
    new: `statistics` of this batch.
    codes: [k, d] so far.
    decay: d.

  Returns:
    new n, new m, codes [k, d].
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


def revived(
  state: tuple[jax.Array, jax.Array, jax.Array],
  candidates: jax.Array,
  least: float,
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """Codes used less often than `least` start again at given vectors.

  Args:
    state: (n, m, codes) of `moved`.
    candidates: [k, d] vectors of the batch.
    least: of n, the moving average of a code's use in a batch.

  Returns:
    the new state; n of those that start again is `least`.
  """
  n, m, codes = state
  dead = n < least
  pick = lambda a, b: jnp.where(dead[:, None], a, b)
  return (
    jnp.where(dead, least, n),
    pick(least * candidates, m),
    pick(candidates, codes),
  )
