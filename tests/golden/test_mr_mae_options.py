"""The adapter of MR-MAE on stages and teachers that no given case has."""

import golden_kit
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.convert import table
from jmim.convert.tables import mcmae as convert

ADAPTER = golden_kit.adapter("mr_mae")
BASE = {
  "img_size": 48,
  "grid": 3,
  "patch_sizes": [4, 2, 2],
  "dims": [4, 12, 8],
  "depth": [2, 1, 1],
  "heads": 2,
  "mlp_ratio": 2,
  "decoder_dim": 8,
  "decoder_depth": 2,
  "decoder_heads": 4,
  "mask_ratio": 0.6,
  "norm_pix_loss": False,
  "batch": 2,
}
TEACHERS = {
  "none": ({}, {}),
  "one, whitened": ({"target_norm": "whiten"}, {"": 5}),
  "three": ({}, {"0": 7, "1": 4, "10": 6}),
}


@pytest.mark.parametrize("name", TEACHERS)
def test_losses_from_what_else_is_returned(name):
  changes, widths = TEACHERS[name]
  config, rng = BASE | changes, np.random.default_rng(4)
  m = ADAPTER.method(config, 3)
  batch = {"image": jnp.zeros((2, 48, 48, 3))}
  shapes, _ = jax.eval_shape(m.init, jax.random.key(0), batch)
  main = golden_kit.weights(shapes)["main"]
  params = dict(table.export_tree(convert.full(m), main))
  inputs = {
    "imgs": golden_kit.normal(2, 3, 48, 48),
    "noise": rng.uniform(size=(2, 9)).astype(np.float32),
  }
  for i, width in widths.items():
    params[f"mimic_head{i}.weight"] = golden_kit.normal(width, 8, seed=width)
    params[f"mimic_head{i}.bias"] = golden_kit.normal(width, seed=9)
    inputs[f"teacher_tokens{i}"] = golden_kit.normal(2, 9, width, seed=3)
  case = golden_kit.Asked(config, inputs, params)
  case.outputs = dict.fromkeys(
    ["ids_keep", "mask", "latent", "pred", "loss_recon", "grad/mask_token"]
    + [f"loss_mimic{i}" for i in widths]
  )
  found = ADAPTER.run(case)
  assert found.keys() == case.outputs.keys()
  keep = np.argsort(inputs["noise"], 1)[:, :3]
  np.testing.assert_array_equal(found["ids_keep"], keep)
  x = inputs["imgs"].reshape(2, 3, 3, 16, 3, 16).transpose(0, 2, 4, 3, 5, 1)
  error = ((found["pred"] - x.reshape(2, 9, -1)) ** 2).mean(-1)
  want = (error * found["mask"]).sum() / 12
  np.testing.assert_allclose(found["loss_recon"], want, rtol=1e-4)
  for i in widths:
    t = np.take_along_axis(inputs[f"teacher_tokens{i}"], keep[..., None], 1)
    if "target_norm" in changes:
      t = t - t.mean(-1, keepdims=True)
      t = t / np.sqrt((t**2).mean(-1, keepdims=True) + 1e-5)
    h = found["latent"] @ params[f"mimic_head{i}.weight"].T
    want = ((h + params[f"mimic_head{i}.bias"] - t) ** 2).mean()
    np.testing.assert_allclose(found[f"loss_mimic{i}"], want, rtol=1e-4)
