"""The decoder of clouds: what it reads of each level."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import batchnorm
from jmim.nn import points as clouds
from jmim.nn.decoders import points
from jmim.nn.nets import point_encoder

ENCODER = point_encoder.TINY
NET = points.PointDecoder(dims=points.Dims(heads=2), encoder=ENCODER)


@pytest.fixture(scope="module")
def given(normal):
  levels = clouds.divide(
    jnp.asarray(normal(2, 32, 3)), ENCODER.groups, ENCODER.members
  )
  centres = [level.centres for level in levels]
  encoded = [
    jnp.asarray(normal(2, g, w))
    for g, w in zip(ENCODER.groups, ENCODER.widths, strict=True)
  ]
  rng = np.random.default_rng(0)
  visible = [jnp.asarray(rng.random(x.shape[:2]) < 0.5) for x in encoded]
  return encoded, visible, centres


@pytest.fixture(scope="module")
def run(fill, given):
  made = fill(NET, *given, train=False)
  stats = jax.tree.map(np.abs, made[batchnorm.STATISTICS])
  variables = {"params": made["params"], batchnorm.STATISTICS: stats}
  return jax.jit(lambda *a: NET.apply(variables, *a, train=False))


def test_it_decodes_the_level_below_the_top(given, run):
  assert run(*given).shape == (2, ENCODER.groups[1], ENCODER.widths[1])


def test_hidden_tokens_of_the_encoder_are_not_read(given, run):
  encoded, visible, centres = given
  moved = [
    jnp.where(seen[..., None], x, 99.0)
    for x, seen in zip(encoded, visible, strict=True)
  ]
  np.testing.assert_array_equal(run(*given), run(moved, visible, centres))
  for level in (1, 2):  # visible ones are
    other = list(encoded)
    other[level] = other[level] + 1.0
    assert np.abs(run(other, visible, centres) - run(*given)).max() > 1e-3


def test_levels_that_are_not_decoded_are_not_read(given, run):
  encoded, visible, centres = given
  other = [encoded[0] + 5.0, *encoded[1:]]
  np.testing.assert_array_equal(run(*given), run(other, visible, centres))


def test_the_order_of_the_top_moves_nothing(given, run):
  """The authors' order has visible tokens first."""
  encoded, visible, centres = given
  turned = [list(x) for x in given]
  for x in turned:
    x[-1] = x[-1][:, ::-1]
  np.testing.assert_allclose(run(*turned), run(*given), atol=1e-5)


def test_factors_of_residual_branches_are_of_all_levels_from_the_top(
  fill, given
):
  """Those of a level are those of a decoder whose other levels have none."""
  dims = points.Dims(heads=2, depths=(1, 2))
  net = points.PointDecoder(dims=dims, encoder=ENCODER)
  variables = fill(net, *given, train=False)
  stats = jax.tree.map(np.abs, variables[batchnorm.STATISTICS])
  variables = {"params": variables["params"], batchnorm.STATISTICS: stats}
  run = jax.jit(lambda d: net.apply(variables, *given, train=False, drop=d))
  whole = np.ones((dims.blocks, 2, 2), np.float32)
  assert whole.shape[0] == 3
  plain = np.asarray(run(jnp.asarray(whole)))
  none = net.apply(variables, *given, train=False)
  np.testing.assert_allclose(none, plain, atol=1e-5)
  for block in range(3):
    for branch in range(2):
      moved = whole.copy()
      moved[block, branch, 1] = 0.0  # of the second cloud
      found = np.asarray(run(jnp.asarray(moved)))
      np.testing.assert_allclose(found[0], plain[0], atol=1e-5)
      assert np.abs(found[1] - plain[1]).max() > 1e-3, (block, branch)


@pytest.mark.parametrize(
  ("changes", "match"),
  [
    (dict(depths=(1, 1, 1, 1)), "depths"),
    (dict(depths=()), "depths"),
    (dict(units=(1, 1)), "units"),
    (dict(heads=5), "heads"),
  ],
)
def test_dims_that_do_not_fit(changes, match):
  with pytest.raises(ValueError, match=match):
    points.Dims(**{"heads": 2, **changes}).check(ENCODER)


def test_a_step_down_reads_three_groups():
  encoder = point_encoder.Dims(**{**vars(ENCODER), "groups": (12, 6, 2)})
  with pytest.raises(ValueError, match="reads 3 groups"):
    points.Dims(heads=2).check(encoder)
