import jax
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.restore import cue_noise
from jmim.nn import hog

METHOD = cue_noise.CueNoise.tiny()


@pytest.fixture(scope="module")
def made(fill):
  batch = {"image": np.random.default_rng(0).random((2, 16, 16, 3), np.float32)}
  params, _ = fill(METHOD, batch)
  return methods.Weights(params), batch


def test_the_loss_is_that_of_the_picture_in_hidden_patches(made):
  weights, batch = made
  draws = METHOD.drawn(jax.random.key(0), batch)
  out = jax.jit(METHOD.forward)(weights.params, batch, draws)
  loss, _ = jax.jit(METHOD.loss)(weights, batch, draws, 0)
  mask = np.asarray(out["mask"].mask)
  assert mask.sum(1).tolist() == [8, 8]  # int(16 / 2) of 16 are kept
  shown = np.asarray(hog.picture(batch["image"], 4))[..., 0]
  patches = shown.reshape(2, 4, 4, 4, 4).swapaxes(2, 3).reshape(2, 16, 16)
  error = ((np.asarray(out["pred"]) - patches) ** 2).mean(-1)
  np.testing.assert_allclose(loss, (error * mask).sum() / 16, rtol=1e-5)


def test_pictures_have_the_channels_of_the_image(made):
  weights, batch = made
  out = jax.jit(METHOD.reconstruct)(weights, batch, jax.random.key(0))
  assert out["image"].shape == out["target"].shape == (2, 16, 16, 3)
  shown = hog.picture(batch["image"], 4)
  np.testing.assert_allclose(out["target"][..., :1], shown, atol=1e-6)
  np.testing.assert_array_equal(out["image"][..., 0], out["image"][..., 2])


def test_the_baseline_predicts_pixels():
  plain = field.replace(METHOD, target_of="pixels")
  assert plain.decoder.out == 3 * METHOD.decoder.out == 48
  image = np.random.default_rng(0).random((1, 16, 16, 3), np.float32)
  target = np.asarray(plain.target(image))
  np.testing.assert_allclose(target.mean(), image.mean(), rtol=1e-5)


def test_a_cell_larger_than_the_image_is_refused():
  """Its picture would be 0 everywhere; the baseline draws none."""
  large = field.replace(METHOD, cell=17)
  with pytest.raises(ValueError, match="cell 17 is larger than size 16"):
    large.inputs()
  assert field.replace(large, target_of="pixels").inputs()
