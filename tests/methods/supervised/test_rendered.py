"""A classifier of depth images: a teacher that can be trained."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.core import tree as trees
from jmim.methods.parts import depth_guidance
from jmim.methods.parts import depth_views
from jmim.methods.parts import teacher as teachers
from jmim.methods.supervised import finetune
from jmim.methods.supervised import rendered

KEY = jax.random.key(0)
TINY = dataclasses.replace(rendered.Rendered.tiny(), drop_path=0.0)


@pytest.fixture(scope="module")
def batch(normal):
  label = jnp.asarray([0, 3, 2])
  return {"points": jnp.asarray(normal(3, 24, 3)), "label": label}


@pytest.fixture(scope="module")
def weights(batch):
  params, extra = jax.jit(TINY.init)(KEY, batch)
  rng = np.random.default_rng(0)
  noisy = lambda x: x + 0.1 * rng.normal(size=x.shape).astype("f4")
  return methods.Weights(jax.tree.map(noisy, params), extra)


def test_the_loss_is_that_of_one_view_of_each(batch, weights):
  draws = TINY.drawn(KEY, batch) | {"view": jnp.asarray([2, 0, 1])}
  loss, _ = jax.jit(TINY.loss)(weights, batch, draws, 0)
  images = TINY.views.images(batch["points"])
  chosen = jnp.stack([images[0, 2], images[1, 0], images[2, 1]])
  logp = jax.nn.log_softmax(TINY.logits(weights.params, chosen))
  s = TINY.mixing.smoothing
  own = logp[jnp.arange(3), batch["label"]]
  wanted = -((1 - s) * own + s * logp.mean(-1)).mean()
  np.testing.assert_allclose(loss, wanted, rtol=1e-5)


def test_every_view_is_drawn():
  batch = {"points": jnp.zeros((300, 24, 3))}
  views = np.asarray(TINY.drawn(KEY, batch)["view"])
  assert (np.bincount(views, minlength=3) > 60).all()


def test_predictions_are_means_over_the_views(batch, weights):
  images = TINY.views.images(batch["points"])
  each = [TINY.logits(weights.params, images[:, v]) for v in range(3)]
  found = jax.jit(TINY.classify)(weights, batch, KEY)
  np.testing.assert_allclose(found, sum(each) / 3, atol=1e-5)
  features = jax.jit(TINY.features)(weights, batch, KEY)
  assert features.shape == (3, 16) and features.dtype == jnp.float32


def test_its_encoder_is_a_teacher_of_the_family_dino(batch):
  ours, _ = jax.eval_shape(TINY.init, KEY, batch)
  guide = depth_guidance.Guidance(
    views=depth_views.DepthViews(size=TINY.size),
    teacher=teachers.Teacher(family="dino", dims=TINY.dims, norm=True),
  )
  like = jax.eval_shape(guide.consts()["teacher"].init, KEY)
  assert trees.named(ours["main"]["encoder"]) == trees.named(like)
  assert issubclass(rendered.Rendered, finetune.Finetune)


def test_depth_images_have_three_channels():
  with pytest.raises(ValueError, match="channels"):
    dataclasses.replace(TINY, channels=1).inputs()
