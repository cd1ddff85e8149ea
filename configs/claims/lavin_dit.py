"""LaVin-DiT: the task is read from pairs of pictures.

Six tasks at 16 px, four pairs at most, 2500 steps; what is measured are squared
errors of answers to held-out queries.

Exact, without training (a hidden context is a shorter one: in the tests):

A. What a fresh network gives: 0.
B. Two pairs change places: greatest change of the velocity, of a network
   without positions, and of the same with them.
C. Heads of queries that share keys, against as many heads of keys with equal
   weights (plain attention): greatest difference.

Trained:

1. Error with pairs of the query's task over that with pairs of another, made of
   the same pictures: at most 0.8. The card has 0.5.
2. Error with four pairs over that with one: at most 1.02 (pairs do not hurt).
3. On pictures whose two colours training never had in one picture, the error
   over that of copying the query: at most 0.9.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import field
from jmim.core import tree as trees
from jmim.methods.latent import lavin_dit
from jmim.tools import claims

RIGHT, WRONG, ONE = "errors/right", "errors/wrong", "errors/pairs_1"
NEW, NEW_COPY = "errors/new", "errors/new_copy"
LEAN = ("evals.solved=None",)


def given() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Noisy targets, times, and contexts of two pairs and a query."""
  rng = np.random.default_rng(0)
  normal = lambda *shape: rng.normal(size=shape).astype(np.float32)
  return normal(2, 1, 8, 8, 3), np.float32([0.2, 0.9]), normal(2, 5, 8, 8, 3)


@functools.cache
def of_tiny() -> tuple[float, float, float, float]:
  """A, B without and with positions, C."""
  m, rng = lavin_dit.LaVinDiT.tiny(), np.random.default_rng(1)
  x, t, context = given()
  bare = field.replace(m, dims=dict(theta=0.0))
  plain = field.replace(m, dims=dict(kv_group=1))
  fresh = m.net.init(jax.random.key(0), x, t, context)["params"]
  filled = {
    name: (0.4 * rng.normal(size=a.shape)).astype(np.float32)
    for name, a in trees.named(fresh).items()
  }

  def spread(name, a):
    """Keys, values and their norms, for each head of queries."""
    if not {"k", "v", "k_norm"} & set(name.split("/")):
      return a
    heads = a.reshape(*a.shape[:-1], -1, m.dims.head)
    return heads.repeat(m.dims.kv_group, -2).reshape(*a.shape[:-1], -1)

  full = trees.nested({name: spread(name, a) for name, a in filled.items()})
  params = trees.nested(filled)

  def velocity(m, params, context=context):
    return m.network({"main": params}, x, t, jnp.asarray(context))

  most = lambda a: float(jnp.abs(a).max())
  moved = context[:, np.array([2, 3, 0, 1, 4])]
  swapped = lambda m: velocity(m, params) - velocity(m, params, moved)
  return (
    most(velocity(m, fresh)),
    most(swapped(bare)),
    most(swapped(m)),
    most(velocity(plain, full) - velocity(m, params)),
  )


EXACT = (
  ("A: what a fresh network gives", dict(at_most=0.0)),
  ("B: pairs change places, no positions", dict(at_most=1e-4)),
  ("B: pairs change places, positions", dict(at_least=1e-4)),
  ("C: shared keys, off plain attention", dict(at_most=1e-4)),
)


def get_claim() -> claims.Claim:
  return claims.Claim(
    runs={"ours": claims.Run("configs/lavin_dit_shapes.py", LEAN)},
    conditions=(
      *(
        claims.Condition(text=text, value=lambda r, i=i: of_tiny()[i], **limit)
        for i, (text, limit) in enumerate(EXACT)
      ),
      claims.Condition(
        text="1: error of answers, pairs of the task / of another",
        value=lambda r: r["ours"][RIGHT] / r["ours"][WRONG],
        at_most=0.8,
      ),
      claims.Condition(
        text="2: error of answers, four pairs / one",
        value=lambda r: r["ours"][RIGHT] / r["ours"][ONE],
        at_most=1.02,
      ),
      claims.Condition(
        text="3: error on new pairs of colours, answers / copies",
        value=lambda r: r["ours"][NEW] / r["ours"][NEW_COPY],
        at_most=0.9,
      ),
    ),
    metrics=(RIGHT, WRONG, ONE, NEW, NEW_COPY),
  )
