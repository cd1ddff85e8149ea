"""Clouds on single surfaces."""

import numpy as np
import pytest

from jmim.data.procedural import surfaces


@pytest.mark.parametrize("label", range(len(surfaces.CLASSES)))
def test_clouds_are_centred_and_fill_the_unit_ball(label):
  points = surfaces.cloud(label, 512, np.random.default_rng(label))
  np.testing.assert_allclose(points.mean(0), 0, atol=1e-5)
  np.testing.assert_allclose(np.linalg.norm(points, axis=1).max(), 1, rtol=1e-5)
  assert points.dtype == np.float32


def test_points_lie_on_the_surface_that_the_class_names():
  rng = lambda: np.random.default_rng(3)
  make = surfaces.MAKERS
  torus = make["torus"](500, rng())
  ring = np.hypot(np.hypot(torus[:, 0], torus[:, 1]) - 1, torus[:, 2])
  np.testing.assert_allclose(ring, ring[0], rtol=1e-6)
  planes = make["planes"](500, rng())
  assert len(np.unique(planes[:, 2])) == 2
  two = make["two_spheres"](500, rng())
  own = np.isclose(np.linalg.norm(two, axis=1), 1)
  assert 0.4 < own.mean() < 0.9  # the first is the greater
  centre = (two[~own].max(0) + two[~own].min(0)) / 2
  radius = np.linalg.norm(two[~own] - centre, axis=1)
  assert radius.std() < 0.05 * radius.mean()
  wire = make["helix"](500, rng())
  assert abs(np.hypot(wire[:, 0], wire[:, 1]) - 1).max() < 0.25


def test_examples_of_a_class_differ_in_proportions():
  spans = [
    np.ptp(surfaces.cloud(1, 512, np.random.default_rng(i)), axis=0)
    for i in range(8)
  ]
  assert np.std(spans, axis=0).min() > 0.02
