"""The adapter of LMD on schedules of other lengths, and raw targets."""

import golden_kit
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.convert import table
from jmim.convert.tables import lmd as convert

ADAPTER = golden_kit.adapter("lmd")
BASE = {
  "img_size": 12,
  "patch_size": 4,
  "in_chans": 4,
  "embed_dim": 8,
  "depth": 1,
  "num_heads": 2,
  "decoder_embed_dim": 4,
  "decoder_depth": 1,
  "decoder_num_heads": 1,
  "mlp_ratio": 2,
  "norm_pix_loss": False,
  "batch": 2,
  "mask_ratio": 0.4,
  "total_steps": 50,
  "layer_norm_eps": 1e-6,
}


@pytest.fixture(scope="module")
def case():
  m = ADAPTER.method(BASE)
  batch = {"image": jnp.zeros((2, 12, 12, 4))}
  shapes, _ = jax.eval_shape(m.init, jax.random.key(0), batch)
  main = golden_kit.weights(shapes)["main"]
  params = dict(table.export_tree(convert.full(m), main))
  rng = np.random.default_rng(4)
  inputs = {
    "latents": golden_kit.normal(2, 4, 12, 12),
    "mask_noise": rng.uniform(size=(2, 9)).astype(np.float32),
    "ratio": np.float32(0.4),
  }
  return golden_kit.Asked(BASE, inputs, params)


def ramp(step, total):
  """The authors' branches, the second ramp from its own start."""
  if step < total / 6:
    return 0.15 + 0.25 * step / (total / 6)
  if step < total / 3:
    return 0.4
  if step < 2 * total / 3:
    return 0.4 + 0.35 * (step - total / 3) / (total / 3)
  return 0.75


def test_schedules_and_loss(case):
  case.outputs = dict.fromkeys(
    "encoded pred mask target loss cosine_schedule piecewise_intended".split()
  )
  found = ADAPTER.run(case)
  assert found.keys() == case.outputs.keys()
  want = [ramp(step, 50) for step in range(50)]
  np.testing.assert_allclose(found["piecewise_intended"], want, atol=1e-6)
  k = np.arange(34)
  f = np.cos((k / 33 + 0.008) / 1.008 * np.pi / 2) ** 2
  want = 0.15 + 0.6 * (1 - f / f[0])
  np.testing.assert_allclose(found["cosine_schedule"], want, atol=1e-6)
  t = case.inputs["latents"].reshape(2, 4, 3, 4, 3, 4)
  t = t.transpose(0, 2, 4, 3, 5, 1).reshape(2, 9, -1)
  np.testing.assert_array_equal(found["target"], t)
  assert found["encoded"].shape[1] == 1 + 5
  error = ((found["pred"] - t) ** 2).mean(-1)
  want = (error * found["mask"]).sum() / 8
  np.testing.assert_allclose(found["loss"], want, rtol=1e-4)
