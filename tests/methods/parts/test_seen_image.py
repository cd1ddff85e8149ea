import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import heard
from jmim.methods.parts import seen_image

TEXT = heard.Text(length=4)
STORED = field.replace(
  seen_image.Seen(grid=4, width=2, tokens=5), vision=dict(family="none")
)
TOKENS = jnp.array([[5, 6, 7, 8, 9], [5, 6, 1, 0, 0], [5, 1, 0, 0, 0]])
NONE = method.Weights({}, {}, {})


def test_stored_features_are_halved_to_means_of_squares(normal):
  seen = jnp.asarray(normal(3, 17, 2))
  x, there = STORED.whole(NONE, {"seen": seen}, TEXT)
  assert there.all() and x.shape == (3, 5, 2)
  np.testing.assert_array_equal(x[:, 0], seen[:, 0])
  grid = np.asarray(seen[:, 1:]).reshape(3, 2, 2, 2, 2, 2)
  np.testing.assert_allclose(
    x[:, 1:].reshape(3, 2, 2, 2), grid.mean((2, 4)), atol=1e-6
  )


def test_a_caption_is_cut_between_its_words(normal):
  batch = {"seen": jnp.asarray(normal(3, 17, 2)), "tokens": TOKENS}
  draws = {"place": jnp.array([0.99, 0.5, 0.5])}
  got = STORED.heard(NONE, batch, draws, TEXT)
  # Both parts are at most so long with their end; one word is all said.
  np.testing.assert_array_equal(
    got.before, [[5, 6, 7, 1], [5, 1, 0, 0], [1, 0, 0, 0]]
  )
  np.testing.assert_array_equal(
    got.labels, [[9, 1, 0, 0], [6, 1, 0, 0], [5, 1, 0, 0]]
  )
  np.testing.assert_array_equal(got.before_present.sum(1), [4, 2, 1])
  np.testing.assert_array_equal(got.said.sum(1), [2, 2, 2])


def test_words_of_several_tokens_stay_whole(normal):
  part = field.replace(STORED, starts="W")
  starts = np.ones(10, np.float32)
  starts[[6, 8]] = 0  # go on with the word before
  weights = method.Weights({}, {}, {"starts": {"starts": jnp.asarray(starts)}})
  batch = {"seen": jnp.asarray(normal(3, 17, 2)), "tokens": TOKENS}
  upto = lambda u: part.heard(
    weights, batch, {"place": jnp.full(3, u)}, TEXT
  ).before_present.sum(1)
  # Words 5 6, 7 8, 9; then 5 6, one word; then 5.
  np.testing.assert_array_equal(upto(0.0), [3, 1, 1])
  np.testing.assert_array_equal(upto(0.9), [4, 1, 1])
  assert set(part.consts(10)) == {"starts"}


def test_a_frozen_network_sees(normal):
  dims = dict(variant="Ti/2", width=8, depth=1, heads=2)
  part = field.replace(
    seen_image.Seen(size=8), vision=dict(family="mae", dims=dims)
  )
  (const,) = part.consts(9).values()
  tree = const.init(jax.random.key(0))
  images = jnp.asarray(normal(2, 8, 8, 3))
  weights = method.Weights({}, {}, {"vision": tree})
  x, _ = part.whole(weights, {"image": images}, TEXT)
  assert x.shape == (2, 5, part.channels)
  out = part.guide.encoder.apply({"params": tree}, images, stop=1)["stream"]
  np.testing.assert_allclose(x[:, 0], out[:, 0], atol=1e-5)
  assert set(part.inputs(TEXT, 9)) == {"image", "tokens"}


def test_a_grid_that_is_too_small_is_refused():
  with pytest.raises(ValueError, match="pool 5 of a grid of 4"):
    field.replace(STORED, pool=5).check(TEXT)
