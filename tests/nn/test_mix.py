import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import mix


def test_mixup_is_linear_in_an_image_and_its_partner(normal):
  x = normal(4, 2, 2, 3)
  np.testing.assert_allclose(
    mix.mixup(x, 0.3), 0.3 * x + 0.7 * x[[3, 2, 1, 0]], rtol=1e-6
  )
  np.testing.assert_array_equal(mix.mixup(x, 1.0), x)


def test_a_box_shows_the_partner_inside_and_nothing_of_it_outside(normal):
  x = normal(3, 6, 8, 2)
  y = np.asarray(mix.cutmix(x, jnp.asarray([1, 4, 2, 7])))
  wanted = x.copy()
  wanted[:, 1:4, 2:7] = x[::-1, 1:4, 2:7]
  np.testing.assert_array_equal(y, wanted)


@pytest.mark.parametrize(
  "centre, box",
  [((8, 8), (4, 12, 4, 12)), ((0, 15), (0, 4, 11, 16)), ((1, 3), (0, 5, 0, 7))],
)
def test_boxes_have_the_share_of_lam_and_are_clipped(centre, box):
  made, kept = mix.cutmix_box(0.75, jnp.asarray(centre), (16, 16))
  np.testing.assert_array_equal(made, box)
  area = (box[1] - box[0]) * (box[3] - box[2])
  assert kept == pytest.approx(1 - area / 256)


def test_boxes_are_empty_or_everything_at_the_ends_of_lam():
  centre = jnp.asarray([4, 4])
  assert mix.cutmix_box(1.0, centre, (8, 8))[1] == 1
  assert mix.cutmix_box(0.0, centre, (8, 8))[1] == 0


def test_soft_targets_by_hand():
  labels, off, on = jnp.asarray([0, 2]), 0.1 / 4, 0.9 + 0.1 / 4
  targets = mix.soft_targets(labels, 0.75, 4, 0.1)
  high, low = 0.75 * on + 0.25 * off, 0.75 * off + 0.25 * on
  wanted = [[high, off, low, off], [low, off, high, off]]
  np.testing.assert_allclose(targets, wanted, rtol=1e-6)
  hard = mix.soft_targets(labels, 1.0, 4, 0.0)
  np.testing.assert_array_equal(hard, jax.nn.one_hot(labels, 4))
