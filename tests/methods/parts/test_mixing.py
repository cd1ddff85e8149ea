import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import randomness
from jmim.methods.parts import mixing as mixings
from jmim.nn import mix


def many(mixing, n=400, side=16):
  """Draws of n batches."""
  shapes = {"image": jnp.zeros((2, side, side, 3))}
  draw = lambda key: mixing.draw(randomness.Keys(key), shapes)
  return jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(0), n))


@pytest.mark.parametrize(
  "alphas, cuts", [((0.8, 1.0), {0, 1}), ((0.0, 1.0), {1}), ((0.8, 0.0), {0})]
)
def test_mixing_is_chosen_by_its_two_alphas(alphas, cuts):
  draws = many(mixings.Mixing(mixup=alphas[0], cutmix=alphas[1]))
  assert set(draws) == set(mixings.SHARED)
  assert set(np.asarray(draws["cut"]).astype(int)) == cuts
  if len(cuts) == 2:
    assert 0.4 < draws["cut"].mean() < 0.6
  if alphas[0]:  # Beta(0.8, 0.8): mean 1/2, variance 1 / (4 (2 a + 1))
    assert abs(draws["lam"].mean() - 0.5) < 0.05
    assert abs(draws["lam"].var() - 1 / (4 * 2.6)) < 0.02
  else:
    assert (draws["lam"] == 1).all()


def test_boxes_are_inside_and_their_centres_anywhere():
  y0, y1, x0, x1 = np.moveaxis(np.asarray(many(mixings.Mixing())["box"]), 2, 0)
  for low, high in ((y0, y1), (x0, x1)):
    assert (low >= 0).all() and (low <= high).all() and (high <= 16).all()
  assert (y0 == 0).mean() > 0.2 and (y1 == 16).mean() > 0.2
  # Beta(1, 1): the relative area before clipping is uniform, with mean 1/2.
  area = (y1 - y0) * (x1 - x0) / 256
  assert 0.2 < area.mean() < 0.45


def test_a_cut_batch_shows_and_counts_the_partners_box(normal_images):
  mixing, classes = mixings.Mixing(), 6
  batch = {"image": normal_images, "label": jnp.arange(8) % classes}
  draws = {
    "cut": jnp.asarray(True),
    "lam": jnp.float32(0.3),
    "box": jnp.asarray([[2, 10, 4, 8]]),
  }
  images, targets = mixing.apply(batch, draws, classes)
  np.testing.assert_array_equal(
    images[:, 2:10, 4:8], normal_images[::-1, 2:10, 4:8]
  )
  np.testing.assert_array_equal(images[:, :2], normal_images[:, :2])
  kept = 1 - 8 * 4 / 256
  want = mix.soft_targets(batch["label"], kept, classes, 0.1)
  np.testing.assert_allclose(targets, want, rtol=1e-6)
  np.testing.assert_allclose(targets.sum(1), 1, rtol=1e-5)


def test_a_mixed_batch_ignores_the_box(normal_images):
  batch = {"image": normal_images, "label": jnp.arange(8) % 6}
  draws = {
    "cut": jnp.asarray(False),
    "lam": jnp.float32(0.3),
    "box": jnp.asarray([[2, 10, 4, 8]]),
  }
  images, targets = mixings.Mixing(smoothing=0.0).apply(batch, draws, 6)
  np.testing.assert_allclose(
    images, 0.3 * normal_images + 0.7 * normal_images[::-1], rtol=1e-6
  )
  np.testing.assert_allclose(targets[0, 0], 0.3)
  np.testing.assert_allclose(targets[0, 1], 0.7)  # label of image 7


@pytest.fixture(scope="module")
def normal_images():
  return np.random.default_rng(0).normal(size=(8, 16, 16, 3)).astype("f4")
