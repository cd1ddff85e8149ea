"""The encoder of clouds: what moves which tokens."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import batchnorm
from jmim.nn import points
from jmim.nn.nets import point_encoder

DIMS = point_encoder.TINY
NET = point_encoder.PointEncoder(dims=DIMS)


@pytest.fixture(scope="module")
def levels(normal):
  return points.divide(jnp.asarray(normal(2, 32, 3)), DIMS.groups, DIMS.members)


@pytest.fixture(scope="module")
def variables(fill, levels):
  made = fill(NET, levels, scale=0.5)
  positive = jax.tree.map(np.abs, made[batchnorm.STATISTICS])
  return {"params": made["params"], batchnorm.STATISTICS: positive}


@pytest.fixture(scope="module")
def run(variables):
  return jax.jit(
    lambda *a, **k: NET.apply(variables, *a, **k), static_argnames="radii"
  )


def test_the_order_of_members_moves_no_token(levels, run):
  turned = [level._replace(near=level.near[:, :, ::-1]) for level in levels]
  for a, b in zip(run(levels), run(turned), strict=True):
    np.testing.assert_allclose(a, b, atol=1e-5)


def test_all_visible_is_nothing_masked(levels, run):
  visible = [jnp.ones(level.centres.shape[:2], bool) for level in levels]
  for a, b in zip(run(levels), run(levels, visible), strict=True):
    np.testing.assert_allclose(a, b, atol=1e-5)


def test_hidden_coordinates_do_not_move_what_is_visible(levels, run):
  """In evaluation: points that no visible group holds are somewhere else."""
  top = jnp.asarray([[True, False, False, False], [False, False, True, False]])
  seen = [top]
  for level in levels[:0:-1]:
    seen.insert(0, points.seen_below(level.near, seen[0], level.below.shape[1]))
  held = points.seen_below(levels[0].near, seen[0], 32)
  assert 0 < held.sum() < held.size
  below = jnp.where(held[..., None], levels[0].below, 7.0)
  moved, found = [], below
  for level, visible in zip(levels, seen, strict=True):
    centres = jnp.where(visible[..., None], level.centres, -5.0)
    moved.append(points.Level(found, centres, level.near))
    found = centres
  pairs = zip(run(levels, seen), run(moved, seen), seen, strict=True)
  for a, b, visible in pairs:
    np.testing.assert_array_equal(a[visible], b[visible])
    assert np.abs(a - b)[~visible].max() > 1e-3  # they did move something


def test_a_wide_radius_is_none_and_a_small_one_leaves_tokens_alone(
  levels, run, variables
):
  for a, b in zip(run(levels), run(levels, radii=(99.0,) * 3), strict=True):
    np.testing.assert_allclose(a, b, atol=1e-5)
  near = run(levels, radii=(1e-3,) * 3)
  assert np.abs(near[0] - run(levels)[0]).max() > 1e-4
  # A token that sees itself alone does not know what else is there.
  fewer = [
    levels[0]._replace(
      centres=levels[0].centres[:, :5], near=levels[0].near[:, :5]
    )
  ]
  net = point_encoder.PointEncoder(
    dims=point_encoder.Dims(
      groups=(5,),
      members=DIMS.members[:1],
      widths=DIMS.widths[:1],
      depths=(1,),
      heads=2,
      embed=8,
    )
  )
  alone = net.apply(variables, fewer, radii=(1e-3,))
  np.testing.assert_allclose(alone[0], near[0][:, :5], atol=1e-5)


def test_training_leaves_statistics_of_hidden_groups_too(levels, variables):
  _, new = batchnorm.applied(NET, *variables.values(), levels, train=True)
  x = levels[0].relative
  kernel = variables["params"]["embed0"]["map1"]["before"]
  mean = (x @ kernel["kernel"] + kernel["bias"]).mean((0, 1, 2))
  old = variables[batchnorm.STATISTICS]["embed0"]["map1"]["bn"]["mean"]
  np.testing.assert_allclose(
    new["embed0"]["map1"]["bn"]["mean"], 0.9 * old + 0.1 * mean, atol=1e-5
  )


@pytest.mark.parametrize(
  ("changes", "match"),
  [
    (dict(members=(4, 3)), "members"),
    (dict(groups=(40, 6, 4)), "groups"),
    (dict(members=(4, 13, 3)), "members"),
    (dict(widths=(8, 13, 16)), "heads"),
    (dict(groups=(), members=(), widths=(), depths=()), "one number per level"),
  ],
)
def test_dims_that_do_not_fit(changes, match):
  dims = point_encoder.Dims(**{**vars(DIMS), **changes})
  with pytest.raises(ValueError, match=match):
    dims.check(32)


def test_norms_that_nothing_reads():
  names = [f"main/encoder/norm{i}/scale" for i in range(3)]
  found = lambda level: [bool(re.search(DIMS.unread(level), n)) for n in names]
  assert found(0) == [False] * 3
  assert found(1) == [True, False, False]
  assert found(2) == [True, True, False]
