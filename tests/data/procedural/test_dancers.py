"""What a clip shows is what its numbers say."""

import dataclasses

import numpy as np
import pytest

from jmim.data.procedural import dancers

RNG = np.random.default_rng(0)
DANCER = dancers.draw(RNG, 12)
RED = dancers.Garment(
  kind=0,
  base=(250.0, 10.0, 10.0),
  second=(0.0, 0.0, 0.0),
  phase=(0.0, 0.0),
  period=1.0,
)
BLUE = dataclasses.replace(RED, base=(10.0, 10.0, 250.0))


def test_garments_differ_only_where_the_mask_hides():
  for seed in range(5):
    dancer = dancers.draw(np.random.default_rng(seed), 8)
    a, b = (dancers.render(dancer, g) for g in (RED, BLUE))
    hidden = dancers.masks(dancer)
    assert ((a != b).any(-1) <= (hidden > 0)).all()
    left = [dancers.agnostic(x, hidden) for x in (a, b)]
    np.testing.assert_array_equal(*left)
    assert (left[0][hidden > 0] == dancers.GREY).all()
    # It is a garment's width larger by a pixel, not more than that.
    inside = (a != b).any(-1).sum((1, 2))
    assert (hidden.sum((1, 2)) < 1.6 * inside).all()


def test_the_motion_leads_to_the_texture():
  """The middle of the torso, and its corners, are where the motion says."""
  image, motion = dancers.render(DANCER, RED), DANCER.motion()
  for u, v in ((0, 0), (0.7, 0.8), (-0.7, 0.8), (0.7, -0.8)):
    x, y = (motion @ np.array([u, v, 1.0])).T
    levels = image[np.arange(12), y.astype(int), x.astype(int)]
    np.testing.assert_allclose(levels, [[250, 10, 10]] * 12)
  x, y = (motion @ np.array([1.4, 0.0, 1.0])).T  # beside it
  levels = image[np.arange(12), y.astype(int), x.astype(int)]
  assert (np.abs(levels - RED.base).max(-1) > 20).all()


def test_a_pattern_moves_with_the_body():
  striped = dataclasses.replace(RED, kind=1, second=BLUE.base)
  image, motion = dancers.render(DANCER, striped, size=64), DANCER.motion()
  at = np.stack([np.linspace(-0.8, 0.8, 9), np.zeros(9), np.ones(9)])
  x, y = np.moveaxis(2 * (motion @ at), 1, 0)
  frames = np.arange(12)[:, None]
  levels = image[frames, y.astype(int), x.astype(int)]
  want = striped(at[0], at[1])
  assert np.abs(levels - want).mean() < 40
  assert np.abs(levels.mean(0) - want.mean(0)).max() > 40


def test_limits_of_the_motion_and_of_the_colours():
  for seed in range(20):
    rng = np.random.default_rng(seed)
    dancer, garment = dancers.draw(rng, 32), dancers.draw_garment(rng)
    assert np.abs(dancer.angle).max() <= dancers.TURN
    assert 0.9 <= dancer.scale.min() and dancer.scale.max() <= 1.1
    assert np.ptp(dancer.angle) > 0.05
    gap = np.abs(np.subtract(garment.base, garment.second))
    assert gap.min() > 60
    image = dancers.render(dancer, garment)
    assert image.min() >= 0 and image.max() <= 255


def test_the_skeleton_has_its_own_colours_left_and_right():
  drawn = dancers.pose(DANCER, 64)
  red = (drawn[..., 0] > 200) & (drawn[..., 2] < 100)
  blue = (drawn[..., 2] > 200) & (drawn[..., 0] < 100)
  x = np.arange(64)
  middle = lambda where: (where * x).sum((1, 2)) / where.sum((1, 2))
  assert (middle(red) < middle(blue)).all()
  assert (drawn.reshape(12, -1, 3).min(1) == 0).all()


@pytest.mark.parametrize("kind", range(len(dancers.KINDS)))
def test_flat_garments_show_their_kind(kind):
  garment = dataclasses.replace(RED, kind=kind, second=BLUE.base, period=1.0)
  flat = garment.flat(32)
  down, across = flat.std(0).mean(), flat.std(1).mean()
  name = dancers.KINDS[kind]
  assert (down > 1) == (name in ("dots", "check"))
  assert (across > 1) == (name != "plain")
