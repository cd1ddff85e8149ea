"""Shifts of a thing and words in the place of others."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method
from jmim.core import randomness
from jmim.data.procedural import described
from jmim.methods.parts import drag
from jmim.nn import ellipses as forms


def scenes(n=24):
  """[n, 3, 5]: two things that do not touch, and none."""
  rows = [described.draw_blobs(np.random.default_rng(i)) for i in range(n)]
  found = [[t.ellipse for t in row] + [np.zeros(5, "f4")] for row in rows]
  return jnp.asarray(np.array(found))


def drawn(one, n=24):
  """Shifts [n, 2] of the scenes."""
  each = jax.vmap(lambda i: one.draw(randomness.Keys(jax.random.key(i))))
  draws = jax.jit(each)(jnp.arange(n))
  return jax.jit(one.shift)({"ellipses": scenes(n)}, draws)


@pytest.mark.parametrize("which", [0, 1])
def test_a_drawn_shift_leaves_things_apart_and_in_the_picture(which):
  one = drag.Drag(which=which, least=0.2)
  by = np.asarray(drawn(one))
  length = np.linalg.norm(by, axis=-1)
  number = one.number({"ellipses": scenes()})
  moved = forms.moved(scenes(), number, jnp.asarray(by))
  half = np.asarray(forms.extent(moved[:, which]))
  middle = np.asarray(moved[:, which, :2])
  assert (middle - half >= -1e-6).all() and (middle + half <= 1 + 1e-6).all()
  masks = np.asarray(forms.inside(moved[:, :2], 64))
  apart = ~(masks[:, 0] & masks[:, 1]).any((1, 2))
  # Small pictures with large things have no such place now and then.
  fine = (length >= 0.2) & apart
  assert fine.mean() > 0.85 and len(np.unique(by[:, 0])) == len(by)
  others = np.delete(np.arange(3), which)
  np.testing.assert_array_equal(moved[:, others], scenes()[:, others])


def test_a_shift_that_is_given_is_that_of_all():
  one = drag.Drag(by=(0.25, -0.5))
  assert one.draw(randomness.Keys(jax.random.key(0))) == {}
  by = one.shift({"ellipses": scenes(3)}, {})
  np.testing.assert_array_equal(by, [[0.25, -0.5]] * 3)


def test_a_stored_drag_brings_each_pictures_own_thing_to_its_place():
  one = drag.Drag(stored=True)
  to = np.array([[0.2, 0.7], [0.6, 0.1], [0.5, 0.5]], np.float32)
  batch = {
    "ellipses": scenes(3),
    "dragged": jnp.array([1, 0, 1]),
    "drag_to": jnp.asarray(to),
  }
  assert one.draw(randomness.Keys(jax.random.key(0))) == {}
  number = one.number(batch)
  moved = forms.moved(scenes(3), number, one.shift(batch, {}))
  rows = np.arange(3)
  np.testing.assert_allclose(moved[rows, [1, 0, 1], :2], to, atol=1e-6)
  still = rows, np.array([0, 1, 0])
  np.testing.assert_array_equal(moved[still], scenes(3)[still])
  assert one.inputs(2)["dragged"].high == 2 and drag.Drag().inputs(2) == {}


def test_words_in_the_place_of_others_are_filled_up():
  tokens = jnp.arange(10).reshape(2, 5)
  batch = {"tokens": tokens, "thing_tokens": tokens.reshape(2, 1, 5)}
  own = drag.Description()
  assert own.told(batch) is batch
  told = drag.Description(words=(7,), caption=(3, 2), pad=9).told(batch)
  np.testing.assert_array_equal(told["thing_tokens"], [[[7, 9, 9, 9, 9]]] * 2)
  np.testing.assert_array_equal(told["tokens"], [[3, 2, 9, 9, 9]] * 2)


def test_what_does_not_go_together_is_named():
  with pytest.raises(ValueError, match="drag.which=2 of 2"):
    drag.Drag(which=2).check(2)
  with pytest.raises(ValueError, match="drag.by="):
    drag.Drag(by=(1.0,)).check(2)
  for own in (dict(which=1), dict(by=(0.1, 0.0))):
    with pytest.raises(ValueError, match="with drag.stored"):
      drag.Drag(stored=True, **own).check(2)
  drag.Drag().check(1)


def reads(length=3, high=9, **tokens):
  ids = lambda *shape, **more: method.Input(shape, jnp.int32, high, **more)
  return {"tokens": ids(length, **tokens), "thing_tokens": ids(2, 1)}


@pytest.mark.parametrize(
  "fields, told, said",
  [
    (dict(words=(1, 2)), {}, r"description.words \(1, 2\): 1 tokens"),
    (dict(words=(1,), caption=(1, 2, 3, 4)), {}, r"caption .*: 3 tokens"),
    (dict(caption=(1,)), {}, "without description.words"),
    (dict(words=(9,)), {}, "description.words .* tokens are 0 to 8"),
    (dict(words=(1,), caption=(9,)), {}, "caption .* tokens are 0 to 8"),
    (dict(words=(1,), pad=9), {}, "pad 9: tokens are 0 to 8"),
    (dict(words=(1,)), dict(holds=(1, 2)), "caption .* without 1"),
    (
      dict(words=(1,), caption=(1, 2), pad=3),
      dict(closes=(2, 0)),
      r"pad 3: ends with 3, and texts with one of \(2, 0\)",
    ),
  ],
)
def test_what_a_model_could_not_be_told_is_named(fields, told, said):
  with pytest.raises(ValueError, match=said):
    drag.Description(**fields).check(reads(**told))


def test_what_a_model_can_be_told():
  drag.Description().check(reads(holds=(1, 2), closes=(2, 0)))
  text = drag.Description(words=(1,), caption=(1, 2))
  text.check(reads(holds=(1, 2), closes=(2, 0)))
  text.check(reads(2, holds=(1, 2), closes=(2, 0)))  # none is left to fill up
  text.check({n: method.Input(x.shape) for n, x in reads().items()})
