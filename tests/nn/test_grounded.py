"""Blocks that are told of things: closed, limited, and masked."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import tree as trees
from jmim.nn import attention
from jmim.nn import context_block
from jmim.nn import ellipses
from jmim.nn import grounded
from jmim.nn import hooks
from jmim.nn import spatial

RNG = np.random.default_rng(0)
SIDE, K, L = 4, 2, 3
normal = lambda *shape: RNG.normal(size=shape).astype(np.float32)
# Two that do not touch, and a corner that neither holds.
ELLIPSES = np.array(
  [[0.25, 0.25, 0.2, 0.2, 0.0], [0.6, 0.75, 0.3, 0.2, 0.1]], np.float32
)
PLACES = np.stack([np.asarray(ellipses.inside(ELLIPSES, SIDE))] * 2)
THINGS = grounded.Things(
  context=normal(2, 5, 6),
  tokens=normal(2, K, 6),
  words=normal(2, K, L, 6),
  said=np.array([[[True, True, False], [True, False, False]]] * 2),
  places=PLACES,
)
X = normal(2, SIDE * SIDE, 8)


def gates(params, value):
  """The same with all gates at a value."""
  named = trees.named(params)
  own = {n: jnp.full_like(x, value) for n, x in named.items() if "gate_" in n}
  assert own
  return trees.nested(named | own)


def test_closed_a_block_is_the_one_without_things_bit_for_bit(fill):
  block = grounded.Block(heads=2)
  params = gates(fill(block, X, THINGS)["params"], 0.0)
  y, found = block.apply({"params": params}, X, THINGS)
  plain = context_block.Block(heads=2)
  known = fill(plain, X, THINGS.context)["params"]
  shared = {name: params[name] for name in known}
  wanted, taps = plain.apply({"params": shared}, X, THINGS.context)
  np.testing.assert_array_equal(y, wanted)
  np.testing.assert_array_equal(found["cross"], taps["cross"])
  opened, _ = block.apply({"params": gates(params, 0.5)}, X, THINGS)
  assert np.abs(opened - wanted).max() > 0.1


def test_words_are_read_within_their_ellipse_alone(fill):
  """Other words of a thing change its places, and no other one."""
  block = grounded.Block(heads=2)
  params = gates(fill(block, X, THINGS)["params"], 0.5)
  run = jax.jit(
    lambda things: block.apply({"params": params}, X, things)[1]["cross"]
  )
  first = run(THINGS)
  other = THINGS.words.copy()
  other[:, 1] += 1.0
  change = np.abs(run(THINGS._replace(words=other)) - first).max(-1)
  held = PLACES[:, 1].reshape(2, -1)
  assert (change[held] > 1e-4).all() and (change[~held] == 0).all()
  unsaid = THINGS.words.copy()
  unsaid[:, :, 2] += 1.0
  np.testing.assert_array_equal(run(THINGS._replace(words=unsaid)), first)


def seen_by(block, params, things, *, module):
  """Attention [b, heads, t, s] of the last call of a module."""
  with hooks.seen(f"*{module}/attend") as calls:
    block.apply({"params": params}, X, things)
  (found,) = calls.values()
  call = found[-1]
  q, k, _ = call.args
  return np.asarray(attention.probabilities(q, k, **call.kwargs))


class Outer(spatial.nn.Module):
  """Gives the block a name."""

  block: spatial.nn.Module

  @spatial.nn.compact
  def __call__(self, x, things):
    return self.block(x, things)


def test_attention_to_words_is_0_outside_of_their_ellipse(fill):
  net = Outer(grounded.Block(heads=2))
  params = gates(fill(net, X, THINGS)["params"], 0.5)
  mass = seen_by(net, params, THINGS, module="cross")
  mass = mass.reshape(2, 2, SIDE * SIDE, K, L)
  held = PLACES.reshape(2, K, -1).swapaxes(1, 2)
  some = held.any(-1)
  outside = some[..., None] & ~held
  for head in range(2):
    assert (mass[:, head].sum(-1)[outside] == 0).all()
    assert (mass[:, head][..., 2][some] == 0).all()  # no word
    total = mass[:, head].sum((-1, -2))[some]
    np.testing.assert_allclose(total, 1, atol=1e-5)
  assert outside.any() and (~some).any()


def test_masking_parts_a_thing_from_what_is_outside():
  places = PLACES.reshape(2, K, -1)
  n = places.shape[-1]
  bias = np.asarray(grounded.masking(places))[:, 0]
  seen = bias == 0
  np.testing.assert_array_equal(seen, seen.swapaxes(1, 2))
  assert seen[:, :n, :n].all()
  np.testing.assert_array_equal(seen[:, n:, :n], places)
  np.testing.assert_array_equal(seen[:, n:, n:], [np.eye(K, dtype=bool)] * 2)
  # One that holds no place sees itself, so that no row is empty.
  none = np.asarray(grounded.masking(np.zeros_like(places)))[:, 0] == 0
  assert none.any(-1).all()
  q, k = normal(2, 1, n + K, 4), normal(2, 1, n + K, 4)
  mass = np.asarray(attention.probabilities(q, k, bias[:, None]))[:, 0]
  assert (mass[:, n:, :n][~places] == 0).all()
  assert (mass[:, :n, n:][~places.swapaxes(1, 2)] == 0).all()
  free = np.asarray(attention.probabilities(q, k))[:, 0]
  assert free[:, n:, :n][~places].min() > 0


def test_masks_of_ones_are_no_masks_between_things_and_places():
  """One thing that holds all places: nothing is masked at all."""
  everywhere = np.ones((2, 1, SIDE * SIDE), bool)
  assert (np.asarray(grounded.masking(everywhere)) == 0).all()


def test_a_token_of_each_thing_and_one_of_none(fill):
  net = grounded.Tokens(width=6, hidden=8, waves=2)
  text = normal(2, K, 5)
  boxes = np.stack([ELLIPSES] * 2)
  variables = fill(net, boxes, text)
  found = net.apply(variables, boxes, text)
  assert found.shape == (2, K, 6)
  moved = boxes + np.float32([0.1, 0, 0, 0, 0])
  assert np.abs(net.apply(variables, moved, text) - found).min(0).max() > 1e-3
  turned = boxes + np.float32([0, 0, 0, 0, np.pi])
  np.testing.assert_allclose(
    net.apply(variables, turned, text), found, atol=1e-4
  )
  gone = boxes.copy()
  gone[:, 1] = 0
  none = net.apply(variables, gone, text)
  np.testing.assert_allclose(none[:, 0], found[:, 0], atol=1e-6)
  other = net.apply(variables, gone, text + 1)
  np.testing.assert_allclose(none[:, 1], other[:, 1], atol=1e-6)
  np.testing.assert_allclose(none[0, 1], none[1, 1], atol=1e-6)


@pytest.mark.parametrize("factor", [2, 4])
def test_on_a_coarser_map_a_place_is_in_if_any_of_its_cells_is(fill, factor):
  block = grounded.Block(heads=2, factor=factor)
  x = X[:, : (SIDE // factor) ** 2]
  params = gates(fill(block, x, THINGS)["params"], 0.5)
  run = lambda t: block.apply({"params": params}, x, t)[1]["cross"]
  other = THINGS.words.copy()
  other[:, 0] += 1.0
  change = np.abs(run(THINGS._replace(words=other)) - run(THINGS)).max(-1)
  held = np.asarray(ellipses.coarser(PLACES[:, 0], factor)).reshape(2, -1)
  np.testing.assert_array_equal(change > 1e-4, held)
