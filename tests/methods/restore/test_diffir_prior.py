import jax
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.restore import diffir_prior

B = 3
TINY = diffir_prior.DiffIRPrior.tiny()
HOLED = field.replace(
  TINY,
  size=16,
  dims=dict(unshuffle=1),
  degraded=dict(degradation="none", factor=1),
  holes=dict(boxes=1),
)


def images(normal, h=32, w=32):
  return (1 / (1 + np.exp(-normal(B, h, w, 3)))).astype(np.float32)


@pytest.fixture(scope="module")
def weights(fill):
  return methods.Weights(fill(TINY, {}, scale=0.2)[0])


restored = jax.jit(TINY.restored)


def test_the_loss_is_the_mean_error_of_what_is_restored(weights, normal):
  """By the vector of both images; what is drawn degrades them."""
  noisy = field.replace(TINY, degraded=dict(degradation="area"))
  batch, params = {"image": images(normal)}, weights.params["main"]
  draws = noisy.drawn(jax.random.key(0), batch)
  y, x = jax.jit(noisy.pair)(batch, draws)
  z = noisy.encoder.apply({"params": params["encoder"]}, y, x)
  made = restored(params, y, z)
  loss, _ = jax.jit(noisy.loss)(weights, batch, draws, 0)
  np.testing.assert_array_equal(x, batch["image"])
  assert y.shape == (B, 16, 16, 3) and made.shape == (B, 32, 32, 3)
  np.testing.assert_allclose(loss, np.abs(made - x).mean(), rtol=1e-5)


def test_images_of_any_side_are_mirrored_and_cut(weights, normal):
  """And restored by the vector of the image before, or by their own."""
  high = images(normal, 24, 28)
  batch, params = {"image": high, "index": np.arange(B)}, weights.params["main"]
  made = jax.jit(TINY.predict()["permuted"])(weights, batch, None)
  assert made["image"].shape == high.shape
  assert made["input"].shape == (B, 12, 14, 3)
  y, x = TINY.fitting(made["input"], high)
  assert y.shape == (B, 16, 16, 3) and x.shape == (B, 32, 32, 3)
  np.testing.assert_array_equal(y[:, 12:16], y[:, 7:11][:, ::-1])
  z = TINY.read(params, y, x)
  other = restored(params, y, np.roll(z, 1, axis=0))[:, :24, :28]
  np.testing.assert_allclose(made["image"], other, atol=1e-5)
  assert np.abs(other - restored(params, y, z)[:, :24, :28]).max() > 1e-3


def test_the_baseline_has_one_vector_for_all(fill, normal):
  baseline = field.replace(TINY, vector="constant")
  params = fill(baseline, {}, scale=0.2)[0]
  assert set(params["main"]) == {"net", "constant"}
  batch = {"image": images(normal), "index": np.arange(B)}
  run = jax.jit(lambda p: baseline.features(methods.Weights(p), batch, None))
  z = run(params)
  one = params["main"]["constant"]
  np.testing.assert_array_equal(z, np.broadcast_to(one, (B, *one.shape)))


def test_holes_are_shown_and_known_pixels_weigh_more(normal):
  batch = {"image": images(normal, 16, 16)}
  y, x = HOLED.pair(batch, HOLED.drawn(jax.random.key(0), batch))
  m = np.asarray(y)[..., 3:]
  assert 0 < m.mean() < 1
  np.testing.assert_array_equal(y[..., :3], np.where(m, 0, x))
  made = normal(*x.shape, seed=5)
  wanted = (np.abs(made - x) * np.where(m, 1, 10)).mean()
  np.testing.assert_allclose(HOLED.error(made, x, y), wanted, rtol=1e-5)


def test_known_pixels_stay(fill, normal):
  batch = {"image": images(normal, 16, 16), "index": np.arange(B)}
  params = methods.Weights(fill(HOLED, {}, scale=0.2)[0])
  made = jax.jit(HOLED.restore)(params, batch, None)
  kept = np.abs(made["image"] - batch["image"]).max(-1) == 0
  black = np.asarray(made["input"]).max(-1) == 0
  np.testing.assert_array_equal(kept, ~black)
  assert black.any() and kept.any()


def test_fields_that_do_not_go_together_are_named():
  wrong = field.replace(TINY, degraded=dict(factor=4))
  with pytest.raises(ValueError, match="dims.unshuffle=2"):
    wrong.inputs()
  with pytest.raises(ValueError, match="size 24 does not divide by 32"):
    field.replace(TINY, size=24).inputs()
  with pytest.raises(ValueError, match="holes.boxes=1"):
    field.replace(TINY, holes=dict(boxes=1)).inputs()
  assert TINY.inputs()["image"].shape == (32, 32, 3)
