import jax.numpy as jnp
import numpy as np

from jmim.nn.nets import windows

GRID = (8, 8)


def test_windows_and_shifts_are_undone(normal):
  x = normal(2, *GRID, 3)
  for side in (2, 4, 8):
    np.testing.assert_array_equal(
      windows.join(windows.cut(x, side), side, GRID), x
    )
  back = windows.roll(windows.roll(jnp.asarray(x), 2), -2)
  np.testing.assert_array_equal(back, x)


def test_a_window_is_a_square_in_raster_order():
  ids = np.arange(64).reshape(1, 8, 8, 1)
  first = np.asarray(windows.cut(ids, 4))[1, :, 0]
  np.testing.assert_array_equal(first, ids[0, :4, 4:, 0].ravel())


def test_a_roll_moves_up_and_left():
  x = jnp.arange(16).reshape(1, 4, 4, 1)
  np.testing.assert_array_equal(
    windows.roll(x, 1)[0, :3, :3, 0], x[0, 1:, 1:, 0]
  )


def test_the_shift_mask_blocks_what_the_roll_brought_near():
  mask = windows.shift_mask(GRID, 4, 2)
  rolled = np.roll(np.indices(GRID), (-2, -2), axis=(1, 2))
  where = np.asarray(windows.cut(np.moveaxis(rolled, 0, -1)[None], 4))
  # Tokens of one window that were neighbours before the roll see each other.
  apart = np.abs(where[:, :, None] - where[:, None]).max(-1) >= 4
  np.testing.assert_array_equal(mask, np.where(apart, windows.BLOCKED, 0))


def test_the_bias_of_all_windows_is_the_mask_where_there_is_a_shift():
  mask = windows.shift_mask(GRID, 4, 2)
  bias = windows.shift_bias(GRID, 4, 2, batch=2, mask="swin")
  np.testing.assert_array_equal(bias[:, 0], np.concatenate([mask, mask]))
  assert not windows.shift_bias(GRID, 4, 0, batch=2).any()


def test_the_released_mask_parts_columns_of_the_last_row_of_windows():
  mask = windows.last_rows_mask(GRID, 4, 1)
  assert not mask[:2].any()
  late = np.arange(16) % 4 >= 3
  apart = late[:, None] != late
  for window in mask[2:]:
    np.testing.assert_array_equal(window, np.where(apart, windows.BLOCKED, 0))
