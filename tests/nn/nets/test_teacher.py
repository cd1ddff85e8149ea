import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import runtime
from jmim.nn import posemb
from jmim.nn import sizes
from jmim.nn.nets import teacher as teachers

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
CLIP = teachers.Teacher(
  family="clip",
  dims=sizes.Dims(variant="Ti/4", width=16, depth=2, heads=2),
  grid=(3, 3),
  mean=MEAN,
  std=STD,
  rt=runtime.Runtime(),
)
DINO = dataclasses.replace(CLIP, family="dino")


@pytest.fixture(scope="module")
def images():
  """Pixels in [0, 1], and as they are normalised for a student."""
  pixels = np.random.default_rng(1).random((2, 12, 12, 3), np.float32)
  return pixels, ((pixels - MEAN) / np.array(STD)).astype(np.float32)


@pytest.fixture(scope="module")
def layers(images):
  params = jax.jit(CLIP.init)(jax.random.key(0))
  return params, jax.jit(CLIP.layers)(params, images[1])


def test_clip_gets_images_with_its_own_mean_and_std(images):
  pixels, normalised = images
  expected = (pixels - teachers.CLIP_MEAN) / np.array(teachers.CLIP_STD)
  np.testing.assert_allclose(CLIP.view(normalised), expected, atol=1e-5)
  np.testing.assert_array_equal(DINO.view(normalised), normalised)


def test_images_are_resized_to_the_grid_of_the_student(images):
  half = dataclasses.replace(DINO, dims=sizes.Dims(variant="Ti/2"))
  small = half.view(jnp.asarray(images[1]))
  assert small.shape == (2, 6, 6, 3)
  flat = images[1].reshape(2, -1, 3)
  expected = posemb.resize(jnp.asarray(flat), (12, 12), (6, 6))
  np.testing.assert_allclose(small.reshape(2, -1, 3), expected, atol=1e-6)


def test_the_last_layer_read_has_no_norm_after_it(images, layers):
  params, out = layers
  assert "norm" not in params and "norm_pre" in params
  whole = CLIP.encoder.apply({"params": params}, CLIP.view(images[1]))
  np.testing.assert_allclose(out["block"][-1], whole["latent"], atol=1e-5)
  assert out["block"].shape == (2, 2, 10, 16)
  np.testing.assert_allclose(out["embedded"], whole["embedded"], atol=1e-5)


def test_importance_is_the_last_attention_of_cls_to_the_patches(images, layers):
  params, out = layers
  maps = CLIP.encoder.apply(
    {"params": params}, CLIP.view(images[1]), taps=("attention",)
  )["attention"]
  expected = maps[-1][:, :, 0, 1:].mean(1)
  np.testing.assert_allclose(out["importance"], expected, atol=1e-6)
  p = np.asarray(out["importance"])
  assert (p > 0).all() and (p.sum(1) < 1).all()


def test_no_gradient_reaches_a_teacher(images, layers):
  params, _ = layers

  def total(params):
    return sum(x.sum() for x in jax.tree.leaves(CLIP.layers(params, images[1])))

  grads = jax.jit(jax.grad(total))(params)
  assert not any(np.any(g) for g in jax.tree.leaves(grads))


@pytest.mark.parametrize(
  "kind, weights",
  [
    ("top2", [0, 0, 0.5, 0.5]),
    ("top4", [0.25] * 4),
    ("mid0", [1, 0, 0, 0]),
    ("mid2", [0, 0, 1, 0]),
    ("mean", [0.25] * 4),
    ("out", [0, 0, 0, 1]),
    ("linear_decay", [0, 1 / 6, 2 / 6, 3 / 6]),
  ],
)
def test_layer_weights(kind, weights):
  np.testing.assert_allclose(teachers.layer_weights(kind, 4), weights)


@pytest.mark.parametrize("kind", ["top5", "mid4", "top0", "best", "top"])
def test_layers_that_are_not_there_are_named(kind):
  with pytest.raises(ValueError, match=f"{kind}.* 4 blocks"):
    teachers.layer_weights(kind, 4)
