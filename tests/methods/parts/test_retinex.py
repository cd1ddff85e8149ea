import numpy as np

from jmim.methods.parts import retinex


def maps(*seeds):
  return [
    np.random.default_rng(s).random((2, 4, 5, 1)).astype(np.float32)
    for s in seeds
  ]


def test_slopes_are_scaled_over_the_batch():
  """A steeper image beside it makes the slopes of another smaller."""
  (light,) = maps(0)
  alone = retinex.apart(light[:1], light[:1])
  beside = retinex.apart(light * np.float32([[[[1]]], [[[9]]]]), light)
  again = retinex.apart(light[1:], light[1:])
  assert abs(beside / ((alone + again) / 2) - 1) > 0.05


def test_what_is_the_same_costs_nothing():
  a, b = maps(0, 1)
  assert retinex.squared_slopes(a, a + 3) < 1e-10
  assert retinex.squared_slopes(a, b) > 1e-3
  assert retinex.l1(a, a) == 0


def test_a_weight_of_0_leaves_its_term_out():
  light, noise, grey = maps(0, 1, 2)
  image = np.repeat(grey, 3, -1)
  found = dict(
    light=light,
    reflectance=image,
    noise=noise,
    enhanced=light,
    restored=image,
    image=light * image,
  )
  losses = retinex.Losses(input=0.0, slopes=0.0, low=2.0)
  terms = losses.terms(image, image, seen=found, true=found)
  assert set(terms) == {
    *("low", "truth", "reflectance", "restored", "image", "light"),
    *("mutual", "mutual_enhanced"),
  }
  rest = abs(light * image + noise - image).mean()
  np.testing.assert_allclose(terms["low"], 2 * rest, rtol=1e-5)
  assert terms["reflectance"] == terms["restored"] == 0
