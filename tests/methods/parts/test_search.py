import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from jmim.methods.parts import search

B, TRIALS = 4, 3
DRAWS = np.random.default_rng(0).normal(size=(B, TRIALS, 2)).astype(np.float32)
SKIP, SCALE = (2, 0), (1.0, 3.0)


def value(x, skip, scale):
  """A result [b] of a draw [b, 2]; any function of all."""
  return np.sin(3 * x[:, 0] * scale + skip) + x[:, 1]


def make(skip):
  encode = lambda trial: trial * 1.0
  value_of = lambda x, scale: jnp.sin(3 * x[:, 0] * scale + skip) + x[:, 1]
  decode = lambda x, scale: {
    "image": x[:, :, None] * scale,
    search.SCORE: value_of(x, scale),
  }
  return encode, decode


def every():
  """(skip, trial, scale) and results [k, b], in the order of `keep='all'`."""
  knobs = list(itertools.product(SKIP, range(TRIALS), SCALE))
  rows = [value(DRAWS[:, t], skip, s) for skip, t, s in knobs]
  return knobs, np.stack(rows)


def test_all_of_them_in_order():
  part = search.Search(skip=SKIP, scale=SCALE, trials=TRIALS, keep="all")
  assert not part.chooses
  found = part.run(make, DRAWS)
  knobs, rows = every()
  np.testing.assert_allclose(found["score"], rows.T, atol=1e-5)
  for i, name in enumerate(("skip", "trial", "scale")):
    np.testing.assert_array_equal(found[name][0], [k[i] for k in knobs])
  assert found["image"].shape == (B, len(knobs), 2, 1)


def test_the_best_of_each_example():
  part = search.Search(skip=SKIP, scale=SCALE, trials=TRIALS)
  assert part.chooses
  found = part.run(make, DRAWS)
  knobs, rows = every()
  best = rows.argmax(0)
  assert len(set(best)) > 1
  np.testing.assert_allclose(found["score"], rows.max(0), atol=1e-5)
  for i, name in enumerate(("skip", "trial", "scale")):
    np.testing.assert_array_equal(found[name], [knobs[k][i] for k in best])
  for row, k in enumerate(best):
    _, trial, scale = knobs[k]
    wanted = DRAWS[row, trial][:, None] * scale
    np.testing.assert_allclose(found["image"][row], wanted, rtol=1e-6)


def test_a_score_may_come_from_outside():
  """The same, of results that do not know how good they are."""
  bare = lambda skip: (
    make(skip)[0],
    lambda x, scale: {"image": make(skip)[1](x, scale)["score"]},
  )
  part = search.Search(skip=SKIP, scale=SCALE, trials=TRIALS)
  found = part.run(bare, DRAWS, lambda made: 2 * made["image"])
  wanted = part.run(make, DRAWS)
  np.testing.assert_allclose(found["score"], 2 * wanted["score"], rtol=1e-6)
  for name in ("skip", "scale", "trial"):
    np.testing.assert_array_equal(found[name], wanted[name])


def test_of_equal_scores_the_first():
  same = lambda skip: (
    lambda trial: trial,
    lambda x, scale: {"score": jnp.zeros(B)},
  )
  found = search.Search(skip=(1, 0), trials=TRIALS).run(same, DRAWS)
  np.testing.assert_array_equal(found["skip"], 1)
  np.testing.assert_array_equal(found["trial"], 0)


def test_a_single_one_is_returned_by_itself_and_its_scale_is_a_number():
  seen = []

  def one(skip):
    def decode(x, scale):
      seen.append((skip, scale))
      return {"image": x}

    return (lambda trial: trial), decode

  part = search.Search(skip=(2,), scale=(1.0,))
  assert not part.chooses
  found = part.run(one, DRAWS[:, :1])
  np.testing.assert_array_equal(found["image"], DRAWS[:, 0])
  assert set(seen) == {(2, 1.0)} and type(seen[0][1]) is float


@pytest.mark.parametrize("fields", [{"skip": ()}, {"scale": ()}])
def test_nothing_to_try_is_named(fields):
  with pytest.raises(ValueError, match="search.skip="):
    search.Search(**fields).check("search")
