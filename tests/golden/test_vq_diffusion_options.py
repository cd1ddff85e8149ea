"""The adapter of VQ-Diffusion on options that no given case has."""

import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.nn.nets import vq_transformer

CONFIG = {
  "kind": "class",
  "num_codes": 5,
  "grid": [2, 8],
  "diffusion_step": 4,
  "auxiliary_loss_weight": 0.001,
  "adaptive_auxiliary_loss": True,
  "mask_weight": [1, 1],
  "class_number": 3,
  "n_layer": 1,
  "n_embd": 8,
  "n_head": 2,
  "content_seq_len": 16,
  "content_spatial_size": [2, 8],
  "attn_pdrop": 0.0,
  "resid_pdrop": 0.0,
  "mlp_hidden_times": 2,
  "block_activate": "GELU",
  "timestep_type": "adalayernorm_abs",
  "mlp_type": "conv_mlp",
  "attn_type": "selfcondition",
  "class_type": "adainsnorm",
}
ADAPTER = golden_kit.adapter("vq_diffusion")


def test_convolutions_take_a_square_and_places_the_grid():
  """Conv_MLP: h=int(math.sqrt(n)), whatever the grid; positions keep it."""
  m = ADAPTER.method(CONFIG)
  m.inputs()
  assert m.net.grid == (4, 4) and m.net.tables == (2, 8)
  plain = ADAPTER.method(CONFIG | {"mlp_type": "fc"})
  assert plain.net.grid == plain.net.tables == (2, 8)
  ids, t, label = jnp.arange(16)[None] % 5, jnp.zeros(1, int), jnp.ones(1, int)
  shapes = jax.eval_shape(m.net.init, jax.random.key(0), ids, t, label)
  params = golden_kit.weights(shapes)
  assert params["params"]["row_embed"].shape == (2, 8)
  mlp = params["params"]["blocks"]["layers"]["mlp"]
  mlp = jax.tree.map(lambda x: np.asarray(x[0], np.float64), mlp)
  x = golden_kit.normal(1, 16, 8)
  conv = lambda x, p: sum(
    np.pad(x, ((1, 1), (1, 1), (0, 0)))[i : i + 4, j : j + 4]
    @ p["kernel"][i, j]
    for i in range(3)
    for j in range(3)
  )
  h = conv(x.reshape(4, 4, 8), mlp["conv1"]) + mlp["conv1"]["bias"]
  h = np.asarray(jax.nn.gelu(h, approximate=False))
  want = conv(h, mlp["conv2"]) + mlp["conv2"]["bias"]
  block = vq_transformer.ConvMLP(
    hidden=16, grid=m.net.grid, act=dict(m.net.block)["act"]
  )
  found = block.apply({"params": mlp}, jnp.asarray(x))
  np.testing.assert_allclose(found[0], want.reshape(16, 8), atol=1e-4)


def test_a_class_is_told_to_the_norm_that_a_case_names():
  norms = {"adalayernorm_abs": ("layer", "sinusoid")}
  norms |= {"adainsnorm": ("instance", "learned")}
  for name, (norm, embed) in norms.items():
    told = ADAPTER.method(CONFIG | {"class_type": name}).condition
    assert (told.norm, told.embed) == (norm, embed)


def test_truncations_by_number_and_by_share():
  logp = jnp.log(jnp.array([[[0.5, 0.1, 0.25, 0.15]]]))
  case = golden_kit.Asked({}, {})
  case.outputs = ["log_x0_top2p", "log_x0_top0.8r", "log_x0_top0.4", "purity"]
  found = ADAPTER.truncations(case, logp)
  kept = {n: (x[0, :, 0] > -70).tolist() for n, x in found.items()}
  assert kept == {
    "log_x0_top2p": [True, False, True, False],
    "log_x0_top0.8r": [True, False, True, True],
    "log_x0_top0.4": [True, False, False, False],
  }
