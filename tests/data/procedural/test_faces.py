import dataclasses

import numpy as np
import pytest

from jmim.data.procedural import faces


def face(label=0, seed=0, **changes):
  """A face of a class, in the middle, that looks straight ahead."""
  drawn = faces.draw(np.random.default_rng(seed))
  still = {"centre": (16.5, 16.5), "gaze": (0.0, 0.0), "brow": 0.0}
  still |= {"label": label, "shade": 0.0} | changes
  return dataclasses.replace(drawn, **still)


def test_every_size_is_the_mean_of_the_finest():
  drawn = faces.draw(np.random.default_rng(3))
  finest = faces.render(drawn, faces.FINEST)
  for size in (16, 32):
    each = faces.FINEST // size
    want = finest.reshape(size, each, size, each, 3).mean((1, 3))
    np.testing.assert_allclose(faces.render(drawn, size), want, atol=1e-2)
  assert finest.min() >= 0 and finest.max() <= 255


def test_what_is_drawn_keeps_to_its_class():
  drawn = [faces.draw(np.random.default_rng([1, i])) for i in range(600)]
  counts = np.bincount([f.label for f in drawn], minlength=12)
  assert len(counts) == 12 and counts.min() > 25 and counts.max() < 80
  hairs = np.array(list(faces.HAIR.values()))
  for f in drawn:
    hair, mouth = divmod(f.label, 3)
    far = np.abs(hairs - np.array(f.hair)).sum(1)
    assert far.argmin() == hair
    way = list(faces.MOUTHS.values())[mouth]
    assert np.sign(f.curve) * (abs(f.curve) > 1) == way
    assert f.axes[0] > f.axes[1] > f.mouth / 2


def test_hair_is_above_and_skin_is_below_its_line():
  plain = ((100.0,) * 3,) * 2
  f = face(hairline=6.0, axes=(12.0, 10.0), ground=plain)
  image = faces.render(f, 128) / 1.0
  at = lambda y, x: image[int(4 * (16.5 + y)), int(4 * (16.5 + x))]
  np.testing.assert_allclose(at(-8, 0), f.hair, atol=1e-3)
  np.testing.assert_allclose(at(3, 8), f.skin, atol=1e-3)
  np.testing.assert_allclose(at(2, 0), 0.72 * np.array(f.skin), atol=1e-3)
  # The middle of the face is half a unit beside that of the picture.
  np.testing.assert_allclose(image[:, 4:], image[:, :3:-1], atol=1e-3)


@pytest.mark.parametrize("curve", [-2.5, 0.0, 2.5])
def test_corners_of_a_mouth_are_up_when_it_smiles(curve):
  f = face(mouth=10.0, curve=curve, open=0.0, axes=(12.0, 10.0))
  image = faces.render(f, 128)
  red = image[..., 0] - image[..., 1]
  skin = f.skin[0] - f.skin[1]
  lips = np.abs(red - 120) < np.abs(red - skin)
  lips[: 4 * 18] = False
  height = lambda x: np.nonzero(lips[:, int(4 * (16.5 + x))])[0].mean() / 4
  gap = height(0) - height(4)
  assert gap == pytest.approx(curve * 0.64, abs=0.15)


def test_light_falls_from_one_side():
  f = face(shade=0.3, shade_angle=0.0, axes=(12.0, 10.0))
  image = faces.render(f, 128)
  at = lambda x: image[4 * 19, int(4 * (16.5 + x))]
  left, right = at(-8), at(8)
  assert (left > right * 1.1).all()
