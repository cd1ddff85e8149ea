"""The adapter of MicroDiT on mixers, ratios and experts that no case has."""

import golden_kit
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.convert import table
from jmim.convert.tables import microdit as convert

ADAPTER = golden_kit.adapter("microdit")
BASE = {
  "input_size": 6,
  "patch_size": 2,
  "in_channels": 2,
  "dim": 16,
  "depth": 2,
  "head_dim": 4,
  "multiple_of": 8,
  "caption_channels": 5,
  "pos_interp_scale": 1.0,
  "qkv_multipliers": [0.5],
  "ffn_multipliers": [2.0],
  "use_patch_mixer": True,
  "patch_mixer_depth": 2,
  "patch_mixer_dim": 8,
  "patch_mixer_qkv_ratio": 0.7,
  "patch_mixer_mlp_ratio": 1.0,
  "use_bias": False,
  "num_experts": 3,
  "expert_capacity": 1.5,
  "experts_every_n": 2,
  "batch": 2,
  "caption_len": 3,
  "mask_ratio": 0.5,
  "p_mean": 0.1,
  "p_std": 0.7,
  "sigma_data": 0.5,
  "cfg_scale": 2.0,
}
CASES = {
  "narrow": {},
  "wide": {"patch_mixer_dim": 16, "use_bias": True, "pos_interp_scale": 2.0},
  "uneven": {"patch_mixer_dim": 10, "patch_mixer_qkv_ratio": 1},
  "empty": {"patch_mixer_depth": 0, "patch_mixer_dim": 10},
  "idle": {"expert_capacity": 0.2, "experts_every_n": 1},
  "none": {"use_patch_mixer": False, "experts_every_n": 1, "mask_ratio": 0.0},
}
# Arrays of theirs that only some networks have.
MAPS = "patch_mixer_map_"


@pytest.fixture(scope="module", params=CASES)
def case(request):
  config = BASE | CASES[request.param]
  m, b, n = ADAPTER.method(config), 2, 9
  shapes, _ = jax.eval_shape(m.init, jax.random.key(0), None)
  main = golden_kit.weights(shapes)["main"]
  params = dict(table.export_tree(convert.full(m), main))
  inputs = {
    "x": golden_kit.normal(b, 2, 6, 6),
    "y": golden_kit.normal(b, 1, 3, 5, seed=1),
    "eps": golden_kit.normal(b, 2, 6, 6, seed=2),
    "z": golden_kit.normal(b, 2, 6, 6, seed=3),
    "rnd_normal": golden_kit.normal(b, 1, 1, 1, seed=4),
    "mask_noise": np.random.default_rng(5).uniform(size=(b, n)),
  }
  return golden_kit.Asked(config, inputs, params)


@pytest.fixture(scope="module")
def found(case):
  case.outputs = dict.fromkeys(
    ["sigma", "mask", "denoised", "denoised_masked", "mixer_out"]
    + ["loss_masked", "loss_unmasked", "block0_masked", "sample"]
    + ["grad/x_embedder.proj.weight"]
  )
  return ADAPTER.run(case)


def test_everything_that_is_asked_for_is_returned(case, found):
  assert found.keys() == case.outputs.keys()
  assert all(np.isfinite(x).all() for x in found.values())
  assert np.abs(found["grad/x_embedder.proj.weight"]).max() > 0


def test_maps_are_theirs_where_the_mixer_is_narrower(case):
  config, names = case.config, case.params.keys()
  mixed = config["use_patch_mixer"]
  narrow = mixed and config["patch_mixer_dim"] != config["dim"]
  assert any(n.startswith(MAPS) for n in names) == narrow
  blocks = mixed and config["patch_mixer_depth"] > 0
  assert any(n.startswith("patch_mixer.0.") for n in names) == blocks
  biases = "blocks.0.attn.qkv.bias", "blocks.0.cross_attn.kv_linear.bias"
  assert set(biases) <= names or not config["use_bias"]


def test_what_the_outputs_must_be_of_each_other(case, found):
  config, mask = case.config, np.asarray(found["mask"])
  assert (mask.sum(1) == 9 - int(9 * (1 - config["mask_ratio"]))).all()
  if not config["mask_ratio"]:
    assert float(found["loss_masked"]) == pytest.approx(
      float(found["loss_unmasked"]), 1e-5
    )
    return
  sigma = np.asarray(found["sigma"])[:, None, None, None]
  x = case.inputs["x"] + sigma * case.inputs["eps"]
  skip = config["sigma_data"] ** 2 / (sigma**2 + config["sigma_data"] ** 2)
  rows = lambda a: np.asarray(a).reshape(2, 2, 3, 2, 3, 2).swapaxes(3, 4)
  removed = np.broadcast_to(mask.reshape(2, 1, 3, 3, 1, 1) == 1, rows(x).shape)
  np.testing.assert_allclose(
    rows(found["denoised_masked"])[removed], rows(skip * x)[removed], rtol=1e-4
  )


def test_positions_are_checked_when_weights_are_read(case):
  wrong = dict(case.params)
  wrong["pos_embed"] = wrong["pos_embed"] + 0.1
  rules = convert.full(ADAPTER.method(case.config))
  with pytest.raises(Exception, match="pos_embed"):
    table.import_tree(rules, wrong)
  assert jnp.asarray(case.params["mask_token"]).any() == False  # noqa: E712
