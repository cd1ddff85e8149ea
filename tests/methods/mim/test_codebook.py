import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.methods.mim import codebook
from jmim.nn import vq

TINY = codebook.Codebook.tiny()
IMAGE = np.random.default_rng(0).normal(size=(3, 16, 16, 3)).astype(np.float32)
BATCH = {"image": IMAGE}


def test_it_starts_at_distinct_patches_which_are_their_own_code():
  params, _ = TINY.init(jax.random.key(0), BATCH)
  codes = params["main"]["codes"]
  assert len(np.unique(codes, axis=0)) == TINY.codes
  np.testing.assert_array_equal(vq.nearest(codes, codes), np.arange(8))


def test_the_loss_is_the_distance_to_the_nearest_code():
  params, _ = TINY.init(jax.random.key(0), BATCH)
  loss, aux = TINY.loss(methods.Weights(params), BATCH, {}, 0)
  x = IMAGE.reshape(3, 4, 4, 4, 4, 3).swapaxes(2, 3).reshape(-1, 48)
  distances = ((x[:, None] - np.asarray(params["main"]["codes"])) ** 2).mean(-1)
  np.testing.assert_allclose(loss, distances.min(1).mean(), rtol=1e-5)
  assert aux["codes_used"] == 1


def test_only_the_codes_in_use_move_and_towards_their_patches():
  params, _ = TINY.init(jax.random.key(0), BATCH)
  codes = params["main"]["codes"].at[0].add(1e3)  # no patch is near it
  weights = lambda c: methods.Weights({"main": {"codes": c}})
  grad = jax.grad(lambda c: TINY.loss(weights(c), BATCH, {}, 0)[0])(codes)
  assert not np.any(grad[0])
  x = IMAGE.reshape(3, 4, 4, 4, 4, 3).swapaxes(2, 3).reshape(-1, 48)
  mine = x[np.asarray(vq.nearest(jnp.asarray(x), codes)) == 1]
  expected = 2 * (codes[1] * len(mine) - mine.sum(0)) / x.size
  np.testing.assert_allclose(grad[1], expected, atol=1e-6)


def test_features_count_the_codes_of_an_image():
  params, _ = TINY.init(jax.random.key(0), BATCH)
  fn = TINY.predict()["features"]
  shares = fn(methods.Weights(params), BATCH, jax.random.key(1))
  x = IMAGE.reshape(3, 4, 4, 4, 4, 3).swapaxes(2, 3).reshape(3, 16, 48)
  ids = np.asarray(vq.nearest(jnp.asarray(x), params["main"]["codes"]))
  counts = [np.bincount(row, minlength=TINY.codes) for row in ids]
  np.testing.assert_allclose(shares, np.array(counts) / 16, atol=1e-6)


def test_a_patch_that_does_not_divide_the_image_is_named():
  with pytest.raises(ValueError, match="size 16 does not divide by patch 5"):
    codebook.Codebook(size=16, patch=5).inputs()


def test_codes_are_the_nearest_in_raster_order():
  params, extra = TINY.init(jax.random.key(0), BATCH)
  weights = methods.Weights(params, extra)
  ids = TINY.predict()["codes"](weights, BATCH, None)
  assert ids.shape == (3, 16) and TINY.n_codes == 8
  x = IMAGE.reshape(3, 4, 4, 4, 4, 3).swapaxes(2, 3).reshape(3, 16, 48)
  np.testing.assert_array_equal(ids, vq.nearest(x, params["main"]["codes"]))
