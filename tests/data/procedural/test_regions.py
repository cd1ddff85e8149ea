import dataclasses

import numpy as np

from jmim.data.procedural import regions


def scene(textures, colours, sites, ellipses=()):
  """A scene of given paints; stripes are upright and 4 pixels wide."""
  paints = tuple(
    regions.Paint(texture=t, colour=(c,) * 3, angle=0.0, period=8.0)
    for t, c in zip(textures, colours, strict=True)
  )
  ellipses = np.reshape(ellipses, (-1, 5))
  return regions.Scene(
    sites=np.array(sites, float), ellipses=ellipses, paints=paints
  )


RNG = np.random.default_rng


def test_pixels_belong_to_the_nearest_site_unless_an_ellipse_hides_it():
  drawn = scene([0] * 3, [50, 150, 200], [(8, 4), (8, 12)], [8, 8, 3, 3, 0])
  image, ids = regions.render(drawn, 16, RNG(0))
  y, x = np.mgrid[:16, :16] + 0.5
  disc = (y - 8) ** 2 + (x - 8) ** 2 < 9
  want = np.where(disc, 3, np.where(x < 8, 1, 2))
  np.testing.assert_array_equal(ids, want)
  assert ids.dtype == np.uint8
  # Away from edges a pixel has the colour of its region, on them a mixture.
  pure = np.isin(image[..., 0], [50, 150, 200])
  assert (image[pure][:, 0] == np.array([0, 50, 150, 200])[ids[pure]]).all()
  assert 10 < (~pure).sum() < 40 and (~pure)[disc].any()
  assert image.min() >= 50 and image.max() <= 200


def test_textures_are_what_they_are_called():
  flat = scene([0], [100], [(8, 8)])
  image, _ = regions.render(flat, 16, RNG(0))
  assert (image == 100).all()
  striped = scene([1], [100], [(8, 8)])
  image, _ = regions.render(striped, 16, RNG(0))
  light, dark = 100 * (1 + regions.CONTRAST), 100 * (1 - regions.CONTRAST)
  row = np.repeat([light, dark, light, dark], 4)
  np.testing.assert_allclose(image[..., 1], np.tile(row, (16, 1)), rtol=1e-5)
  checked = scene([2], [100], [(8, 8)])
  image, _ = regions.render(checked, 16, RNG(0))
  np.testing.assert_allclose(image[0, :, 0], row, rtol=1e-5)
  np.testing.assert_allclose(image[4, :, 0], row[::-1], rtol=1e-5)
  noisy = scene([3], [100], [(32, 32)])
  image, _ = regions.render(noisy, 64, RNG(0))
  assert abs(image.std() / regions.GRAIN - 1) < 0.03


def test_scenes_are_random_and_of_a_size():
  for size, fewest, most in ((24, 3, 6), (48, 6, 12)):
    drawn = [regions.draw(size, RNG([2, i])) for i in range(200)]
    cells = [len(s.sites) for s in drawn]
    assert min(cells) == fewest and max(cells) == most
    assert {len(s.ellipses) for s in drawn} == {0, 1, 2, 3}
    used = {p.texture for s in drawn for p in s.paints}
    assert used == set(range(4))
    for s in drawn[:5]:
      assert len(s.paints) == len(s.sites) + len(s.ellipses)
      assert s.sites.min() >= 0 and s.sites.max() <= size


def test_a_picture_is_what_the_generator_makes_of_it():
  drawn = regions.draw(24, RNG(4))
  one, ids = regions.render(drawn, 24, RNG(5))
  two, same = regions.render(drawn, 24, RNG(5))
  np.testing.assert_array_equal(one, two)
  np.testing.assert_array_equal(ids, same)
  moved = dataclasses.replace(drawn, sites=drawn.sites[::-1])
  assert (regions.render(moved, 24, RNG(5))[1] != ids).any()
