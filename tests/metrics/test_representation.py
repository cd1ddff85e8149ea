import numpy as np
import pytest
import scipy.stats

from jmim.metrics import representation


def rows(seed=0, n=40, d=6):
  return np.random.default_rng(seed).normal(size=(n, d)) + 3


def test_cka_equals_its_kernel_form_and_ignores_turns_and_scale():
  x, y = rows(0), rows(1, d=9)
  centre = np.eye(40) - 1 / 40
  k, m = (centre @ z @ z.T @ centre for z in (x, y))
  want = (k * m).sum() / np.sqrt((k * k).sum() * (m * m).sum())
  np.testing.assert_allclose(representation.linear_cka(x, y), want, rtol=1e-9)
  turn, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(6, 6)))
  moved = 7 * x @ turn + 5
  np.testing.assert_allclose(representation.linear_cka(x, moved), 1)


def test_effective_rank_counts_equal_directions():
  rng = np.random.default_rng(0)
  basis, _ = np.linalg.qr(representation.centred(rng.normal(size=(50, 4))))
  padded = np.pad(basis, ((0, 0), (0, 3)))
  np.testing.assert_allclose(representation.effective_rank(padded), 4)
  scaled = padded * [3, 1, 1, 1, 0, 0, 0]
  want = np.exp(scipy.stats.entropy([3, 1, 1, 1]))
  np.testing.assert_allclose(representation.effective_rank(scaled), want)


@pytest.mark.parametrize("first", [0, 1])
def test_attention_distance_by_hand(first):
  t = 4 + first
  maps = np.zeros((1, 2, t, t))
  maps[0, 0, range(t), range(t)] = 1  # head 1: itself
  maps[0, 1, first:, first:] = 0.25 * (1 - 0.2 * first)  # head 2: everywhere
  maps[0, 1, :, :first] = 0.2
  got = representation.attention_distance(maps, (2, 2), 8.0)
  np.testing.assert_allclose(got[0], [0, 8 * (0 + 1 + 1 + 2**0.5) / 4])


def test_principal_colours_follow_the_largest_directions():
  rng = np.random.default_rng(0)
  line = rng.normal(size=(3, 4, 4))
  tokens = line[..., None] * rng.normal(size=7) + 1e-3 * rng.normal(
    size=(3, 4, 4, 7)
  )
  red = representation.principal_colours(tokens)[..., 0].ravel()
  inner = (red > 0) & (red < 255)
  order = scipy.stats.spearmanr(red[inner], line.ravel()[inner])[0]
  assert abs(order) > 0.99
