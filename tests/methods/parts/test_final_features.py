import dataclasses

import jax
import numpy as np

from jmim.methods.parts import final_features

PART = final_features.FinalFeatures()
COSINE = dataclasses.replace(PART, distance="cosine")
KEY = jax.random.key(0)


def unit(x):
  return (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True)


def test_smooth_l1_of_normed_features(normal):
  z, t = normal(2, 3, 8), 3 + 5 * normal(2, 3, 8, seed=1)
  e = np.abs(unit(z) - unit(t))
  assert (e < 1).any() and (e > 1).any()
  expected = np.where(e < 1, e**2 / 2, e - 0.5).mean()
  np.testing.assert_allclose(PART.loss({}, z, t), expected, rtol=1e-4)


def test_cosine_of_normed_features(normal):
  z, t = normal(2, 3, 8), 3 + 5 * normal(2, 3, 8, seed=1)
  expected = 1 - (unit(z) * unit(t)).mean(-1).mean()
  np.testing.assert_allclose(COSINE.loss({}, z, t), expected, rtol=1e-4)


def test_a_copy_costs_nothing_at_any_scale(normal):
  z = normal(2, 3, 8)
  for part in (PART, COSINE):
    assert abs(part.loss({}, z, 2 + 3 * z)) < 1e-6


def test_a_linear_map_where_widths_differ_or_it_is_asked_for(normal):
  assert PART.init(KEY, 8, 8) == {}
  assert dataclasses.replace(PART, head=True).init(KEY, 8, 8)["head"]
  params = PART.init(KEY, 8, 5)
  z, t = normal(2, 3, 8), normal(2, 3, 5, seed=1)
  h = z @ np.asarray(params["head"]["out"]["kernel"])
  np.testing.assert_allclose(
    PART.loss(params, z, t), PART.loss({}, h, t), rtol=1e-4
  )
