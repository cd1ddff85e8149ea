import dataclasses

import numpy as np
import pytest

from jmim.data.procedural import portrait_drawing
from jmim.data.procedural import portraits

INDEX = portrait_drawing.REGIONS.index
STILL = portraits.Expression(open=3.0, curve=0.0, brows=0.0)


def portrait(seed=0, **changes):
  """Upright, in an even light."""
  who = portraits.draw_identity(np.random.default_rng(seed))
  plain = portraits.Portrait(identity=who, expression=STILL)
  return dataclasses.replace(plain, **changes)


def test_regions_have_the_colours_of_the_identity():
  for seed in range(5):
    p = portrait(seed)
    image, region = portrait_drawing.parsed(p, 128)
    assert (image == portrait_drawing.render(p, 128)).all()
    assert set(np.unique(region)) == set(range(len(portrait_drawing.REGIONS)))
    for name in ("hair", "clothes", "skin"):
      own = image[region == INDEX(name)]
      want = np.array(getattr(p.identity, name)).clip(0, 255)
      assert np.abs(own - want).max() < 1


def test_a_bald_face_is_the_face_alone():
  p = portrait(3)
  other = dataclasses.replace(
    p.identity, hair=(9.0, 200.0, 9.0), texture=0, clothes=(1.0, 2.0, 3.0)
  )
  bald = portrait_drawing.bald(p, 64)
  twin = portrait_drawing.bald(dataclasses.replace(p, identity=other), 64)
  assert (bald == twin).all()
  image, region = portrait_drawing.parsed(p, 64)
  assert (bald[(region == INDEX("clothes")) & (bald.sum(-1) == 0)] == 0).all()
  # Far inside the face both agree.
  inside = (slice(34, 44), slice(26, 38))
  assert (bald[inside] == image[inside]).all()
  assert (bald[:4] == 0).all() and (bald[:, :6] == 0).all()


def test_each_factor_alone_moves_what_it_should():
  p = portrait(2)
  base, region = portrait_drawing.parsed(p, 128)
  changed = lambda **c: (
    portrait_drawing.render(dataclasses.replace(p, **c), 128) != base
  ).any(-1)
  face = (region == INDEX("skin")) | (region == INDEX("features"))
  wide = dataclasses.replace(STILL, open=0.0)
  mouth = changed(expression=wide)
  rows = np.nonzero(mouth)[0] / 4
  assert mouth.any() and not (mouth & ~face).any()
  middle = portraits.CENTRE + 0.5 * p.identity.axes[0]
  assert np.abs(rows - middle).max() < 3
  lit = changed(light=portraits.Light(angle=0.0, strength=0.5))
  assert lit.any() and not (lit & ~face).any()
  yaw = changed(pose=portraits.Pose(yaw=2.0))
  assert yaw.any() and not (yaw & ~face).any()
  brows = changed(expression=dataclasses.replace(STILL, brows=1.0))
  assert np.nonzero(brows)[0].max() / 4 < portraits.CENTRE


def test_light_is_linear_and_never_above_one():
  p = portrait(2)
  light = portraits.Light(angle=0.0, strength=0.5)
  lit = portrait_drawing.render(dataclasses.replace(p, light=light), 128)
  base, region = portrait_drawing.parsed(p, 128)
  row = int(4 * (portraits.CENTRE + 3))
  share = lit[row, :, 0] / base[row, :, 0]
  share = share[region[row] == INDEX("skin")]
  assert share.max() <= 1 and share[0] < share[-1]
  steps = np.diff(share)
  assert np.abs(steps).max() < 0.05


@pytest.mark.parametrize("seed", range(4))
def test_landmarks_lie_where_they_say(seed):
  rng = np.random.default_rng(seed)
  p = portrait(seed, pose=portraits.draw_pose(rng))
  image, region = portrait_drawing.parsed(p, 128)
  points = portrait_drawing.landmarks(p, 128)
  assert points.shape == (68, 2)
  np.testing.assert_allclose(
    points, 4 * portrait_drawing.landmarks(p, 32), rtol=1e-5
  )
  # Jaw points lie on the edge of the face: from the middle, a little nearer is
  # the face and a little farther is not.
  middle = 4 * np.array([16 + p.pose.x, portraits.CENTRE + p.pose.y])
  at = lambda xy: region[tuple(np.clip(xy[::-1].astype(int), 0, 127))]
  for k in range(3, 14):
    assert at(middle + 0.93 * (points[k] - middle)) in (3, 4)
    assert at(middle + 1.08 * (points[k] - middle)) not in (3, 4)
  # The mouth is dark inside; its height is that of the opening.
  dark = image[int(points[62:67, 1].mean()), int(points[62:67, 0].mean())]
  assert dark.max() < 70
  assert np.linalg.norm(points[62] - points[66]) / 4 == pytest.approx(2.6)
  assert np.linalg.norm(points[48] - points[54]) / 4 == pytest.approx(9.0)


def test_lids_cover_eyes():
  open_eyes = portrait_drawing.parsed(portrait(1), 128)[0]
  shut = dataclasses.replace(STILL, closed=1.0)
  closed = portrait_drawing.render(portrait(1, expression=shut), 128)
  white = lambda image: (image.min(-1) > 235).sum()
  assert white(open_eyes) > 20 and white(closed) == 0
  points = portrait_drawing.landmarks(portrait(1, expression=shut), 128)
  assert np.ptp(points[36:42, 1]) < 1e-4
