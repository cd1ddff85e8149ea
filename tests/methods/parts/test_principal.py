"""Components by a Gram matrix and of a stream, against an SVD."""

import numpy as np
import pytest

from jmim.core import errors
from jmim.methods.parts import principal

RNG = np.random.default_rng(0)


def by_svd(x):
  """(deviations, directions) of the centred rows."""
  _, s, v = np.linalg.svd(x - x.mean(0), full_matrices=False)
  k = min(len(x) - 1, x.shape[1])
  return s[:k] / np.sqrt(len(x) - 1), v[:k]


def same(u, v, atol=1e-8):
  """Directions equal but for their signs."""
  np.testing.assert_allclose(np.abs((u * v).sum(-1)), 1, atol=atol)


@pytest.mark.parametrize("n, d", [(5, 40), (12, 4), (2, 3)])
def test_gram_is_the_svd_of_what_is_centred(n, d):
  x = RNG.normal(size=(n, d)) + 3
  found, (s, v) = principal.gram(x), by_svd(x)
  assert len(found.deviations) == min(n - 1, d)
  np.testing.assert_allclose(found.deviations, s, rtol=1e-9)
  same(found.directions, v)
  np.testing.assert_allclose(found.mean, x.mean(0))


def test_no_variance_has_no_direction():
  x = np.outer(RNG.normal(size=6), RNG.normal(size=9)) + 1
  found = principal.gram(x)
  assert len(found.deviations) == 5
  assert not found.deviations[1:].any() and not found.directions[1:].any()
  same(found.directions[:1], by_svd(x)[1][:1])
  with pytest.raises(ValueError, match="of 1 samples"):
    principal.gram(x[:1])


def paths(n=40, rank=4):
  """[n, 3, 2, 2] of a few directions and a little of all."""
  bases = RNG.normal(size=(rank, 12)) * (8.0 / 2 ** np.arange(rank))[:, None]
  x = RNG.normal(size=(n, rank)) @ bases + 0.01 * RNG.normal(size=(n, 12))
  return (x + RNG.normal(size=12)).reshape(n, 3, 2, 2)


def stream(x, size):
  return (x[i : i + size] for i in range(0, len(x), size))


@pytest.mark.parametrize("by_step", [False, True])
def test_a_stream_that_carries_enough_is_exact(by_step):
  x = paths()
  kw = dict(by_step=by_step)
  u, s = principal.of_paths(iter([x]), block=0, carried=1, **kw)
  v, t = principal.of_paths(stream(x, 7), block=8, carried=12, **kw)
  np.testing.assert_allclose(s[:4], t[:4], rtol=1e-8)
  axes = (2, 3) if by_step else (1, 2, 3)
  agree = np.abs((u[:4] * v[:4]).sum(axes))
  np.testing.assert_allclose(agree, 1, atol=1e-6)
  assert s.shape == ((4, 3) if by_step else (12,))


def test_a_stream_that_carries_little_is_near():
  x = paths()
  u, s = principal.of_paths(iter([x]), by_step=False, block=0, carried=1)
  v, t = principal.of_paths(stream(x, 5), by_step=False, block=8, carried=4)
  assert len(t) == 4
  np.testing.assert_allclose(s[:2], t[:2], rtol=1e-3)
  same(u[:2].reshape(2, -1), v[:2].reshape(2, -1), 1e-4)


def test_steps_by_themselves_are_those_of_each_step():
  x = paths()
  u, s = principal.of_paths(iter([x]), by_step=True, block=0, carried=1)
  for i in range(3):
    wanted, v = by_svd(x[:, i].reshape(len(x), -1))
    np.testing.assert_allclose(s[:, i], wanted, rtol=1e-6)
    same(u[:, i].reshape(4, -1), v)


def test_a_fit_does_not_depend_on_the_lengths_of_its_batches():
  x = paths(23)
  kw = dict(by_step=False, block=6, carried=3)
  one, two = (principal.of_paths(stream(x, n), **kw)[0] for n in (5, 23))
  np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
  "n, size, wanted",
  [
    (10, 4, [4, 4, 2]),
    (9, 4, [4, 5]),
    (8, 4, [4, 4]),
    (3, 4, [3]),
    (9, 0, [9]),
    (0, 4, []),
  ],
)
def test_a_stream_is_cut_into_blocks_of_one_size(n, size, wanted):
  x = np.arange(n)
  for length in (1, 3, 20):
    found = list(principal.blocks(stream(x, length), size))
    assert [len(b) for b in found] == wanted
    np.testing.assert_array_equal(np.concatenate([*found, []]), x)


def test_nothing_has_no_components():
  with pytest.raises(errors.UserError, match="apply.fit_num"):
    principal.of_paths(iter(()), by_step=False, block=0, carried=1)


def test_what_is_not_finite_is_named():
  x = paths(6)
  x[4, 0, 1, 1] = np.nan
  with pytest.raises(errors.UserError, match="1 of 6 samples with NaN"):
    principal.of_paths(iter([x]), by_step=True, block=0, carried=1)
