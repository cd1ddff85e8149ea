"""The adapter of Subspace on components of unequal size and weight."""

import golden_kit
import numpy as np
import pytest
import scipy.special
import scipy.stats

N, DIMS, PI = 9, [1, 4, 2], [0.2, 0.5, 0.3]


def basis(seed, d):
  return np.linalg.qr(golden_kit.normal(N, d, seed=seed))[0]


@pytest.fixture(scope="module")
def case():
  params = {f"U{k}": basis(k, d) for k, d in enumerate(DIMS)}
  params |= {f"Us{k}": basis(9 + k, d) for k, d in enumerate(DIMS)}
  label = np.arange(12) % 3
  x0 = [params[f"U{k}"] @ golden_kit.normal(DIMS[k], seed=k) for k in label]
  return golden_kit.Asked(
    {"ambient": N, "dims": DIMS, "pi": PI, "samples": 12},
    {
      "x0": np.stack(x0).astype(np.float32),
      "label": label,
      "eps": golden_kit.normal(12, N, seed=5),
      "s": np.float32([1.0, 0.5]),
      "gamma": np.float32([0.2, 0.8]),
    },
    params | {"V": basis(20, 1), "pi": np.float32(PI)},
  )


def posterior(case, x, s, g):
  """(weights [n, K], E[x0 | x]) by full covariances."""
  logs, means = [], []
  for k, p in enumerate(PI):
    u = np.float64(case.params[f"U{k}"])
    prior = u @ u.T
    cov = s**2 * prior + g**2 * np.eye(N)
    law = scipy.stats.multivariate_normal(np.zeros(N), cov)
    logs.append(np.log(p) + law.logpdf(x))
    means.append(s * x @ np.linalg.solve(cov, prior))
  w = scipy.special.softmax(np.array(logs).T, 1)
  return w, np.einsum("nk,knd->nd", w, np.array(means))


def derivative(case, x, s, g, h=1e-5):
  """d E[x0 | x] / d x [outputs, inputs] by central differences."""
  mean = lambda x: posterior(case, x, s, g)[1]
  return (mean(x + h * np.eye(N)) - mean(x - h * np.eye(N))).T / (2 * h)


def test_it_gives_the_exact_posterior(case):
  found = golden_kit.adapter("subspace").run(case)
  i = {k: np.float64(v) for k, v in case.inputs.items()}
  for t, (s, g) in enumerate(zip(i["s"], i["gamma"], strict=True)):
    x = s * i["x0"] + g * i["eps"]
    w, mean = posterior(case, x, s, g)
    np.testing.assert_allclose(found["weights"][t], w, atol=1e-6)
    np.testing.assert_allclose(found["denoised"][t], mean, atol=1e-6)
    jac = derivative(case, x[0], s, g)
    values = np.linalg.svd(jac, compute_uv=False)
    got = found["jac_singular_values"][t]
    np.testing.assert_allclose(got, values, atol=1e-6)
    share = np.sqrt(np.cumsum(values**2) / np.sum(values**2))
    assert found["jac_rank99"][t] == 1 + np.argmax(share > 0.99)
  longest = [
    np.linalg.norm(i["x0"] @ case.params[f"Us{k}"], axis=1) for k in range(3)
  ]
  np.testing.assert_array_equal(found["hard_assign"], np.argmax(longest, 0))
  whole = np.sum(np.max(longest, 0) ** 2)
  assert found["clustering_objective"] == pytest.approx(whole, rel=1e-5)
  # The first component's points fill its subspace.
  own = np.float64(case.params["U0"])
  np.testing.assert_allclose(
    found["pca_basis_projector"], own @ own.T, atol=1e-6
  )


def test_the_loss_of_a_basis_is_its_expectation(case):
  """By the covariance of what is left; the first level, the first component."""
  found = golden_kit.adapter("subspace").run(case)
  x = np.float64(case.inputs["x0"][case.inputs["label"] == 0])
  s, g = (np.float64(case.inputs[k][0]) for k in ("s", "gamma"))
  v = np.float64(case.params["V"])
  kept = s / (s**2 + g**2) * v @ v.T
  loss = np.sum((s * x @ kept - x) ** 2) + len(x) * g**2 * np.sum(kept**2)
  assert found["expected_loss_V"] == pytest.approx(loss, rel=1e-5)
  length = np.sum((x @ v) ** 2)
  assert found["pca_objective"] == pytest.approx(length, rel=1e-5)
