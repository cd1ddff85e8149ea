import dataclasses

import numpy as np
import pytest

from jmim.data.procedural import warps

SIDE = 32


def rng(seed=0):
  return np.random.default_rng(seed)


def smooth(side=SIDE):
  """A picture that is linear: what is seen between its pixels is exact."""
  y, x = np.mgrid[:side, :side] / side
  return np.stack([x, y, 0.5 * x + 0.3 * y], axis=-1)


def test_the_spline_goes_through_its_points_and_keeps_planes():
  warp = warps.draw(SIDE, rng())
  plain = dataclasses.replace(warp, bend=0 * warp.bend)
  points = warps.control(SIDE)
  bent = warp.flow(points) - plain.flow(points)
  np.testing.assert_allclose(bent, warp.bend, atol=1e-8)
  plane = points @ np.array([[0.1, -0.2], [0.3, 0.05]]) + 1.5
  even = dataclasses.replace(plain, bend=plane)
  at = warps.pixels(SIDE)
  wanted = at @ np.array([[0.1, -0.2], [0.3, 0.05]]) + 1.5
  np.testing.assert_allclose(even.flow(at) - plain.flow(at), wanted, atol=1e-7)


def test_affine_warps_turn_about_the_middle():
  for seed in range(20):
    warp = warps.draw(SIDE, rng(seed), bent=False)
    assert not warp.bend.any()
    middle = np.full(2, (SIDE - 1) / 2)
    np.testing.assert_allclose(warp.flow(middle), warp.shift, atol=1e-9)
    scale = np.sqrt(np.linalg.det(warp.linear))
    assert 0.85 <= scale <= 1.15 and np.abs(warp.shift).max() <= 4
    turn = warp.linear / scale
    np.testing.assert_allclose(turn @ turn.T, np.eye(2), atol=1e-9)
    assert abs(np.rad2deg(np.arctan2(turn[1, 0], turn[0, 0]))) <= 15


def test_a_shift_shows_the_source_elsewhere():
  picture = rng().uniform(size=(SIDE, SIDE, 3))
  flow = np.float32([3, -2])
  target = warps.seen(picture, warps.pixels(SIDE) + flow)
  np.testing.assert_allclose(target[2:, :-3], picture[:-2, 3:], atol=1e-9)
  assert not target[:2].any() and not target[:, -3:].any()


def test_the_target_is_the_source_at_the_end_of_the_flow(monkeypatch):
  monkeypatch.setattr(warps, "NOISE", 0.0)
  monkeypatch.setattr(warps, "PASTED", 0.0)
  made = warps.pair(smooth(), rng(3))
  ends = warps.pixels(SIDE) + made["flow"]
  x, y = np.moveaxis(ends / SIDE, -1, 0)
  wanted = np.stack([x, y, 0.5 * x + 0.3 * y], axis=-1)
  known = made["known"]
  np.testing.assert_allclose(made["images"][1][known], wanted[known], atol=1e-5)
  assert 0.4 < known.mean() < 1
  outside = ((ends < 0) | (ends > SIDE - 1)).any(-1)
  np.testing.assert_array_equal(known, ~outside)
  assert not made["ambiguous"].any()


def test_a_patch_is_flat_or_striped_and_the_target_knows_where(monkeypatch):
  monkeypatch.setattr(warps, "NOISE", 0.0)
  shown, colours = 0, set()
  for seed in range(60):
    source = smooth()
    pasted, where = warps.patch(source, rng(seed))
    shown += bool(where.any())
    np.testing.assert_array_equal(pasted[~where], source[~where])
    if where.any():
      assert where.sum() == 12 * 12
      inside = np.unique(pasted[where].round(6), axis=0)
      colours.add(len(inside))
  assert colours == {1, 2} and 0.5 < shown / 60 < 0.9
  made = next(
    m
    for m in (warps.pair(smooth(), rng(s)) for s in range(20))
    if m["ambiguous"].any()
  )
  inside = made["images"][1][made["ambiguous"]]
  assert len(np.unique(inside.round(2), axis=0)) < 0.8 * len(inside)


@pytest.mark.parametrize("bent", [True, False])
def test_noise_lies_on_both(bent, monkeypatch):
  one = warps.pair(smooth(), rng(5), bent)
  monkeypatch.setattr(warps, "NOISE", 0.0)
  clean = warps.pair(smooth(), rng(5), bent)
  np.testing.assert_array_equal(one["flow"], clean["flow"])
  away = one["images"] - clean["images"]
  middle = (clean["images"] > 0.2) & (clean["images"] < 0.8)
  for i in (0, 1):
    np.testing.assert_allclose(away[i][middle[i]].std(), 0.05, rtol=0.1)
