"""Which groups a teacher's saliency leaves visible."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.methods.parts import depth_guidance
from jmim.methods.parts import depth_views
from jmim.methods.parts import teacher as teachers
from jmim.nn import sizes

DIMS = sizes.Dims(variant="Ti/8", width=24, depth=1, heads=2)
TINY = depth_guidance.Guidance(
  views=depth_views.DepthViews(size=24),
  teacher=teachers.Teacher(family="dino", dims=DIMS),
)
NONE = dataclasses.replace(
  TINY, teacher=teachers.Teacher(family="none"), visible="random"
)


@pytest.mark.parametrize("ratio", [0.5, 0.8, 0.34])
def test_as_many_are_visible_as_the_ratio_says(ratio):
  part = dataclasses.replace(TINY, mask_ratio=ratio)
  noise = jax.random.uniform(jax.random.key(0), (5, 16))
  for saliency in (None, jnp.zeros((5, 16))):
    keep = np.asarray(part.keep(noise, saliency))
    assert (keep.sum(1) == 16 - int(ratio * 16)).all()


def test_groups_are_drawn_by_the_softmax_of_their_saliency():
  """The first that is drawn is group g as often as softmax(saliency) says."""
  s = jnp.asarray([0.0, 1.0, 2.0, -1.0])
  part = dataclasses.replace(TINY, mask_ratio=0.75)
  noise = jax.random.uniform(jax.random.key(1), (4000, 4))
  keep = part.keep(noise, jnp.broadcast_to(s, (4000, 4)))
  np.testing.assert_allclose(keep.mean(0), jax.nn.softmax(s), atol=0.03)


def test_flat_saliency_is_none():
  noise = jax.random.uniform(jax.random.key(2), (6, 10))
  np.testing.assert_array_equal(
    TINY.keep(noise, jnp.full((6, 10), 0.3)), TINY.keep(noise, None)
  )


def test_what_the_teacher_sees_is_read_at_points(fill, normal):
  x = jnp.asarray(normal(2, 20, 3))
  shapes = jax.eval_shape(TINY.net.init, jax.random.key(0))
  rng = np.random.default_rng(0)
  params = jax.tree.map(
    lambda s: (0.2 * rng.normal(size=s.shape)).astype("f4"), shapes
  )
  guide = TINY.look({"teacher": params}, x)
  assert guide.features.shape == (2, 3, 3, 3, 24)
  images = TINY.views.images(x)[1, 2][None]
  seen = TINY.net.read(params, images, layer=-1, importance=True)
  np.testing.assert_allclose(
    guide.saliency[1, 2].reshape(-1), seen["importance"][0], atol=1e-5
  )
  np.testing.assert_allclose(
    guide.features[1, 2].reshape(9, 24), seen["patches"][0], atol=1e-4
  )
  assert TINY.features == 72
  by = TINY.kept_saliency(
    {"teacher": params},
    x,
    centres=x[:, :10],
    noise=jax.random.uniform(jax.random.key(0), (2, 10)),
  )
  assert set(by) == {"guided", "random"} and by["guided"].shape == (2,)


def test_without_a_teacher_nothing_is_seen(normal):
  assert NONE.look({}, jnp.asarray(normal(1, 8, 3))) is None
  assert NONE.features == 0 and NONE.consts() == {}
  NONE.check(10)


@pytest.mark.parametrize(
  ("part", "changes", "match"),
  [
    (NONE, dict(visible="saliency"), "guide.visible"),
    (TINY, dict(mask_ratio=0.05), "mask_ratio"),
    (TINY, dict(views=depth_views.DepthViews(size=25)), "views.size 25"),
  ],
)
def test_fields_that_do_not_go_together(part, changes, match):
  with pytest.raises(ValueError, match=match):
    dataclasses.replace(part, **changes).check(10)
