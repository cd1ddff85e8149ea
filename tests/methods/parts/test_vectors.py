import jax
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.parts import vectors
from jmim.nn import patch

PIXELS = vectors.Vectors(size=8, patch=4, std=(0.5, 0.25, 1.0))
VIT = field.replace(
  PIXELS,
  patch=2,
  teacher=dict(
    family="mae", dims=dict(variant="Ti/4", width=16, depth=3, heads=2)
  ),
)
IMAGE = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("f4")


def test_of_no_network_they_are_pixels():
  assert PIXELS.grid == (2, 2) and PIXELS.width == 48
  assert PIXELS.consts("") == {}
  found = PIXELS.of(methods.Weights({}), IMAGE)
  np.testing.assert_array_equal(found, patch.patchify(IMAGE, 4))


def test_features_are_those_of_the_block_asked_for():
  """Sixteen places: the ViT sees the image at 16 pixels."""
  (const,) = VIT.consts("own.").values()
  assert const.key == "method.own.teacher.path"
  params = const.init(jax.random.key(0))
  weights = methods.Weights({}, {}, {"features": params})
  found = VIT.of(weights, IMAGE)
  assert found.shape == (2, 16, VIT.width) == (2, 16, 16)
  want = VIT.net.read(params, IMAGE, layer=-3)["patches"]
  np.testing.assert_array_equal(found, want)
  last = field.replace(VIT, teacher=dict(layer=-1)).of(weights, IMAGE)
  assert np.abs(found - last).max() > 1e-3


def test_noise_is_in_units_of_the_image():
  seen = []

  def codes_of(images):
    seen.append(np.asarray(images))
    return (images[..., 0] > 0).reshape(len(images), -1)

  batch = {"image": IMAGE}
  found = PIXELS.stability(codes_of, batch, jax.random.key(0), (0.1, 0.2))
  clean, small, large = seen
  np.testing.assert_array_equal(clean, IMAGE)
  np.testing.assert_allclose(large - clean, 2 * (small - clean), atol=1e-5)
  noise = (small - clean) * np.array([0.5, 0.25, 1.0]) / 0.1
  assert 0.7 < noise.std((0, 1, 2)).min() < noise.std((0, 1, 2)).max() < 1.3
  same = ((large > 0) == (clean > 0))[..., 0].mean((1, 2))
  np.testing.assert_allclose(found["noise_0.2"], same, rtol=1e-6)


def test_mistakes():
  with pytest.raises(
    ValueError, match=r"own.size 8 does not divide by patch 3"
  ):
    field.replace(PIXELS, patch=3).inputs("own.")
  with pytest.raises(ValueError, match=r"own.channels 1: a ViT sees 3"):
    field.replace(VIT, channels=1).inputs("own.")
  with pytest.raises(ValueError, match=r"own.teacher.layer: 3 of 3 blocks"):
    field.replace(VIT, teacher=dict(layer=3)).inputs("own.")
