"""The adapter of UMD on modes that the given cases leave out."""

import golden_kit
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.convert import table

BASE = {
  "num_classes": None,
  "channels": 2,
  "img_size": 8,
  "patch_size": [2, 2],
  "width": 16,
  "depth": 2,
  "dec_depth": 1,
  "num_heads": 2,
  "adaln": True,
  "scan": True,
  "no_noise_prob": 0.4,
  "mask_ratio_no_noise": 0.5,
  "mask_ratio": 0.25,
  "beta_schedule": "cosine",
  "timesteps": 30,
  "clip_denoised": False,
  "eta": 0.5,
  "cfg_scale": None,
  "num_cls": 1,
  "mlp_ratio": 2,
}
MODES = {
  "clean rows beside unmasked ones, labels, unrolled": {
    "mask_ratio": 0.0,
    "num_classes": 3,
    "cfg_scale": 0.0,
    "scan": False,
  },
  "clean rows only, tokens": {"no_noise_prob": 1.0, "adaln": False},
  "noised rows only, linear": {"no_noise_prob": 0.0, "beta_schedule": "linear"},
}
B = 5


def stored(config, n0):
  """Inputs as a case stores them: what a mode does not use is not there."""
  rng, (h, c) = np.random.default_rng(2), (8, config["channels"])
  normal = lambda *s: rng.normal(size=s).astype(np.float32)
  uniform = lambda rows: rng.uniform(size=(rows, 16)).astype(np.float32)
  inputs = {"image": normal(B, h, h, c), "sample_z": normal(2, h, h, c)}
  inputs["sample_noise"] = normal(3, 2, h, h, c)
  inputs["sample_steps"] = np.array([[29, 20], [20, 7], [3, -1]])
  if n0:
    inputs["mask_noise_clean"] = uniform(n0)
  if n0 < B:
    inputs["noise"] = normal(B - n0, h, h, c)
    inputs["t"] = rng.integers(0, 30, (B - n0, 1))
    if config["mask_ratio"]:
      inputs["mask_noise_noised"] = uniform(B - n0)
    if config["num_classes"]:
      inputs["y"] = rng.integers(0, 4, B - n0)
  if config["num_classes"]:
    inputs["sample_y"] = np.array([0, 2])
  return inputs


def exported(module, config):
  m = module.method(config)
  image = jnp.zeros((1, *m.shape))
  shapes = jax.eval_shape(
    lambda key: m.init(key, {"image": image})[0], jax.random.key(0)
  )
  params = golden_kit.weights(shapes)["main"]
  # Theirs has one bias per channel.
  bias = params["pred"]["bias"]
  params["pred"]["bias"] = np.resize(bias[: 2 * m.channels], bias.shape)
  return table.export_tree(module.convert.full(m, config["scan"]), params)


def hidden(scores, ratio):
  """[n, 8, 8, 1] pixels of the patches with the largest scores."""
  keep = int(16 * (1 - ratio))
  rank = np.argsort(np.argsort(scores, axis=1), axis=1)
  mask = (rank >= keep).reshape(-1, 4, 4, 1)
  return mask.repeat(2, axis=1).repeat(2, axis=2)


def test_scores_of_clean_rows_are_those_of_the_last_rows():
  module, config = golden_kit.adapter("umd"), {**BASE, "mask_ratio": 0.0}
  inputs = stored(config, 2)
  scores = module.drawn(module.method(config), inputs, B)["scores"]
  np.testing.assert_array_equal(scores[B - 2 :], inputs["mask_noise_clean"])
  assert not scores[: B - 2].any()


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_each_row_has_its_own_scores_and_share_of_the_loss(mode):
  module, config = golden_kit.adapter("umd"), {**BASE, **MODES[mode]}
  n0 = int(B * config["no_noise_prob"])
  inputs = stored(config, n0)
  found = module.run(golden_kit.Asked(config, inputs, exported(module, config)))
  assert all(np.isfinite(x).all() for x in found.values())
  c, image, loss = config["channels"], inputs["image"], 0.0
  if n0:
    mask = hidden(inputs["mask_noise_clean"], config["mask_ratio_no_noise"])
    np.testing.assert_array_equal(found["mask_clean"], mask)
    error = (found["pred_clean"][..., :c] - image[B - n0 :]) ** 2
    loss += n0 / B * error[mask[..., 0]].mean()
  if n0 < B:
    pred, mask = found["pred_noised"], np.zeros((B - n0, 8, 8, 1), bool)
    if config["mask_ratio"]:
      mask = hidden(inputs["mask_noise_noised"], config["mask_ratio"])
      np.testing.assert_array_equal(found["mask_noised"], mask)
    x0 = (pred[..., :c] - image[: B - n0]) ** 2
    eps = (pred[..., c:] - inputs["noise"]) ** 2
    on_x0 = mask[..., 0] if config["mask_ratio"] else slice(None)
    both = eps[~mask[..., 0]].mean() + x0[on_x0].mean()
    loss += (1 - n0 / B) * both / 2
  np.testing.assert_allclose(found["loss"], loss, rtol=1e-4)
