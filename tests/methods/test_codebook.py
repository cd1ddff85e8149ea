import jax
import jax.numpy as jnp
import numpy as np

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
  loss, aux = TINY.loss("main", params, {}, {}, BATCH, {}, 0)
  x = IMAGE.reshape(3, 4, 4, 4, 4, 3).swapaxes(2, 3).reshape(-1, 48)
  gaps = ((x[:, None] - np.asarray(params["main"]["codes"])) ** 2).mean(-1)
  np.testing.assert_allclose(loss, gaps.min(1).mean(), rtol=1e-5)
  assert aux["codes_used"] == 1


def test_only_the_codes_in_use_move_and_towards_their_patches():
  params, _ = TINY.init(jax.random.key(0), BATCH)
  far = params["main"]["codes"].at[0].add(1e3)
  grad = jax.grad(
    lambda c: TINY.loss("main", {"main": {"codes": c}}, {}, {}, BATCH, {}, 0)[0]
  )(far)
  assert not np.any(grad[0])
  x = IMAGE.reshape(3, 4, 4, 4, 4, 3).swapaxes(2, 3).reshape(-1, 48)
  mine = x[np.asarray(vq.nearest(jnp.asarray(x), far)) == 1]
  wanted = 2 * (far[1] * len(mine) - mine.sum(0)) / x.size
  np.testing.assert_allclose(grad[1], wanted, atol=1e-6)
