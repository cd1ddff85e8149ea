import colorsys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import visual_tasks

NAMES = tuple(visual_tasks.TASKS)
RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (2, 3, 6, 6, 3)).astype(np.float32)
U = RNG.uniform(size=(2, 3, 4)).astype(np.float32)
SAME_INPUT = tuple(n for n in NAMES if n not in ("inpaint", "next_position"))


def made(name, x=X, u=U):
  return [np.asarray(a) for a in visual_tasks.TASKS[name](x, u)]


def test_there_are_twelve_and_all_stay_in_the_range_of_pictures():
  assert len(NAMES) == 12
  for name in NAMES:
    for array in made(name):
      assert array.shape == X.shape and array.dtype == np.float32
      assert np.abs(array).max() <= 1
  for name in SAME_INPUT:
    np.testing.assert_array_equal(made(name)[0], X)


def test_every_task_asks_for_something_else():
  targets = {name: made(name)[1] for name in NAMES}
  for a in NAMES:
    for b in NAMES:
      same = {a, b} <= {"identity", "inpaint"}
      far = np.abs(targets[a] - targets[b]).max() > 0.1
      assert far == (a != b and not same), (a, b)


@pytest.mark.parametrize("name", ["invert", "flip", "transpose", "hue_swap"])
def test_some_tasks_undo_themselves(name):
  if name == "hue_swap":  # of colours that stay the commonest
    x = np.broadcast_to(visual_tasks.PALETTE[0], X.shape).copy()
    x[..., 1:4, 1:4, :] = visual_tasks.PALETTE[2]
    once = made(name, x)[1]
    assert (once[..., 1:4, 1:4, :] == visual_tasks.PALETTE[2][::-1]).all()
    np.testing.assert_array_equal(once[..., 0, :, :], x[..., 0, :, :])
    return
  np.testing.assert_array_equal(made(name, made(name)[1])[1], X)


def test_known_targets():
  np.testing.assert_array_equal(made("roll")[1][..., 1], X[..., 0])
  np.testing.assert_array_equal(made("flip")[1][..., 0, :], X[..., -1, :])
  small = X.reshape(2, 3, 3, 2, 3, 2, 3).mean((3, 5))
  np.testing.assert_allclose(
    made("blur")[1][..., 1::2, ::2, :], small, atol=1e-6
  )
  y = np.full((5, 4, 3), -1.0, np.float32)
  y[2:, 1:] = 0.2
  _, seen = made("edges", y)
  assert seen[0, 0, 0] == -1 and seen[2, 0, 0] == pytest.approx(0.2)
  assert seen[1, 0, 0] == -1 and seen[1, 2, 1] == pytest.approx(0.2)
  _, mask = made("mask", y)
  np.testing.assert_array_equal(mask[..., 0] > 0, y[..., 0] > 0)
  colours = visual_tasks.PALETTE[None] + 0.05
  _, after = made("relabel", colours)
  np.testing.assert_array_equal(after[0], np.roll(visual_tasks.PALETTE, -1, 0))


def test_odd_sides_are_blurred_too():
  y = RNG.uniform(-1, 1, (3, 5, 3)).astype(np.float32)
  _, seen = made("blur", y)
  np.testing.assert_allclose(seen[2, 4], y[2, 4], atol=1e-6)
  np.testing.assert_allclose(seen[0, 1], y[:2, :2].mean((0, 1)), atol=1e-6)


def test_a_square_is_missing_and_the_picture_is_the_answer():
  x = np.abs(X) + 0.01
  x = np.float32(x / x.max())
  seen, target = made("inpaint", x)
  np.testing.assert_array_equal(target, x)
  gone = (seen == 0).all(-1)
  np.testing.assert_array_equal(seen[~gone], x[~gone])
  for hole in gone.reshape(-1, 6, 6):
    rows, columns = np.nonzero(hole)
    sides = [np.ptp(a) + 1 for a in (rows, columns)]
    assert set(sides) <= {2, 3} and hole.sum() == np.prod(sides)


def test_a_dot_goes_on_as_it_went():
  x = np.full((200, 32, 48, 3), -1.0, np.float32)
  u = np.random.default_rng(1).uniform(size=(200, 4)).astype(np.float32)
  seen, target = made("next_position", x, u)
  place = lambda where: [
    np.mean(np.nonzero(picture), axis=1) for picture in where
  ]
  before, now = place((seen == 0).all(-1)), place((seen == 1).all(-1))
  after = place((target == 1).all(-1))
  steps = np.abs(2 * u[:, 2:] - 1) * visual_tasks.STEP * [32, 48]
  apart = (steps > 6).any(1)  # dots that do not overlap
  assert apart.sum() > 20
  for i in np.flatnonzero(apart):
    assert np.abs(after[i] - (2 * now[i] - before[i])).max() < 1.6
    area = ((target[i] == 1).all(-1)).sum()
    assert area == pytest.approx(np.pi * 3.2**2, rel=0.25)


def test_each_example_has_its_own_task():
  number = np.array([2, 0])
  names = ("flip", "edges", "inpaint")
  found = jax.jit(visual_tasks.apply, static_argnums=0)(names, number, X, U)
  for b, i in enumerate(number):
    for a, wanted in zip(found, made(names[i], X[b], U[b]), strict=True):
      np.testing.assert_allclose(a[b], wanted, atol=1e-6)


def test_transpose_wants_squares():
  with pytest.raises(ValueError, match=r"\(2, 3\): not square"):
    made("transpose", jnp.zeros((2, 3, 3)))


def test_colours_are_far_apart_also_in_hue():
  near = np.linalg.norm(
    visual_tasks.PALETTE[:, None] - visual_tasks.PALETTE[None], axis=-1
  )
  assert near[~np.eye(len(near), dtype=bool)].min() > 0.7
  hues = [
    colorsys.rgb_to_hsv(*(c + 1) / 2)[0] for c in visual_tasks.PALETTE[2:]
  ]
  assert np.diff(np.sort(hues)).min() > 0.08
