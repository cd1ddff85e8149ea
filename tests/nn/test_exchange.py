"""Tokens that travel: what any number of turns computes is the same."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.cost import hlo_cost
from jmim.nn import exchange

P = jax.sharding.PartitionSpec
E, K, D, H, N = 8, 2, 6, 10, 64  # N tokens, 8 of a device
AXES = ("data", "expert")


def swiglu(x, w):
  return (jax.nn.silu(x @ w["gate"]) * (x @ w["up"])) @ w["down"]


def alone(x, ids, w):
  """[n k, d]: row by row, no device knows of another."""
  rows, w = jnp.repeat(x, K, 0), jax.tree.map(jnp.asarray, w)
  return jax.vmap(lambda row, e: swiglu(row, {n: m[e] for n, m in w.items()}))(
    rows, ids
  )


@functools.cache
def travelled(room):
  """The same on 2 x 4 devices, four of experts; compiled once."""
  mesh = jax.make_mesh(
    (2, 4), AXES, axis_types=(jax.sharding.AxisType.Auto,) * 2
  )
  own = exchange.Exchange(axis="expert", axes=AXES, shards=4, experts=E, k=K)
  spec = (P(AXES), P(AXES), P("expert"))
  run = jax.shard_map(
    own, mesh=mesh, in_specs=spec, out_specs=P(AXES), check_vma=False
  )
  del room  # part of the key: `ROOM` is read while tracing
  loss = lambda x, ids, w, c: (c * run(x, ids, w)).sum()
  return jax.jit(run), jax.jit(jax.grad(loss, (0, 2)))


@pytest.fixture(scope="module")
def given(normal):
  w = {"gate": (E, D, H), "up": (E, D, H), "down": (E, H, D)}
  return normal(N, D), {n: normal(*shape) for n, shape in w.items()}


def chosen(how):
  rng = np.random.default_rng(0)
  if how == "one":  # all to one expert: the fullest block there can be
    return np.full(N * K, 5, np.int32)
  if how == "even":
    return np.arange(N * K, dtype=np.int32) % E
  return rng.integers(0, E, N * K).astype(np.int32)


@pytest.mark.parametrize("how", ["one", "even", "random"])
@pytest.mark.parametrize("room", [0.25, 1.25, 100.0])
def test_values_and_gradients_are_those_of_one_device(
  given, normal, monkeypatch, room, how
):
  (x, w), ids = given, chosen(how)
  monkeypatch.setattr(exchange, "ROOM", room)
  run, grad = travelled(room)
  np.testing.assert_allclose(
    run(x, ids, w), alone(x, ids, w), rtol=1e-5, atol=1e-4
  )
  c = normal(N * K, D)
  wanted = jax.grad(lambda x, w: (c * alone(x, ids, w)).sum(), (0, 1))(x, w)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4),
    grad(x, ids, w, c),
    wanted,
  )


def test_blocks_are_as_large_as_the_room_and_never_more_than_all():
  own = exchange.Exchange(axis="e", axes=("e",), shards=4, experts=8, k=2)
  assert own.slots(256) == 40  # 1.25 x 256 / 8
  assert own.slots(3) == 1


def test_what_is_counted_is_the_first_turn(given, monkeypatch):
  monkeypatch.setattr(exchange, "ROOM", 1.25)
  (x, w), ids = given, chosen("even")
  run, _ = travelled(1.25)
  text = run.lower(x, ids, w).compile().as_text()
  cost = hlo_cost.cost(text, devices=8)
  slots = 3  # ceil(1.25 x 16 rows / 8 experts)
  rows = 4 * slots * 2  # of four devices, for both experts of this one
  assert cost.flops == 3 * 2 * rows * D * H
  # Forth and back, three quarters of the blocks leave a device.
  assert cost.sent()["all-to-all"] == 2 * 0.75 * E * slots * D * 4


def test_a_permutation_is_undone_by_its_transpose():
  places = exchange.Places(
    to=jnp.array([2, 6, 0, 3]), source=jnp.array([2, 4, 0, 3, 4, 4])
  )
  x = jnp.array([[1.0], [10.0]])  # two rows each
  blocks, pull = jax.vjp(lambda x: exchange.filled(x, places, 2), x)
  np.testing.assert_array_equal(blocks[:, 0], [10, 0, 1, 10, 0, 0])
  np.testing.assert_array_equal(pull(jnp.arange(6.0)[:, None])[0], [[2], [3]])
  rows, pull = jax.vjp(
    lambda b: exchange.read(b, places), jnp.arange(6.0)[:, None]
  )
  np.testing.assert_array_equal(rows[:, 0], [2, 0, 0, 3])  # none: zero
  back = pull(jnp.array([[1.0], [2.0], [3.0], [4.0]]))[0]
  np.testing.assert_array_equal(back[:, 0], [3, 0, 1, 4, 0, 0])
