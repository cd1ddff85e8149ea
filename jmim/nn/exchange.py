"""Tokens that travel to the devices of their experts and back, none dropped.

Along an axis of the mesh each device holds E / n experts. Every device keeps a
block of places for each expert, `ROOM` times what comes on average, and blocks
are exchanged by all-to-alls (GShard, Lepikhin et al. 2021). What exceeds its
block waits for the next turn; there are as many turns as the fullest block
needs, nearly always one. So nothing is dropped, shapes are static, and memory
and traffic are those of the tokens that there are, not of the worst case.

Tokens are moved by gathers, forwards and backwards: of a permutation both
directions are known. The turns after the first have no forward-mode derivative.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jmim.nn import routing

ROOM = 1.25
# Scope of the turns after the first: `cost.hlo` knows that they are rare.
OVERFLOW = "overflow"
Weights = Mapping[str, jax.Array]  # gate, up [e, d, h]; down [e, h, d]


class Places(NamedTuple):
  """Where rows lie in blocks, in one turn.

  Attributes:
    to: [m] place of each row; one behind the last: it has none.
    source: [s] row in each place; one behind the last: it is empty.
  """

  to: jax.Array
  source: jax.Array


def experts_of(rows: jax.Array, w: Weights) -> jax.Array:
  """SwiGLU of each expert on its own rows [..., e, m, d]."""
  dot = functools.partial(jnp.einsum, "...emi,eij->...emj")
  h = jax.nn.silu(dot(rows, w["gate"])) * dot(rows, w["up"])
  return dot(h, w["down"])


def _rows(a: jax.Array, at: jax.Array) -> jax.Array:
  """a[at], zeros where that is behind the last."""
  return a.at[at].get(mode="fill", fill_value=0)


def filled(x: jax.Array, places: Places, k: int) -> jax.Array:
  """Blocks [s, d] from tokens x [n, d], k rows each."""

  def there(places, x):
    return _rows(x, places.source // k)

  def back(places, blocks):
    return _rows(blocks, places.to).reshape(-1, k, blocks.shape[-1]).sum(1)

  return jax.custom_derivatives.linear_call(there, back, places, x)


def read(blocks: jax.Array, places: Places) -> jax.Array:
  """Rows [m, d] from blocks [s, d]; zeros for a row that has no place."""

  def there(places, blocks):
    return _rows(blocks, places.to)

  def back(places, rows):
    return _rows(rows, places.source)

  return jax.custom_derivatives.linear_call(there, back, places, blocks)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Exchange:
  """How rows travel; inside `shard_map`.

  Attributes:
    axis: of the mesh, over which experts are split.
    axes: all over which tokens or experts are.
    shards: devices along `axis`.
    experts: in all.
    k: rows of a token.
  """

  axis: str
  axes: tuple[str, ...]
  shards: int
  experts: int
  k: int

  def slots(self, rows: int) -> int:
    """Places of an expert's block, of so many rows of a device."""
    return min(math.ceil(ROOM * rows / self.experts), rows)

  def __call__(self, x: jax.Array, ids: jax.Array, w: Weights) -> jax.Array:
    """SwiGLU of expert ids[i] on each row.

    Args:
      x: [n, d] tokens of this device.
      ids: [n k] experts of their rows.
      w: of the experts of this device.

    Returns:
      [n k, d].
    """
    rank = routing.ranks(ids, self.experts)
    last = jax.lax.pmax(rank.max() // self.slots(len(ids)), self.axes)
    y = self.turn(x, w, (ids, rank), 0)
    return y + self.later(x, w, (ids, rank), last)

  def turn(
    self, x: jax.Array, w: Weights, where: tuple[jax.Array, ...], n: Any
  ) -> jax.Array:
    """Rows [m, d] of turn n; zeros for those of another one."""
    ids, rank = where
    slots, d = self.slots(len(ids)), x.shape[-1]
    s = self.experts * slots
    to = jnp.where(rank // slots == n, ids * slots + rank % slots, s)
    source = jnp.full(s, len(ids), jnp.int32)
    source = source.at[to].set(jnp.arange(len(ids)), mode="drop")
    places = Places(to, source)
    blocks = self.travel(filled(x, places, self.k))
    # From blocks of each device, an expert after the other, to experts.
    blocks = blocks.reshape(self.shards, -1, slots, d)
    rows = jnp.swapaxes(blocks, 0, 1).reshape(-1, self.shards * slots, d)
    y = experts_of(rows, w).reshape(-1, self.shards, slots, d)
    y = jnp.swapaxes(y, 0, 1)
    return read(self.travel(y.reshape(s, d)), places)

  def travel(self, blocks: jax.Array) -> jax.Array:
    """Blocks [s, d] to the devices of their experts, or back."""
    return jax.lax.all_to_all(blocks, self.axis, 0, 0, tiled=True)

  def later(
    self, x: jax.Array, w: Weights, where: tuple[jax.Array, ...], last: Any
  ) -> jax.Array:
    """Rows [m, d] of the turns 1 .. last, whose number only the data knows."""

    def summed(turn: Callable[..., Any], start: Any, last: Any) -> Any:
      def body(carry):
        n, total = carry
        return n + 1, jax.tree.map(jnp.add, total, turn(n))

      with jax.named_scope(OVERFLOW):
        more = lambda carry: carry[0] <= last
        return jax.lax.while_loop(more, body, (jnp.int32(1), start))[1]

    @jax.custom_vjp
    def run(x, w, where, last):
      start = jnp.zeros((len(where[0]), x.shape[-1]), x.dtype)
      turn = functools.partial(self.turn, x, w, where)
      return summed(turn, start, last)

    def forward(x, w, where, last):
      return run(x, w, where, last), (x, w, where, last)

    def backward(kept, dy):
      x, w, where, last = kept

      def turn(n):
        _, pull = jax.vjp(lambda x, w: self.turn(x, w, where, n), x, w)
        return pull(dy)

      start = jax.tree.map(jnp.zeros_like, (x, w))
      return *summed(turn, start, last), None, None

    run.defvjp(forward, backward)
    return run(x, w, where, last)
