"""The adapter of CRATE-MAE on one head, another threshold, raw and normed."""

import golden_kit
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from jmim.convert import table
from jmim.convert.tables import crate_mae as convert

ADAPTER = golden_kit.adapter("crate_mae")
BASE = {
  "img_size": 12,
  "patch_size": 4,
  "dim": 8,
  "depth": 1,
  "heads": 2,
  "decoder_depth": 1,
  "mask_ratio": 0.6,
  "lambd": 0,
  "step_size": 0.3,
  "norm_pix_loss": True,
  "batch": 2,
  "inner_layernorm_eps": 1e-5,
  "outer_norm_eps": 1e-6,
}
MODES = {"no threshold": {}, "one head": {"heads": 1, "lambd": 1.5}}


def norm(x):
  """LayerNorm whose weight is 1 and bias 0."""
  x = x - x.mean(-1, keepdims=True)
  return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5)


def attention(p, name, x, heads):
  w = (x @ p[f"{name}.qkv.weight"].T).reshape(*x.shape[:2], heads, -1)
  dots = np.einsum("bthd,bshd->bhts", w, w) / np.sqrt(w.shape[-1])
  a = scipy.special.softmax(dots, -1)
  y = np.einsum("bhts,bshd->bthd", a, w).reshape(x.shape)
  out = f"{name}.to_out.0"
  assert (f"{out}.weight" in p) == (heads > 1)
  return y @ p[f"{out}.weight"].T + p[f"{out}.bias"] if heads > 1 else y


@pytest.mark.parametrize("name", MODES)
def test_blocks_and_loss(name):
  config, rng = BASE | MODES[name], np.random.default_rng(4)
  m = ADAPTER.method(config, 3)
  batch = {"image": jnp.zeros((2, 12, 12, 3))}
  shapes, _ = jax.eval_shape(m.init, jax.random.key(0), batch)
  main = golden_kit.weights(shapes, scale=0.4)["main"]
  params = dict(table.export_tree(convert.full(m), main))
  for k, x in params.items():
    if "norm" in k:
      params[k] = np.full_like(x, k.endswith("weight"))
  images = golden_kit.normal(2, 3, 12, 12)
  noise = rng.uniform(size=(2, 9)).astype(np.float32)
  case = golden_kit.Asked(config, {"imgs": images, "noise": noise}, params)
  case.outputs = dict.fromkeys(
    "mask latent pred loss tokens_full enc_block0_half enc_block0 dec_block0 "
    "features_full grad/mask_token".split()
  )
  found = ADAPTER.run(case)
  assert found.keys() == case.outputs.keys()
  p = {k: np.float64(v) for k, v in params.items()}
  first, second = "blocks.0.layers.0.0.fn", "blocks.0.layers.0.1.fn"
  x, heads = np.float64(found["tokens_full"]), config["heads"]
  x = x + attention(p, first, norm(x), heads)
  np.testing.assert_allclose(found["enc_block0_half"], x, atol=1e-4)
  z, d = norm(x), p[f"{second}.weight"]
  z = z + config["step_size"] * (z @ d - z @ d.T @ d - config["lambd"])
  np.testing.assert_allclose(found["enc_block0"], np.maximum(z, 0), atol=1e-4)
  np.testing.assert_allclose(
    found["features_full"], found["enc_block0"], atol=1e-5
  )
  y = norm(np.float64(found["latent"])) @ p[f"decoder_{first}.weight"].T
  y = y - attention(p, f"decoder_{second}", norm(y), heads)
  np.testing.assert_allclose(found["dec_block0"], y, atol=1e-4)
  t = images.reshape(2, 3, 3, 4, 3, 4).transpose(0, 2, 4, 3, 5, 1)
  t = t.reshape(2, 9, 48)
  t = t - t.mean(-1, keepdims=True)
  t = t / np.sqrt((t**2).sum(-1, keepdims=True) / 47 + 1e-6)
  error = ((found["pred"] - t) ** 2).mean(-1)
  want = (error * found["mask"]).sum() / 12
  np.testing.assert_allclose(found["loss"], want, rtol=1e-4)
