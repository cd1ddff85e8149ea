import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.methods.parts import radiance

PART = radiance.Radiance(near=0.2, far=2.2, samples=40, width=8, frequencies=1)
DENSITY, COLOURS, R = 2, 3, 5
rng = np.random.default_rng(0)
GRIDS = {
  "planes": rng.normal(size=(2, 3, R, R, DENSITY + COLOURS)).astype("f4"),
  "lines": rng.normal(size=(2, 3, R, 1, DENSITY + COLOURS)).astype("f4"),
}
ORIGINS = np.tile(np.array([0, 0, -1.2], "f4"), (2, 7, 1))
WAYS = rng.normal(size=(2, 7, 3)).astype("f4") * 0.2 + np.array([0, 0, 1], "f4")


@pytest.fixture(name="params", scope="module")
def _params(fill):
  features = np.zeros((1, 1, 1, 3 * COLOURS), "f4")
  return fill(PART.net, features, np.ones((1, 1, 3), "f4"))["params"]


def render(params, grids=GRIDS, ways=WAYS, part=PART, jitter=None):
  run = jax.jit(
    lambda p, g, o, d: part.render(p, g, (o, d), density=DENSITY, jitter=jitter)
  )
  return run(params, grids, ORIGINS, ways)


def test_without_density_all_is_black_and_has_no_depth(params):
  empty = {n: x.copy() for n, x in GRIDS.items()}
  empty["planes"][..., :DENSITY] = 0
  found = render(params, empty)
  for name, values in found.items():
    assert not np.asarray(values).any(), name


def test_the_length_of_a_direction_does_not_count(params):
  found, want = render(params, ways=3 * WAYS), render(params)
  for name, values in want.items():
    np.testing.assert_allclose(found[name], values, atol=1e-4)


def test_chunks_of_rays_are_rays(params):
  part = dataclasses.replace(PART, chunk=3)
  jitter = jnp.asarray(rng.random(PART.samples + 1, np.float32))
  found = render(params, part=part, jitter=jitter)
  want = render(params, jitter=jitter)
  for name, values in want.items():
    np.testing.assert_allclose(found[name], values, atol=1e-5)
  total = lambda part: (
    lambda g: part.render(params, g, (ORIGINS, WAYS), density=DENSITY)[
      "rgb"
    ].sum()
  )
  ours, plain = (jax.grad(total(p))(GRIDS) for p in (part, PART))
  for name, values in plain.items():
    np.testing.assert_allclose(ours[name], values, atol=1e-4)


def test_a_wall_has_its_depth(params):
  """Dense from z = 0 on: rays from z = -1.2 meet it there."""
  wall = {n: np.zeros_like(x) for n, x in GRIDS.items()}
  wall["planes"][:, 0, :, :, 0] = 1e3
  wall["lines"][:, 0, R // 2 + 1 :, 0, 0] = 1.0  # centres from z = 0.32
  straight = np.tile(np.array([0, 0, 1], "f4"), (2, 7, 1))
  found = render(params, wall, straight)
  # Cells of 0.32 begin to be felt at the centre before, z = 0.
  assert (np.asarray(found["depth"]) > 1.15).all()
  assert (np.asarray(found["depth"]) < 1.35).all()
  np.testing.assert_allclose(found["weight"].sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize(
  ("fields", "words"),
  [
    (dict(near=1.0, far=0.5), "radiance.near"),
    (dict(low=(0, 0, 0), high=(1, 1, 0)), "radiance.low"),
    (dict(low=(0, 0)), "three numbers"),
  ],
)
def test_rays_and_boxes_without_an_extent_are_refused(fields, words):
  with pytest.raises(ValueError, match=words):
    radiance.Radiance(**fields).check()
