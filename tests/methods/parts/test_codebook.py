import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import randomness
from jmim.methods.parts import codebook as codebooks
from jmim.nn import vq


@pytest.mark.parametrize("legacy", [True, False])
def test_beta_is_on_the_side_that_legacy_says(legacy):
  codebook = codebooks.Codebook(legacy=legacy, beta=0.25)
  codes = jnp.asarray([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
  z = jnp.full((1, 1, 1, 3), 0.8)
  loss = lambda codes, z: codebook.quantise(codes, z)[2]
  g_codes, g_z = jax.grad(loss, (0, 1))(codes, z)
  pull = 2 * 0.2 / 3  # of a mean square over three channels
  sides = (0.25, 1.0) if legacy else (1.0, 0.25)
  np.testing.assert_allclose(g_codes[1], pull * sides[0], rtol=1e-5)
  np.testing.assert_allclose(g_z[0, 0, 0], -pull * sides[1], rtol=1e-5)
  assert not g_codes[0].any()


def test_averaged_codes_go_to_their_vectors_and_dead_ones_start_again():
  rng = np.random.default_rng(0)
  centres = np.array([[2.0, 0.0], [-2.0, 0.0]], np.float32)
  z = jnp.asarray(np.repeat(centres, 50, 0) + 0.1 * rng.normal(size=(100, 2)))
  codes = jnp.asarray([[1.0, 0.0], [-1.0, 0.1], [0.0, 90.0]])
  part = codebooks.Codebook(codes=3, ema=0.9)
  rows = z[:, None]  # examples of one vector each

  def moved(part, extra, draws):
    ids = vq.nearest(rows, extra["codes"])
    return part.moved(extra, part.statistics(rows, ids, draws))

  extra = part.extra(codes)
  for _ in range(60):
    extra = moved(part, extra, {})
  for k in (0, 1):
    mean = np.asarray(z)[50 * k : 50 * k + 50].mean(0)
    np.testing.assert_allclose(extra["codes"][k], mean, atol=2e-2)
  np.testing.assert_allclose(extra["codes"][2], codes[2], rtol=1e-5)
  restarting = dataclasses.replace(part, restart=0.1)
  draws = {"pick": jnp.arange(3), "row": jnp.arange(100)}
  again, left = moved(restarting, extra, draws), moved(part, extra, {})
  np.testing.assert_array_equal(again["codes"][2], z[2])
  np.testing.assert_allclose(
    again["total"][2] / again["used"][2], z[2], rtol=1e-6
  )
  np.testing.assert_array_equal(again["codes"][:2], left["codes"][:2])


def test_draws_are_vectors_of_the_batch_where_codes_start_again():
  keys = randomness.Keys(jax.random.key(0))
  part = codebooks.Codebook(codes=500, ema=0.9, restart=0.1)
  draws = part.draw(keys, (4, 9))
  assert 0 <= draws["pick"].min() and draws["pick"].max() == 35
  np.testing.assert_array_equal(draws["row"], np.arange(4))
  assert codebooks.Codebook().draw(keys, (4, 9)) == {}
  with pytest.raises(ValueError, match="without ema"):
    codebooks.Codebook(restart=0.1).check()
