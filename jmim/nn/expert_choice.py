"""Mixtures of experts in which each expert chooses its tokens.

Zhou et al. 2022, as MicroDiT has it. With P = softmax over E experts of x W:

    K = int(c T / E)          T tokens of the example that are present
    expert e takes the K tokens with the largest P[:, e], and
    y_t = sum of P[t, e] MLP_e(x_t) over the experts that took t

Every expert does equal work, so there is nothing to balance and nothing is
dropped for want of room: a token is taken by none of them up to all. Tokens of
an example compete among themselves only, so results depend neither on the batch
nor on the mesh. K depends on how many tokens are there: with three quarters of
them removed the same capacity c gives a quarter of the places.

Letters: b examples, t tokens, e experts, k their places, d width, f hidden.
"""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import moe
from jmim.nn import recompute

NORMAL = nn.initializers.normal(0.02)


class Choice(NamedTuple):
  """Which tokens each expert takes.

  Attributes:
    scores: [b, t, e] float32 softmax over experts.
    chosen: [b, e, k] int32 tokens of each expert, the best first.
    weights: [b, e, k] float32 their scores.
  """

  scores: jax.Array
  chosen: jax.Array
  weights: jax.Array


def places(tokens: int, experts: int, capacity: float) -> int:
  """K = int(capacity tokens / experts), in Python's double arithmetic.

  The integer part is part of the method: places(9, 4, 2.0) = 4. It may be 0,
  as in the authors' code: such experts give nothing.

  Args:
    tokens: that are present.
    experts: E.
    capacity: experts that a token has on average.

  Raises:
    ValueError: an expert with more tokens than there are.
  """
  count = int(capacity * tokens / experts)
  if count > tokens:
    raise ValueError(
      f"{experts} experts of capacity {capacity:g} take {count} of {tokens} "
      "tokens each: at most all"
    )
  return count


def choose(logits: jax.Array, count: int) -> Choice:
  """The `count` tokens of each expert, from logits [b, t, e]."""
  scores = jax.nn.softmax(logits.astype(jnp.float32), axis=-1)
  weights, chosen = jax.lax.top_k(jnp.swapaxes(scores, 1, 2), count)
  return Choice(scores, chosen, weights)


def taken(chosen: jax.Array, tokens: int) -> jax.Array:
  """[b, t] int32: how many experts take each token of chosen [b, e, k]."""
  rows = chosen.reshape(len(chosen), -1)
  return jax.vmap(lambda ids: jnp.bincount(ids, length=tokens))(rows)


def gathered(
  x: jax.Array,
  choice: Choice,
  experts: Callable[[jax.Array], jax.Array],
) -> jax.Array:
  """The chosen rows, through their experts, added up where they came from.

  Args:
    x: [b, t, d].
    choice: of `choose`.
    experts: [b, e, k, d] -> the same, each by its own network.

  Returns:
    [b, t, d]; 0 for tokens that nobody takes.
  """
  take = jax.vmap(lambda rows, ids: rows[ids])
  y = experts(take(x, choice.chosen))
  y = y * choice.weights[..., None].astype(y.dtype)

  def add(rows, ids):
    zeros = jnp.zeros(x.shape[1:], rows.dtype)
    return zeros.at[ids.reshape(-1)].add(rows.reshape(-1, rows.shape[-1]))

  return jax.vmap(add)(y, choice.chosen)


class ExpertChoice(nn.Module, kw_only=True):
  """GELU experts without biases that choose their tokens, in place of an MLP.

  Attributes:
    experts: E.
    capacity: c, experts that a token has on average.
    hidden: hidden width of an expert.
    out_init: of the experts' second matrices.
    rt: execution choices.
  """

  experts: int
  capacity: float
  hidden: int
  out_init: nn.initializers.Initializer = NORMAL
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self, x: jax.Array, taps: tuple[str, ...] = ()
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """[b, t, d] -> [b, t, d] and the taps asked for.

    Args:
      x: the tokens that are present.
      taps: any of scores [b, t, e]; chosen, weights [b, e, k]; taken [b, t].

    Raises:
      ValueError: see `places`.
    """
    count = places(x.shape[1], self.experts, self.capacity)
    router = nn.Dense(self.experts, False, kernel_init=NORMAL, name="router")
    choice = choose(router(x.astype(jnp.float32)), count)
    up, down = _Experts(
      experts=self.experts,
      hidden=self.hidden,
      out_init=self.out_init,
      rt=self.rt,
      name="experts",
    )(x.shape[-1])

    def networks(slots):
      slots = self._held(slots)
      hidden = recompute.gelu(jnp.einsum("bekd,edf->bekf", slots, up))
      return self._held(jnp.einsum("bekf,efd->bekd", hidden, down))

    y = self.rt.shard(gathered(x, choice, networks))
    tapped = choice._asdict() | {"taken": taken(choice.chosen, x.shape[1])}
    return y, {t: tapped[t] for t in taps}

  def _held(self, slots):
    """By the devices that hold the experts, where the mesh has such an axis."""
    axis, rt = moe.AXIS, self.rt
    if rt.ways(axis) == 1:
      return rt.shard(slots)
    rest = tuple(name for name in rt.batch_axes if name != axis)
    return rt.constrain(slots, rest, axis)


class _Experts(nn.Module, kw_only=True):
  """up [e, d, f] and down [e, f, d]; the mesh axis `expert` splits them."""

  experts: int
  hidden: int
  out_init: nn.initializers.Initializer
  rt: runtime.Runtime

  @nn.compact
  def __call__(self, width: int) -> tuple[jax.Array, jax.Array]:
    shape = (self.experts, width, self.hidden)
    up = moe.Kernel(shape, NORMAL, name="up")()
    shape = (self.experts, self.hidden, width)
    down = moe.Kernel(shape, self.out_init, name="down")()
    return up.astype(self.rt.dtype), down.astype(self.rt.dtype)
