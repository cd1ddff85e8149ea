import jax
import numpy as np
import pytest

from jmim.methods.parts import adaptive_threshold
from jmim.methods.parts import word_tables

FIND = jax.jit(adaptive_threshold.find)


def theirs(m, row):
  """aff_prepare.py, line by line: (threshold, la_crf, ha_crf)."""
  low, high = map(int, row[:2])
  min_mmax, thing, ground = map(float, row[2:])
  min_number, threshold = 0, low * 0.01
  for i in range(low, high):
    count = ((m > (i * 0.01)) * (m < ((i + 1) * 0.01))).sum()
    if min_number < count:
      min_number, threshold = count, i * 0.01
  above = lambda t: ((m > t) * m).sum() / ((m > t) * 1).sum()
  below = lambda t: ((m < t) * m).sum() / ((m < t) * 1).sum()
  la_crf, ha_crf = above(threshold), below(threshold)
  while ((m > la_crf) * 1).sum() < m.size * min_mmax:
    if threshold < 0.3:
      break
    threshold = threshold - 0.03
    la_crf = above(threshold)
  while ((m < ha_crf) * 1).sum() < m.size * min_mmax:
    if threshold > 0.75:
      break
    ha_crf = below(threshold)
    threshold = threshold + 0.03
  return threshold, above(threshold) + thing, below(threshold) + ground


def maps(n=10, side=40):
  """Blobs of many sizes over many levels of ground, at most 1."""
  rng = np.random.default_rng(0)
  y, x = (np.mgrid[:side, :side] + 0.5) / side - 0.5
  found = []
  for i in range(n):
    # From a speck to almost everything.
    size, floor = 0.05 * 1.5**i, rng.uniform(0.02, 0.45)
    blob = np.exp(-(((x**2 + y**2) / size**2) ** rng.uniform(0.5, 2)))
    m = floor + (1 - floor) * blob + rng.normal(0, 0.02, blob.shape)
    found.append(m / m.max())
  return np.float32(found)


@pytest.mark.parametrize("name", ["bird", "person", "sofa", "diningtable"])
def test_it_is_the_authors(name):
  row = word_tables.rows("voc")[word_tables.VOC.index(name)]
  many = maps()
  found = FIND(many, np.broadcast_to(row, (len(many), 5)))
  with np.errstate(invalid="ignore"):
    wanted = np.array([theirs(m, row) for m in many])
  assert len(np.unique(wanted[:, 0].round(3))) > 3
  for values, expected in zip(found, wanted.T, strict=True):
    some = np.isfinite(expected)  # nothing below: theirs is 0 / 0
    assert some.mean() > 0.7 and np.isfinite(values).all()
    np.testing.assert_allclose(values[some], expected[some], atol=2e-4)


def test_each_map_has_its_own_class():
  many = maps(3)
  rows = word_tables.rows("voc")[[14, 2, 10]]
  both = FIND(many, rows)
  for i in range(3):
    alone = FIND(many[i : i + 1], rows[i : i + 1])
    np.testing.assert_allclose(
      [x[i] for x in both], [x[0] for x in alone], rtol=1e-6
    )


def test_a_map_of_one_value_has_a_threshold_too():
  """Nothing lies above, or below: no number is lost, nothing is sure."""
  row = word_tables.rows("plain")
  for value in (0.0, 0.5, 1.0):
    m = np.full((1, 8, 8), value, np.float32)
    found = FIND(m, row)
    assert np.isfinite(found).all()
