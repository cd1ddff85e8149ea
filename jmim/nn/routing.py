"""Which experts of a mixture see which token, and how evenly they do.

Token choice (DeepSeekMoE, Dai et al. 2024): s = softmax of the router's logits,
a token goes to the k experts with the largest s, whose outputs are weighted by
it. The balance loss is that of Switch Transformers (Fedus et al. 2021).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Routing(NamedTuple):
  """Which experts see which token.

  Attributes:
    scores: [..., e] float32 softmax over experts.
    chosen: [..., k] int32 experts, the best first.
    weights: [..., k] their scores, or those over their sum.
  """

  scores: jax.Array
  chosen: jax.Array
  weights: jax.Array


def route(logits: jax.Array, k: int, normalise: bool = False) -> Routing:
  """The k experts of each token, from logits [..., e].

  Args:
    logits: of the router.
    k: experts of a token.
    normalise: weights sum to 1; of a single expert (k 1) they never do.
  """
  scores = jax.nn.softmax(logits.astype(jnp.float32), axis=-1)
  weights, chosen = jax.lax.top_k(scores, k)
  if normalise and k > 1:
    weights = weights / weights.sum(-1, keepdims=True)
  return Routing(scores, chosen, weights)


def load(chosen: jax.Array, experts: int) -> jax.Array:
  """[e] shares of all assignments [..., k] that go to each expert."""
  return jax.nn.one_hot(chosen.reshape(-1), experts).mean(0)


def ranks(ids: jax.Array, experts: int) -> jax.Array:
  """[..., m] how many of ids [..., m] before each are of the same expert."""
  seen = jnp.cumsum(jax.nn.one_hot(ids, experts, dtype=jnp.int32), axis=-2)
  return jnp.take_along_axis(seen, ids[..., None], axis=-1)[..., 0] - 1


def balance(
  routing: Routing, per_example: bool = False, valid: jax.Array | None = None
) -> jax.Array:
  """E sum_e share_e P_e, P_e the mean score: 1 if either is uniform.

  The shares are constants: the gradient flows through the scores alone.

  Args:
    routing: of all tokens [..., e].
    per_example: shares and scores are of each entry of the first axis, and
      the result is the mean over them.
    valid: [...] bool, the tokens that count; None: all.
  """
  if per_example:
    each = lambda routing, valid: balance(routing, valid=valid)
    return jax.vmap(each, (0, None if valid is None else 0))(
      routing, valid
    ).mean()
  experts = routing.scores.shape[-1]
  scores = routing.scores.reshape(-1, experts)
  if valid is None:
    share, mean = load(routing.chosen, experts), scores.mean(0)
  else:
    w = valid.reshape(-1, 1).astype(scores.dtype)
    w = w / jnp.maximum(w.sum(), 1)
    mean = (w * scores).sum(0)
    each = jax.nn.one_hot(routing.chosen, experts).mean(-2)
    share = (w * each.reshape(-1, experts)).sum(0)
  return experts * (jax.lax.stop_gradient(share) * mean).sum()


def entropy(scores: jax.Array, valid: jax.Array | None = None) -> jax.Array:
  """Mean over tokens of the entropy of scores [..., e], in nats.

  Args:
    scores: of each token.
    valid: [...] bool, the tokens that count; None: all.
  """
  each = jax.scipy.special.entr(scores).sum(-1)
  return each.mean() if valid is None else each.mean(where=valid)
