"""The exact denoiser of a mixture of low-rank Gaussians."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jmim.diffusion import low_rank

N, DIMS, PRIORS = 7, (1, 2, 4), (0.5, 0.2, 0.3)
RNG = np.random.default_rng(0)
# They need not be orthogonal to each other.
BASES = [np.linalg.qr(RNG.normal(size=(N, d)))[0] for d in DIMS]
X = RNG.normal(size=(6, N))
LEVELS = [(1.0, 0.1), (0.8, 0.6), (0.3, 0.95)]


def exact(x, s, g):
  """log p(x) by full covariances."""
  parts = [
    np.log(p)
    + scipy.stats.multivariate_normal(
      np.zeros(N), s**2 * u @ u.T + g**2 * np.eye(N)
    ).logpdf(x)
    for u, p in zip(BASES, PRIORS, strict=True)
  ]
  return np.array(parts).T


@pytest.mark.parametrize(("s", "g"), LEVELS)
def test_density_weights_and_tweedie(s, g):
  with jax.enable_x64(True):
    x = jnp.asarray(X)
    logs = exact(X, s, g)
    total = scipy.special.logsumexp(logs, 1)
    density = lambda x: low_rank.log_density(BASES, PRIORS, x, s=s, g=g)
    np.testing.assert_allclose(density(x), total, atol=1e-9)
    weights = low_rank.log_weights(BASES, PRIORS, x, s=s, g=g)
    np.testing.assert_allclose(weights, logs - total[:, None], atol=1e-9)
    score = jax.vmap(jax.grad(density))(x)
    denoised = low_rank.denoised(BASES, PRIORS, x, s=s, g=g)
    np.testing.assert_allclose(s * denoised, x + g**2 * score, atol=1e-6)


def test_levels_per_point_are_those_of_the_points():
  s, g = (jnp.asarray(a) for a in zip(*LEVELS, strict=True))
  each = low_rank.denoised(BASES, PRIORS, jnp.asarray(X[:3]), s=s, g=g)
  for i, level in enumerate(LEVELS):
    alone = low_rank.denoised(
      BASES, PRIORS, jnp.asarray(X[i]), s=level[0], g=level[1]
    )
    np.testing.assert_allclose(each[i], alone, atol=1e-6)


def test_one_component_is_linear():
  s, g, u = 0.8, 0.6, BASES[2]
  denoised = low_rank.denoised([u], [1.0], jnp.asarray(X), s=s, g=g)
  np.testing.assert_allclose(
    denoised, s / (s**2 + g**2) * X @ u @ u.T, atol=1e-6
  )


def test_bases_may_be_turned():
  turned = [
    u @ np.linalg.qr(RNG.normal(size=(u.shape[1],) * 2))[0] for u in BASES
  ]
  made = [
    low_rank.denoised(b, PRIORS, jnp.asarray(X), s=1.0, g=0.3)
    for b in (BASES, turned)
  ]
  np.testing.assert_allclose(*made, atol=1e-5)


def test_without_noise_the_weights_are_the_longest_projection():
  bases = [np.linalg.qr(RNG.normal(size=(N, 2)))[0] for _ in range(3)]
  longest = np.asarray(low_rank.norms(bases, jnp.asarray(X))).argmax(-1)
  shares = [
    np.exp(low_rank.log_weights(bases, [1 / 3] * 3, jnp.asarray(X), s=1.0, g=g))
    for g in (1.0, 0.3, 0.01)
  ]
  chosen = [w[np.arange(len(X)), longest] for w in shares]
  assert (chosen[0] < chosen[1]).all() and chosen[2].min() > 0.999


def test_expected_loss_is_the_mean_over_noise():
  s, g = 0.8, 0.6
  v = np.linalg.qr(RNG.normal(size=(N, 3)))[0]
  noise = RNG.normal(size=(100_000, 1, N))
  out = low_rank.denoised([v], [1.0], jnp.asarray(s * X + g * noise), s=s, g=g)
  sampled = ((np.asarray(out) - X) ** 2).sum((1, 2)).mean()
  closed = low_rank.expected_loss(jnp.asarray(v), jnp.asarray(X), s, g)
  assert float(closed) == pytest.approx(sampled, rel=3e-3)


def test_the_best_subspace_of_the_expected_loss_is_that_of_pca():
  best = np.linalg.svd(X)[2][:3].T
  loss = lambda v: float(
    low_rank.expected_loss(jnp.asarray(v), jnp.asarray(X), 0.8, 0.6)
  )
  others = [np.linalg.qr(RNG.normal(size=(N, 3)))[0] for _ in range(50)]
  near = [np.linalg.qr(best + 0.1 * v)[0] for v in others]
  assert loss(best) < min(map(loss, others + near))


def test_no_product_is_rounded_by_accelerators():
  """phi |U^T x|^2 is some hundred: of bf16 another component would win."""
  run = lambda x: low_rank.denoised(BASES, PRIORS, x, s=1.0, g=0.1)
  products = str(jax.make_jaxpr(run)(X)).split("dot_general[")[1:]
  assert len(products) == 3 * len(DIMS)
  assert all("HIGHEST" in p.split("preferred")[0] for p in products)
