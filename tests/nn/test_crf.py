import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import crf

RNG = np.random.default_rng(0)


def by_hand(unary, features, weights, *, steps, copies):
  """Mean field of [n, c] with kernels of features [n, k], in float64."""
  kernels = []
  for f in features:
    k = np.exp(-0.5 * ((f[:, None] - f) ** 2).sum(-1))
    norm = 1 / np.sqrt(k.sum(1))
    kernels.append(norm[:, None] * k * norm)

  def normal(score):
    e = np.exp(score - score.max(1, keepdims=True))
    return e / (copies * e).sum(1, keepdims=True)

  q = normal(-unary)
  for _ in range(steps):
    near = sum(w * k @ q for w, k in zip(weights, kernels, strict=True))
    q = normal(-unary + near)
  return q


@pytest.mark.parametrize("copies", [(1, 1, 19), (1, 1, 0)])
def test_it_is_mean_field_of_exact_kernels(copies):
  h, w, place, colour = 6, 7, 3.0, 40.0
  images = RNG.uniform(0, 255, (2, h, w, 3)).astype(np.float32)
  labels = RNG.integers(0, 2, (2, h, w))
  unary = crf.certain(labels, 2 + copies[2], 0.7)
  filters = (
    (3.0, crf.gaussian((h, w), 1.5)),
    (9.0, crf.bilateral(images, place, colour, exact_to=h * w)),
  )
  found = np.asarray(crf.mean_field(unary, filters, 4, copies=copies))
  grid = np.stack(np.mgrid[:h, :w], -1).reshape(-1, 2)
  for i in range(2):
    both = np.concatenate([grid / place, images[i].reshape(-1, 3) / colour], 1)
    wanted = by_hand(
      np.asarray(unary[i], np.float64).reshape(-1, 3),
      (grid / 1.5, both),
      (3.0, 9.0),
      steps=4,
      copies=np.array(copies),
    )
    np.testing.assert_allclose(found[i].reshape(-1, 3), wanted, atol=1e-5)


def test_copies_are_labels_that_nothing_tells_apart():
  """Of 21 labels of which 19 are alike: as all of them by themselves."""
  h = w = 5
  labels = RNG.integers(0, 2, (1, h, w))
  filters = ((3.0, crf.gaussian((h, w), 1.0)),)
  short = crf.certain(labels, 21, 0.5)
  whole = jnp.concatenate([short[..., :2]] + [short[..., 2:]] * 19, -1)
  a = crf.mean_field(short, filters, 3, copies=(1, 1, 19))
  b = crf.mean_field(whole, filters, 3)
  np.testing.assert_allclose(a, b[..., :3], atol=1e-6)
  np.testing.assert_allclose(b.sum(-1), 1, atol=1e-5)
  np.testing.assert_allclose(jnp.exp(-whole).sum(-1), 1, atol=1e-5)


def picture(side=32):
  """A bright disc on a dark ground, with a little noise; and the disc."""
  y, x = np.mgrid[:side, :side]
  disc = np.hypot(y - side / 2, x - side / 2) < side / 4
  image = 60 + 120 * disc[..., None] + RNG.normal(0, 4, (side, side, 3))
  return np.clip(image, 0, 255)[None].astype(np.float32), disc


def test_the_grid_is_near_the_exact_kernel():
  image, _ = picture()
  n = image.shape[1] ** 2
  x = RNG.random((1, 32, 32, 2)).astype(np.float32)
  exact = crf.bilateral(image, 10.0, 20.0, exact_to=n)
  grid = crf.bilateral(image, 10.0, 20.0, exact_to=0)
  a, b = (np.asarray(f(x)) for f in (exact, grid))
  assert np.abs(a - b).mean() < 0.03 * a.mean()
  assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.9


def test_a_ragged_mask_is_drawn_to_the_edge_of_a_thing():
  image, disc = picture()
  rough = disc ^ (RNG.random(disc.shape) < 0.15)
  filters = (
    (3.0, crf.gaussian(disc.shape, 1.0)),
    (10.0, crf.bilateral(image, 8.0, 13.0, exact_to=0)),
  )
  unary = crf.certain(rough[None].astype(int), 21, 0.5)
  q = np.asarray(crf.mean_field(unary, filters, 10, copies=(1, 1, 19)))
  assert (rough != disc).mean() > 0.1
  assert ((q[0, ..., 1] > 0.5) != disc).mean() < 0.005
