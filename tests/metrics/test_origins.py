import numpy as np
import pytest

from jmim.metrics import origins


def points(n=400, d=6, seed=0):
  """Origins, and residuals that lie in the first two dimensions."""
  rng = np.random.default_rng(seed)
  z = rng.normal(size=(n, d)) * np.arange(1, d + 1) + 5
  moved = np.zeros((n, d))
  moved[:, :2] = rng.normal(size=(n, 2))
  return z, moved


def test_where_edits_do_nothing_origins_are_kept():
  z, moved = points()
  kernel = origins.closed_form(z, moved, 4, ridge=1e-6)
  assert kernel.shape == (6, 4)
  np.testing.assert_allclose(moved @ kernel, 0, atol=1e-4)
  assert np.linalg.matrix_rank(kernel) == 4


def test_it_is_the_greatest_ratio_of_all():
  rng = np.random.default_rng(1)
  z = rng.normal(size=(300, 5)) @ rng.normal(size=(5, 5))
  moved = rng.normal(size=(500, 5)) @ rng.normal(size=(5, 5))
  r = origins.second_moment(moved)
  s = origins.second_moment(z - z.mean(0))
  values = np.sort(np.linalg.eigvals(np.linalg.solve(r, s)).real)[::-1]
  for width in (1, 3, 5):
    kernel = origins.closed_form(z, moved, width, ridge=0.0)
    np.testing.assert_allclose(kernel.T @ r @ kernel, np.eye(width), atol=1e-8)
    best = origins.ratio(kernel, z, moved)
    assert best == pytest.approx(values[:width].mean())
    for _ in range(20):
      other = (
        np.linalg.cholesky(np.linalg.inv(r))
        @ np.linalg.qr(rng.normal(size=(5, width)))[0]
      )
      assert origins.ratio(other, z, moved) <= best + 1e-9


def test_few_residuals_need_a_ridge():
  z, moved = points()
  with pytest.raises(np.linalg.LinAlgError):
    origins.closed_form(z, moved, 2, ridge=0.0)
  assert np.isfinite(origins.closed_form(z, moved, 2)).all()


@pytest.mark.parametrize("width", [0, 7])
def test_what_cannot_be_is_refused(width):
  z, moved = points()
  with pytest.raises(ValueError, match=f"width {width} for 6"):
    origins.closed_form(z, moved, width)
  with pytest.raises(ValueError, match="all 0"):
    origins.closed_form(z, 0 * moved, 2)
