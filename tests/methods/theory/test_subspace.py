"""The mixture's denoiser as a method."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method
from jmim.data.procedural import molrg
from jmim.diffusion import low_rank
from jmim.methods.theory import subspace

KEY = jax.random.key(0)


def test_any_free_matrices_are_orthonormal_bases():
  m = subspace.Subspace.tiny()
  free = {
    f"basis{k}": jax.random.normal(jax.random.key(k), (m.width, d))
    for k, d in enumerate(m.dims)
  }
  for (name, a), u in zip(free.items(), m.bases({"main": free}), strict=True):
    np.testing.assert_allclose(u.T @ u, np.eye(u.shape[1]), atol=1e-6)
    # It spans what the matrix does.
    np.testing.assert_allclose(u @ (u.T @ a), a, atol=1e-5, err_msg=name)


def test_loss_of_one_component_is_the_expected_one_of_pca():
  m = subspace.Subspace(width=6, dims=(2,), noise_least=0.5, noise_most=0.5)
  params, _ = m.init(KEY, {})
  x = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
  many = np.tile(x, (8000, 1))
  draws = m.drawn(KEY, {"vector": many})
  loss, _ = m.loss(method.Weights(params), {"vector": many}, draws, 0)
  (u,) = m.bases(params)
  closed = low_rank.expected_loss(u, jnp.asarray(x), 1.0, 0.5) / 5
  assert float(loss) == pytest.approx(float(closed), rel=1e-2)


def test_levels_are_log_uniform_in_their_range():
  m = subspace.Subspace(noise_least=0.1, noise_most=1.6)
  x0 = jnp.ones((3, 48))
  draws = {"noise": jnp.zeros((3, 48)), "level": jnp.array([0.0, 0.5, 1.0])}
  params, _ = m.init(KEY, {})
  error = m.error(method.Weights(params), x0, draws)
  alone = [
    low_rank.denoised(m.bases(params), m.shares, x0[0], s=1.0, g=g)
    for g in (0.1, 0.4, 1.6)
  ]
  wanted = [((out - x0[0]) ** 2).sum() for out in alone]
  np.testing.assert_allclose(error, wanted, rtol=1e-4)


def test_clusters_are_the_posterior_of_the_points():
  truth = molrg.bases(6, (2, 2, 1))
  m = subspace.Subspace.tiny()
  points, labels = molrg.draw(np.random.default_rng(0), truth, (9, 9, 9))
  params = {"main": {f"basis{k}": jnp.asarray(u) for k, u in enumerate(truth)}}
  found = m.predict()["clusters"](
    method.Weights(params), {"vector": jnp.asarray(points)}, KEY
  )
  assert (np.asarray(found).argmax(1) == labels).mean() > 0.9
  np.testing.assert_allclose(np.asarray(found).sum(1), 1, atol=1e-5)


def test_its_diffuser_is_the_exact_denoiser_along_its_path():
  m = subspace.Subspace.tiny()
  params, _ = m.init(KEY, {})
  made = m.diffuser(method.Weights(params))
  levels = made.levels(5)
  x = jax.random.normal(KEY, (4, 6))
  for time, noise in zip(levels.time[:-1], levels.noise[:-1], strict=True):
    raw = made.network(x, jnp.full(4, time), None)
    exact = low_rank.denoised(m.bases(params), m.shares, x, s=1.0, g=noise)
    np.testing.assert_allclose(raw, exact, atol=1e-4)
  with pytest.raises(ValueError, match="cannot encode"):
    made.require("encode")


@pytest.mark.parametrize(
  ("fields", "said"),
  [
    (dict(dims=()), "dims"),
    (dict(dims=(3, 49)), "each 1 to width, 48"),
    (dict(priors=(1.0,)), "1 priors for 2 dims"),
    (dict(priors=(0.5, 0.6)), "1 together"),
    (dict(noise_least=0.2), "noise_least above noise_most"),
  ],
)
def test_fields_that_do_not_go_together(fields, said):
  with pytest.raises(ValueError, match=said):
    subspace.Subspace(**fields).inputs()
