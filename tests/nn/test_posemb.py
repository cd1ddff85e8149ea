import math

import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest

from jmim.nn import posemb


def _slow_table(width, grid, order):
  """The card's formula, one number at a time."""
  h, w = grid
  quarter = width // 4
  table = np.zeros((h * w, width))
  for y in range(h):
    for x in range(w):
      first, second = (x, y) if order == "xy" else (y, x)
      for k in range(quarter):
        omega = 10000 ** (-k / quarter)
        row = table[y * w + x]
        row[k] = math.sin(first * omega)
        row[quarter + k] = math.cos(first * omega)
        row[2 * quarter + k] = math.sin(second * omega)
        row[3 * quarter + k] = math.cos(second * omega)
  return table


@pytest.mark.parametrize("order", ["xy", "yx"])
@pytest.mark.parametrize("prefix", [0, 1, 3])
def test_table_follows_the_formula(order, prefix):
  table = posemb.sincos_2d(12, (3, 5), order, prefix)
  assert table.dtype == np.float32
  assert not table[:prefix].any()
  wanted = _slow_table(12, (3, 5), order).astype(np.float32)
  np.testing.assert_allclose(table[prefix:], wanted, rtol=0, atol=1e-7)


def test_a_table_may_start_at_the_centres_of_patches():
  """Twice as fine from one half is every second row from 1."""
  centred = posemb.sincos_2d(12, (3, 5), start=0.5)
  fine = posemb.sincos_2d(12, (6, 10), step=0.5).reshape(6, 10, 12)
  np.testing.assert_array_equal(centred, fine[1::2, 1::2].reshape(-1, 12))


def test_table_is_computed_in_double_precision():
  # In float32 the angle 3000 is known to 1e-4 only.
  row = posemb.sincos_1d(np.array([3000]), 4)[0]
  wanted = [math.sin(3000), math.sin(30), math.cos(3000), math.cos(30)]
  np.testing.assert_allclose(row, wanted, rtol=0, atol=1e-12)


def test_axis_orders_differ_by_a_swap_of_halves_and_of_axes():
  xy, yx = (posemb.sincos_2d(8, (4, 3), order) for order in ("xy", "yx"))
  np.testing.assert_array_equal(xy, np.roll(yx, 4, axis=1))
  assert np.abs(xy - yx).max() > 0.1


@pytest.mark.parametrize(
  ("args", "message"),
  [
    ((6, (2, 2)), "divide by 4, got 6"),
    ((8, (2, 2), "yz"), "'xy' or 'yx', got 'yz'"),
  ],
)
def test_impossible_tables_are_refused(args, message):
  with pytest.raises(ValueError, match=message):
    posemb.sincos_2d(*args)


def test_odd_width_is_refused():
  with pytest.raises(ValueError, match="even, got 3"):
    posemb.sincos_1d(np.arange(2), 3)


def _cubic(t, a):
  t = abs(t)
  if t <= 1:
    return (a + 2) * t**3 - (a + 3) * t**2 + 1
  if t < 2:
    return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a
  return 0.0


def _slow_bicubic(image, h_out, w_out, a=-0.75):
  """torch's upsample_bicubic2d, align_corners=False: 4 x 4 clamped taps."""
  h, w = image.shape[:2]
  out = np.zeros((h_out, w_out, *image.shape[2:]))
  for y in range(h_out):
    for x in range(w_out):
      cy = (y + 0.5) * h / h_out - 0.5
      cx = (x + 0.5) * w / w_out - 0.5
      for i in range(math.floor(cy) - 1, math.floor(cy) + 3):
        for j in range(math.floor(cx) - 1, math.floor(cx) + 3):
          pixel = image[min(max(i, 0), h - 1), min(max(j, 0), w - 1)]
          out[y, x] += _cubic(cy - i, a) * _cubic(cx - j, a) * pixel
  return out


@pytest.mark.parametrize("grid", [(7, 5), (2, 9), (3, 4)])
def test_resize_equals_the_sixteen_tap_loop(grid):
  table = np.random.default_rng(0).normal(size=(2, 2 + 12, 3))
  table = table.astype(np.float32)
  found = posemb.resize(jnp.asarray(table), (3, 4), grid, prefix=2)
  np.testing.assert_array_equal(found[:, :2], table[:, :2])
  for row, body in zip(found, table[:, 2:], strict=True):
    wanted = _slow_bicubic(body.reshape(3, 4, 3), *grid)
    np.testing.assert_allclose(row[2:], wanted.reshape(-1, 3), atol=1e-5)


def test_resize_to_the_same_grid_changes_nothing():
  table = np.random.default_rng(0).normal(size=(13, 4)).astype(np.float32)
  found = posemb.resize(jnp.asarray(table), (3, 4), (3, 4), prefix=1)
  np.testing.assert_array_equal(found, table)


def test_resize_refuses_a_table_of_another_grid():
  with pytest.raises(ValueError, match=r"1 \+ a \(3, 4\) grid"):
    posemb.resize(jnp.zeros((12, 4)), (3, 4), (6, 8), prefix=1)


def test_rotary_products_depend_on_the_distance_only(normal):
  grid, d = (4, 5), 8
  angles = posemb.rotary(grid, d, 100.0)
  assert angles.shape == (20, d // 2)
  q, k = (np.broadcast_to(normal(d, seed=s), (1, 1, 20, d)) for s in (0, 1))
  q, k = (np.asarray(posemb.rotate(x, angles[None])) for x in (q, k))
  scores = (q[0, 0] @ k[0, 0].T).reshape(*grid, *grid)
  for dy, dx in ((0, 1), (1, 0), (2, 3)):
    same = [
      scores[y, x, y + dy, x + dx]
      for y in range(grid[0] - dy)
      for x in range(grid[1] - dx)
    ]
    np.testing.assert_allclose(same, same[0], atol=1e-5)
  assert np.ptp(scores) > 0.1


def test_rotary_is_a_rotation_that_spares_the_first_tokens(normal):
  x = normal(2, 3, 6, 8)
  angles = posemb.rotary((2, 2), 8, 100.0, centred=True)
  found = np.asarray(posemb.rotate(x, angles[None]))
  np.testing.assert_array_equal(found[:, :, :2], x[:, :, :2])
  a, b = (v[..., :4] + 1j * v[..., 4:] for v in (x, found))
  np.testing.assert_allclose(
    b[:, :, 2:], a[:, :, 2:] * np.exp(1j * angles), atol=1e-5
  )
  # Centres of a 2 x 2 grid are at -1/2 and 1/2 of the image.
  np.testing.assert_allclose(angles[0, :2], [-np.pi, -np.pi / 10], rtol=1e-6)
  np.testing.assert_allclose(angles[0], -angles[3])


def _turned(x, places, widths, theta):
  """Slice by slice and pair by pair, as complex numbers."""
  y, start = np.array(x, np.float64), 0
  for a, w in enumerate(widths):
    for j in range(w // 2):
      angle = places[:, a] * theta ** (-2 * j / w)
      pair = x[..., start + j] + 1j * x[..., start + j + w // 2]
      pair = pair * np.exp(1j * angle)
      y[..., start + j] = pair.real
      y[..., start + j + w // 2] = pair.imag
    start += w
  return y


@pytest.mark.parametrize(
  ("grid", "widths"),
  [((3,), (8,)), ((2, 3), (4, 4)), ((2, 3, 2), (4, 2, 6)), ((2, 2), (0, 4))],
)
def test_each_axis_turns_its_own_slice(normal, grid, widths):
  places = posemb.grid_places(*grid)
  np.testing.assert_array_equal(places, list(np.ndindex(*grid)))
  x = normal(2, 3, len(places), sum(widths))
  angles = posemb.rotary_axes(places, widths, 50.0)
  found = posemb.rotate(x, angles[None], widths)
  wanted = _turned(x, places, widths, 50.0)
  np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_positions_may_be_given_and_only_differences_count(normal):
  widths, places = (4, 2), normal(6, 2)
  q, k = (normal(1, 1, 6, 6, seed=s) for s in (0, 1))

  def scores(places):
    angles = posemb.rotary_axes(places, widths, 100.0)[None]
    a, b = (posemb.rotate(x, angles, widths)[0, 0] for x in (q, k))
    return a @ b.T

  found = scores(places)
  np.testing.assert_allclose(found, scores(places + [3.0, -7.5]), atol=1e-4)
  assert np.abs(found - scores(2 * places)).max() > 0.1


def test_rows_and_columns_are_two_axes_whose_pairs_are_in_other_places(normal):
  """The order of pairs is a permutation of a head's numbers."""
  grid, d = (3, 4), 16
  angles = posemb.rotary(grid, d, 100.0)
  omega = 100.0 ** (-np.arange(d // 4) / (d // 4))
  y, x = np.divmod(np.arange(12), 4)
  wanted = np.concatenate([np.outer(y, omega), np.outer(x, omega)], 1)
  np.testing.assert_array_equal(angles, wanted.astype(np.float32))
  half = d // 4
  order = np.concatenate([np.arange(half) + s * half for s in (0, 2, 1, 3)])
  head = normal(1, 1, 12, d)
  slices = posemb.rotate(head, angles[None], (d // 2, d // 2))
  whole = posemb.rotate(head[..., order], angles[None])
  np.testing.assert_array_equal(slices[..., order], whole)


@pytest.mark.parametrize("widths", [(3, 5), (4,), (2, 2, 2)])
def test_axes_and_widths_must_agree(widths):
  with pytest.raises(ValueError, match="2 axes need as many even widths"):
    posemb.rotary_axes(posemb.grid_places(2, 2), widths, 10.0)


def test_slices_must_be_the_whole_head(normal):
  with pytest.raises(ValueError, match=r"\(4, 2\) are no head of 8"):
    posemb.rotate(normal(1, 1, 1, 8), np.zeros((1, 1, 3)), (4, 2))


def test_heads_may_turn_differently(normal):
  x, angles = normal(2, 3, 6, 8), normal(1, 3, 4, 4, seed=1)
  found = posemb.rotate(x, angles)
  for h in range(3):
    alone = posemb.rotate(x[:, h : h + 1], angles[:, h])
    np.testing.assert_array_equal(found[:, h : h + 1], alone)


def test_relative_bias_depends_on_the_offset_only(fill):
  module = posemb.RelativeBias(heads=2, grid=(3, 4), prefix=1)
  bias = np.asarray(module.apply(fill(module)))
  yx = np.indices((3, 4)).reshape(2, -1).T
  seen = {}
  for a, b in np.ndindex(12, 12):
    offset = tuple(yx[a] - yx[b])
    value = bias[:, 1 + a, 1 + b]
    np.testing.assert_array_equal(seen.setdefault(offset, value), value)
  assert len({tuple(v) for v in seen.values()}) == 5 * 7
  # The class token: one value as a query, one as a key, one for itself.
  assert len({tuple(v) for v in bias[:, 0, 1:].T}) == 1
  assert len({tuple(v) for v in bias[:, 1:, 0].T}) == 1
  corner = [bias[0, 0, 0], bias[0, 0, 1], bias[0, 1, 0]]
  assert len(set(map(float, corner))) == 3


@pytest.mark.parametrize("grid", [(2, 3), (7, 5), (5, 9)])
def test_a_smooth_resize_equals_pillow(grid):
  """Pillow's bicubic filter is antialiased, with a = -0.5."""
  table = np.random.default_rng(0).normal(size=(2 + 35, 3)).astype("f4")
  found = posemb.resize(
    jnp.asarray(table), (7, 5), grid, prefix=2, antialias=True
  )
  np.testing.assert_array_equal(found[:2], table[:2])
  for i in range(3):
    plane = PIL.Image.fromarray(table[2:, i].reshape(7, 5))
    want = np.asarray(plane.resize(grid[::-1], PIL.Image.Resampling.BICUBIC))
    np.testing.assert_allclose(
      found[2:, i].reshape(grid), want, rtol=1e-4, atol=1e-5
    )
