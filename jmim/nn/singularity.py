"""How unlike the visible tokens of an image its masked ones are.

The equations are an instantiation of names and aims of MTO (Choi et al. 2024),
whose text could not be read; see `methods.mim.mto`.

Letters: b batch, n patches, of which some are masked (`hidden` is 1 there), w
width; m a masked, v a visible patch.
"""

import jax
import jax.numpy as jnp

from jmim.nn import norm

# Added to a float32 logit: exp of it is exactly 0.
BLOCKED = -1e9


def cosines(x: jax.Array) -> jax.Array:
  """[..., n, w] -> [..., n, n] cosines; no gradient flows to the columns."""
  u = norm.unit(x)
  return jnp.einsum("...nw,...mw->...nm", u, jax.lax.stop_gradient(u))


def entropy(cos: jax.Array, hidden: jax.Array, tau: float) -> jax.Array:
  """-sum_v P log P / log |V| with P = softmax over v of cos / tau.

  1: no visible patch is preferred; 0: one is chosen.

  Args:
    cos: [..., b, n, n] of `cosines`.
    hidden: [b, n], 1 = masked.
    tau: temperature.

  Returns:
    [..., b, n] in 0 .. 1, of every row; 0 where one patch is visible.
  """
  seen = hidden[:, None] == 0
  logits = jnp.where(seen, cos / tau, jnp.finfo(jnp.float32).min)
  log_p = jnp.where(seen, jax.nn.log_softmax(logits), 0.0)
  total = -(jnp.where(seen, jnp.exp(log_p), 0.0) * log_p).sum(-1)
  most = jnp.log(jnp.maximum(seen.sum(-1), 1))
  return total / jnp.maximum(most, 1e-6)


def _pairs(values, hidden):
  """[..., b] mean of [..., b, n, n] over masked rows and visible columns."""
  weight = hidden[:, :, None] * (1 - hidden)[:, None]
  total = weight.sum((-2, -1))
  return (values * weight).sum((-2, -1)) / jnp.maximum(total, 1)


def heterogeneity(cos: jax.Array, hidden: jax.Array) -> jax.Array:
  """[..., b] 1 - mean over m, v of the cosine; arguments as of `entropy`."""
  return 1 - _pairs(cos, hidden)


def interaction(cos: jax.Array, hidden: jax.Array) -> jax.Array:
  """[..., b] mean over m, v of relu(cosine)^2; arguments as of `entropy`."""
  return _pairs(jnp.maximum(cos, 0) ** 2, hidden)


def row_entropy(cos: jax.Array, hidden: jax.Array, tau: float) -> jax.Array:
  """[..., b] mean over m of `entropy`."""
  values = entropy(cos, hidden, tau) * hidden
  return values.sum(-1) / jnp.maximum(hidden.sum(-1), 1)


def likeness(
  token: jax.Array, patches: jax.Array, hidden: jax.Array
) -> jax.Array:
  """[b] mean over v of relu(cos(mask token, patch v))^2.

  No gradient flows to the patches.

  Args:
    token: broadcasts to [w]: the mask token.
    patches: [b, n, w] embedded, without positions.
    hidden: [b, n], 1 = masked.
  """
  u = norm.unit(jax.lax.stop_gradient(patches))
  cos = u @ norm.unit(token.reshape(-1))
  seen = 1 - hidden
  square = jnp.maximum(cos, 0) ** 2 * seen
  return square.sum(-1) / jnp.maximum(seen.sum(-1), 1)


def recalibration(
  normed: jax.Array, hidden: jax.Array, count: jax.Array, tau: float
) -> jax.Array:
  """Keeps the masked patches that say least out of what visible ones read.

  Args:
    normed: [b, t, w] what attention reads; the t - n tokens before the patches
      (cls) count as visible readers.
    hidden: [b, n], 1 = masked.
    count: of the masked patches, those of highest entropy, that are blocked.
    tau: temperature of the entropy.

  Returns:
    [b, 1, t, t] float32 bias: BLOCKED in rows of visible and columns of
    blocked tokens, else 0. No gradient flows through the choice.
  """
  first = normed.shape[1] - hidden.shape[1]
  cos = cosines(jax.lax.stop_gradient(normed[:, first:]))
  score = jnp.where(hidden > 0, entropy(cos, hidden, tau), -1.0)
  rank = jnp.argsort(jnp.argsort(-score, axis=1), axis=1)
  pad = lambda x: jnp.pad(x, ((0, 0), (first, 0)))
  blocked = pad((hidden > 0) & (rank < count))
  reader = pad(hidden) == 0
  return jnp.where(reader[:, :, None] & blocked[:, None], BLOCKED, 0.0)[:, None]
