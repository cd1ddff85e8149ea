import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import matching

RNG = np.random.default_rng(0)
H, W = 5, 6


def normal(*shape):
  return RNG.normal(size=shape).astype(np.float32)


LEVELS = [normal(2, H, W, c) for c in (7, 4)]
OTHERS = [normal(2, H, W, c) for c in (7, 4)]


def length_one(f):
  return f / (np.linalg.norm(f, axis=-1, keepdims=True) + 1e-5)


def between(picture, x, y):
  """A picture [h, w] or [h, w, c] at (x, y), bilinear, 0 outside."""
  left, top = int(np.floor(x)), int(np.floor(y))
  total = 0.0
  for i in (top, top + 1):
    for j in (left, left + 1):
      if 0 <= i < picture.shape[0] and 0 <= j < picture.shape[1]:
        total += (1 - abs(y - i)) * (1 - abs(x - j)) * picture[i, j]
  return total


def test_cosines_are_means_over_levels_with_the_source_first():
  found = np.asarray(matching.correlation(LEVELS, OTHERS))
  each = [
    length_one(s)[1, 2, 3] @ length_one(t)[1, 4, 0]
    for s, t in zip(LEVELS, OTHERS, strict=True)
  ]
  np.testing.assert_allclose(found[1, 2, 3, 4, 0], np.mean(each), atol=1e-6)
  one = matching.correlation(LEVELS[:1], OTHERS[:1])
  assert np.abs(np.asarray(one) - found).max() > 0.1


def test_identical_images_do_not_move():
  flow = matching.likeliest(matching.correlation(LEVELS, LEVELS))
  np.testing.assert_array_equal(flow, 0)


def test_of_equally_likely_cells_the_first_counts():
  cosines = jnp.zeros((1, H, W, H, W)).at[0, 2, 1].set(1).at[0, 2, 4].set(1)
  flow = np.asarray(matching.likeliest(cosines))
  np.testing.assert_array_equal(flow[0, 0, 0], [1, 2])
  np.testing.assert_array_equal(flow[0, 4, 5], [1 - 5, 2 - 4])


@pytest.mark.parametrize("radius", [1, 2])
def test_cost_is_bilinear_and_the_first_index_moves_x(radius):
  cosines = matching.correlation(LEVELS, OTHERS)
  flow = 2 * normal(2, H, W, 2)
  found = np.asarray(matching.local_cost(cosines, flow, radius))
  side = 2 * radius + 1
  assert found.shape[-1] == side**2
  maps = np.asarray(cosines)
  for b, i, j in ((0, 0, 0), (0, 2, 3), (1, 4, 5)):
    x, y = np.array([j, i]) + flow[b, i, j]
    for m in range(side):
      for n in range(side):
        at = (x + m - radius, y + n - radius)
        wanted = between(maps[b, :, :, i, j], *at)
        np.testing.assert_allclose(
          found[b, i, j, m * side + n], wanted, atol=1e-5
        )


def test_a_shift_by_whole_cells_is_a_gather_and_has_the_greatest_cost():
  dx, dy = 1, -1
  target = [np.roll(f, (-dy, -dx), (1, 2)) for f in LEVELS]
  cosines = matching.correlation(LEVELS, target)
  flow = np.broadcast_to(np.float32([dx, dy]), (2, H, W, 2))
  found = np.asarray(matching.local_cost(cosines, flow, 1))
  maps = np.asarray(cosines)
  np.testing.assert_allclose(found[0, 2, 2, 4], maps[0, 1, 3, 2, 2], atol=1e-6)
  inside = found[:, 1:, : W - 1]
  np.testing.assert_allclose(inside[..., 4], 1, atol=1e-4)
  assert (inside.argmax(-1) == 4).all()
  sampled = matching.sampled_cost(LEVELS, target, flow, 1)
  np.testing.assert_allclose(sampled, found, atol=1e-5)


def test_features_are_of_length_one_where_they_were_read():
  """Between cells this is not what cosines between cells are."""
  flow = normal(2, H, W, 2)
  found = np.asarray(matching.sampled_cost(LEVELS, OTHERS, flow, 1))
  for b, i, j, k in ((0, 1, 2, 0), (1, 3, 3, 5), (1, 0, 0, 8)):
    x, y = np.array([j, i]) + flow[b, i, j] + matching.offsets(1)[k]
    each = []
    for s, t in zip(LEVELS, OTHERS, strict=True):
      seen = np.asarray(between(s[b], x, y), np.float64)
      each.append((length_one(seen) * length_one(t)[b, i, j]).sum())
    np.testing.assert_allclose(found[b, i, j, k], np.mean(each), atol=1e-5)
  cosines = matching.correlation(LEVELS, OTHERS)
  assert np.abs(found - matching.local_cost(cosines, flow, 1)).max() > 0.05


def test_error_is_twice_the_masked_mean_where_sides_agree():
  flow, truth = normal(2, H, W, 2), normal(2, H, W, 2)
  known = RNG.integers(0, 2, (2, H, W))
  found = matching.masked_error(flow, truth, known)
  wanted = 2 * ((flow - truth)[known > 0] ** 2).mean()
  np.testing.assert_allclose(found, wanted, rtol=1e-5)
  assert matching.masked_error(flow, truth, 0 * known) == 0
  grad = jax.grad(matching.masked_error)(jnp.asarray(flow), truth, known)
  assert (np.asarray(grad)[known == 0] == 0).all()


def test_corners_stay_on_corners():
  flow = normal(1, 4, 5, 2)
  wide = np.asarray(matching.resized(flow, (7, 9)))
  np.testing.assert_allclose(wide[0, ::6, ::8], flow[0, ::3, ::4], atol=1e-6)
  np.testing.assert_allclose(wide[:, ::2, ::2], flow, atol=1e-6)


def test_shares_and_pixels_are_of_width_and_height():
  flow = normal(2, 4, 7, 2)
  shares = matching.in_shares(flow, (4, 7))
  np.testing.assert_allclose(shares, flow / np.array([7, 4]), atol=1e-6)
  np.testing.assert_allclose(
    matching.in_pixels(shares, (4, 7)), flow, atol=1e-5
  )
  wide = np.asarray(matching.in_pixels(shares, (8, 14)))
  np.testing.assert_allclose(wide[:, 7, 13], 2 * flow[:, 3, 6], atol=1e-5)
