"""Clouds of points on solids."""

import numpy as np
import pytest

from jmim.data.builders import shapes
from jmim.data.procedural import solids


def rng(name="small", split="train", i=0):
  return shapes.example_rng(name, split, i)


@pytest.mark.parametrize("label", range(len(solids.CLASSES)))
def test_clouds_are_centred_scaled_and_of_the_right_parts(label):
  points, part = solids.cloud(label, 2048, rng("points", i=label))
  np.testing.assert_allclose(points.mean(0), 0, atol=1e-4)
  np.testing.assert_allclose(np.linalg.norm(points, axis=1).max(), 1, rtol=1e-5)
  made = solids.MAKERS[solids.CLASSES[label]](lambda x: x)
  assert set(part) == {solids.PARTS.index(s.part) for s in made}


@pytest.mark.parametrize("form", ["ball", "cylinder", "cone", "box"])
def test_points_lie_uniformly_on_the_surface(form):
  size = np.array([0.3, 0.3, 0.8]) if form != "ball" else np.full(3, 0.3)
  solid = solids.Solid(
    part="rod", form=form, centre=(1.0, 2.0, 3.0), size=tuple(size)
  )
  x = (solid.sample(20_000, np.random.default_rng(0)) - solid.centre) / size
  radius = np.hypot(x[:, 0], x[:, 1])
  wanted = {
    "ball": lambda: np.linalg.norm(x, axis=1),
    "cylinder": lambda: radius,
    "cone": lambda: radius + (1 + x[:, 2]) / 2,
    "box": lambda: abs(x).max(1),
  }[form]()
  np.testing.assert_allclose(wanted, 1, rtol=1e-6)
  # Share of points in the lower half: equal areas but for the cone.
  share = {"cone": 0.75}.get(form, 0.5)
  np.testing.assert_allclose((x[:, 2] < 0).mean(), share, atol=0.015)
