"""Views of clouds as images, and maps of them."""

import jax.numpy as jnp
import numpy as np
import pytest

from jmim.methods.parts import depth_views
from jmim.nn import project


def test_images_are_normalised_and_a_picture_has_them_side_by_side(normal):
  views = depth_views.DepthViews(size=16)
  x = jnp.asarray(normal(2, 20, 3))
  images = np.asarray(views.images(x))
  depth = np.asarray(project.depth(x, 16))
  again = images * np.array(views.std) + np.array(views.mean)
  np.testing.assert_allclose(again, np.stack([depth] * 3, -1), atol=1e-5)
  picture = views.picture(x)
  np.testing.assert_array_equal(picture[:, :, 16:32], images[:, 1])


def test_a_guide_reads_means_of_saliency_and_features_view_after_view(normal):
  views = depth_views.DepthViews(size=16)
  x = jnp.asarray(normal(2, 20, 3))
  # Flat maps whose values say which cloud and view they are of.
  value = np.arange(6.0).repeat(4).reshape(6, 4)
  features = np.stack([value, 10 + value], -1)
  guide = views.guide(x, value, features)
  np.testing.assert_allclose(
    guide.saliency_at(x[:, :3]), [[1] * 3, [4] * 3], rtol=1e-5
  )
  read = np.asarray(guide.features_at(x[:, :6].reshape(2, 2, 3, 3)))
  assert read.shape == (2, 2, 3, 6)
  np.testing.assert_allclose(read[0, 0, 0], [0, 10, 1, 11, 2, 12], atol=1e-4)
  np.testing.assert_allclose(read[1, 1, 2], [3, 13, 4, 14, 5, 15], atol=1e-4)


def test_an_odd_side_is_refused():
  """Where a point at the end of an odd side would paint over its edge."""
  depth_views.DepthViews(size=16).check("own")
  with pytest.raises(ValueError, match="own.size 15: an even number"):
    depth_views.DepthViews(size=15).check("own")


def test_statistics_are_of_three_channels():
  with pytest.raises(ValueError, match="own.std"):
    depth_views.DepthViews(std=(1.0,)).check("own")
