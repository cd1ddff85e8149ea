import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import runtime
from jmim.nn import liif

H, W, C = 3, 5, 2


@functools.cache
def params(cell=True):
  net = liif.Dims(hidden=(7, 6), cell=cell).net(3, runtime.Runtime())
  at = jnp.zeros((1, 1, 2))
  made = jax.jit(net.init)(jax.random.key(0), jnp.zeros((1, H, W, C)), at, at)
  return made["params"]


@functools.cache
def function(cell=True, ensemble=True):
  dims = liif.Dims(hidden=(7, 6), cell=cell, ensemble=ensemble)
  net = dims.net(3, runtime.Runtime())
  return jax.jit(lambda p, *given: net.apply({"params": p}, *given))


def given(normal, q=9):
  place = np.tanh(normal(2, q, 2, seed=1))
  return normal(2, H, W, C), place, np.abs(normal(2, q, 2, seed=2))


def mlp(x, p):
  for i in range(3):
    x = np.maximum(x, 0) if i else x
    x = x @ np.asarray(p[f"fc{i}"]["kernel"]) + np.asarray(p[f"fc{i}"]["bias"])
  return x


def slow(p, features, place, cell, ensemble=True):
  """The module's equations, one place at a time; cell None: not given."""
  sides = np.array(features.shape[:2])
  shifts = liif.SHIFTS if ensemble else ((0, 0),)
  colours, areas = [], []
  for v in shifts:
    moved = place + np.array(v) / sides + (1e-6 if ensemble else 0)
    moved = np.clip(moved, -1 + 1e-6, 1 - 1e-6)
    # The nearest centre, found by looking at all of them.
    centres = [-1 + (2 * np.arange(n) + 1) / n for n in sides]
    index = [
      np.abs(c - m).argmin() for c, m in zip(centres, moved, strict=True)
    ]
    centre = [c[i] for c, i in zip(centres, index, strict=True)]
    rel = (place - centre) * sides
    seen = [features[tuple(index)], rel]
    seen += [cell * sides] if cell is not None else []
    colours.append(mlp(np.concatenate(seen), p))
    areas.append(abs(rel[0] * rel[1]) + 1e-9)
  return np.average(colours, axis=0, weights=areas[::-1])


@pytest.mark.parametrize("cell, ensemble", [(True, True), (False, False)])
def test_colours_are_those_of_the_equations(cell, ensemble, normal):
  features, place, size = given(normal)
  p = params(cell)
  found = function(cell, ensemble)(p, features, place, size)
  expected = [
    [
      slow(p, f, at, size if cell else None, ensemble=ensemble)
      for at, size in zip(*rows, strict=True)
    ]
    for f, *rows in zip(features, place, size, strict=True)
  ]
  np.testing.assert_allclose(found, expected, atol=2e-5)


def test_weights_are_of_the_opposite_area_and_sum_to_one(normal):
  rel = normal(2, 4, 7, 2)
  weights = np.asarray(liif.opposite_weights(jnp.asarray(rel)))
  np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-6)
  area = np.abs(rel.prod(-1)) + 1e-9
  share = area / area.sum(1, keepdims=True)
  for k, other in enumerate((3, 2, 1, 0)):
    assert np.add(liif.SHIFTS[k], liif.SHIFTS[other]).tolist() == [0, 0]
    np.testing.assert_allclose(weights[:, k], share[:, other], rtol=1e-6)


def test_colours_are_means_wherever_they_are_asked():
  """An MLP of one colour has that colour everywhere, at all borders too."""
  p = jax.tree.map(jnp.zeros_like, params())
  p["fc2"]["bias"] = jnp.asarray([0.3, -1.0, 2.0])
  for sides in ((H, W), (3 * H, 3 * W), (7, 11)):
    place, cell = liif.places(sides)[None], liif.cells(sides)
    found = function()(p, jnp.ones((1, H, W, C)), place, cell)
    wanted = np.broadcast_to(p["fc2"]["bias"], found.shape)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_at_a_centre_the_cell_itself_is_all_that_counts(normal):
  features = normal(2, H, W, C)
  place = np.broadcast_to(liif.places((H, W)), (2, H * W, 2))
  size = np.full((2, H * W, 2), 0.3)
  found = function()(params(), features, place, size)
  flat = features.reshape(2, H * W, C)
  seen = [flat, np.zeros((2, H * W, 2)), size * (H, W)]
  expected = mlp(np.concatenate(seen, -1), params())
  inner = lambda x: np.reshape(x, (2, H, W, 3))[:, :-1, :-1]
  np.testing.assert_allclose(inner(found), inner(expected), atol=1e-5)
  # In the last row it and its right neighbour count alike.
  last = slice((H - 1) * W, H * W - 1)
  near = [flat, np.broadcast_to([0, -2.0], (2, H * W, 2)), size * (H, W)]
  shifted = np.roll(near[0], -1, axis=1)
  beside = mlp(np.concatenate([shifted, *near[1:]], -1), params())
  both = (expected + beside)[:, last] / 2
  np.testing.assert_allclose(found[:, last], both, atol=1e-5)


def test_a_constant_map_shows_where_in_its_cell_a_place_is(normal):
  features = np.broadcast_to(normal(C), (1, H, W, C))

  def render(times):
    sides = (times * H, times * W)
    place, cell = liif.places(sides)[None], liif.cells(sides)
    made = function()(params(), features, place, cell)
    return np.asarray(made).reshape(*sides, 3)

  one = render(1)[:-1, :-1]
  np.testing.assert_allclose(
    one, np.broadcast_to(one[1, 1], one.shape), atol=1e-5
  )
  # Away from the border, where there is no neighbour, a pattern repeats.
  two = render(2)[1:-1, 1:-1]
  np.testing.assert_allclose(two[:-2, :-2], two[2:, 2:], atol=1e-5)
  assert np.abs(two[1:, 1:] - two[:-1, :-1]).max() > 1e-3


def test_places_in_another_order_have_their_colours_in_that_order(normal):
  features, place, size = given(normal)
  order = np.random.default_rng(0).permutation(place.shape[1])
  found = function()(params(), features, place[:, order], size[:, order])
  whole = function()(params(), features, place, size)
  np.testing.assert_allclose(found, whole[:, order], atol=1e-6)


@pytest.mark.parametrize("chunk", [1, 4, 9])
def test_chunks_are_the_whole_and_have_its_gradient(chunk, normal):
  features, place, size = given(normal)
  place = jnp.asarray(place[0])

  def render(p, chunk):
    def query(at):
      both = jnp.broadcast_to(at, (2, *at.shape))
      return function()(p, features, both, jnp.asarray(size[0, 0]))

    return liif.in_chunks(query, place, chunk)

  loss = lambda p, chunk: (render(p, chunk) ** 2).sum()
  both = jax.jit(jax.value_and_grad(loss), static_argnums=1)
  whole, grads = both(params(), len(place))
  found, chunked = both(params(), chunk)
  np.testing.assert_allclose(found, whole, rtol=1e-5)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
    chunked,
    grads,
  )


def test_places_are_centres_of_pixels():
  places = liif.places((2, 4)).reshape(2, 4, 2)
  np.testing.assert_allclose(places[:, 0, 0], [-0.5, 0.5])
  np.testing.assert_allclose(places[0, :, 1], [-0.75, -0.25, 0.25, 0.75])
  np.testing.assert_allclose(liif.cells((2, 4)), [1, 0.5])


def test_places_are_not_rounded_by_accelerators(normal):
  """By default their products have factors of bf16, also of float32."""
  program = str(jax.make_jaxpr(function())(params(), *given(normal)))
  products = [p.split("preferred")[0] for p in program.split("dot_general[")]
  # Of the first layer, and of the mean of four.
  assert ["HIGHEST" in p for p in products[1:]] == [True, False, False, True]
