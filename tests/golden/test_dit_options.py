"""Adapters of DiT and its children on options the given cases leave out."""

import golden_kit
import jax
import jax.numpy as jnp
import numpy as np
import numpydit
import pytest

from jmim.convert import table

SIZES = {
  "input_size": 4,
  "patch_size": 2,
  "in_channels": 3,
  "hidden_size": 16,
  "depth": 2,
  "num_heads": 2,
  "mlp_ratio": 2,
  "num_classes": 3,
}
DIT = {
  **SIZES,
  "class_dropout_prob": 0.2,
  "diffusion_steps": 50,
  "noise_schedule": "squaredcos_cap_v2",
  "respacing": "3,2",
  "cfg_scale": 1.5,
  "clip_denoised": True,
}
LIGHTNING = {
  **SIZES,
  "class_dropout_prob": 0.1,
  "use_qknorm": True,
  "use_swiglu": True,
  "use_rope": True,
  "use_rmsnorm": True,
  "wo_shift": True,
  "use_cosine_loss": True,
  "num_steps": 3,
  "timestep_shift": 0.5,
  "cfg_scale": 2.0,
  "cfg_interval_start": 0.2,
}
MOE = {
  **SIZES,
  "learn_sigma": True,
  "num_experts": 3,
  "num_experts_per_tok": 2,
  "n_shared_experts": 1,
  "aux_loss_alpha": 0.1,
  "norm_topk_prob": True,
  "seq_aux": True,
}
OPTIONS = [
  ("dit", {**DIT, "learn_sigma": True, "variance": "LEARNED_RANGE"}),
  ("dit", {**DIT, "learn_sigma": False, "variance": "FIXED_LARGE"}),
  ("lightningdit", LIGHTNING),
  ("lightningdit", {**LIGHTNING, "use_rmsnorm": False}),
  (
    "lightningdit",
    {
      **LIGHTNING,
      "use_rmsnorm": False,
      "use_swiglu": False,
      "use_rope": False,
      "use_qknorm": False,
      "learn_sigma": True,
      "patch_size": 1,
    },
  ),
  ("dit_moe", MOE),
  (
    "dit_moe",
    {
      **MOE,
      "num_experts_per_tok": 1,
      "n_shared_experts": None,
      "qk_norm": True,
      "qk_eps": 1e-6,
      "learn_sigma": False,
    },
  ),
]


def built(module, config):
  """The method of a config, in the authors' words."""
  if hasattr(module, "diffusion"):
    return module.method(config, module.diffusion(config))
  return module.method(config)


def random(m):
  """Parameters, none of them trivial."""
  batch = {"image": jnp.zeros((1, *m.shape))}
  shapes = jax.eval_shape(lambda k: m.init(k, batch)[0], jax.random.key(0))
  return golden_kit.weights(shapes, seed=3, scale=0.3)


@pytest.mark.parametrize("slug, config", OPTIONS)
def test_network_and_table_equal_the_one_written_in_numpy(slug, config):
  module = golden_kit.adapter(slug)
  m = built(module, config)
  params, rules = random(m)["main"], module.convert.full(m)
  theirs = table.export_tree(rules, params)
  back = table.import_tree(rules, theirs)
  jax.tree.map(np.testing.assert_array_equal, back, params)
  x, t, y = (
    golden_kit.normal(2, 3, 4, 4),
    np.array([0.3, 0.8]),
    np.array([1, 3]),
  )
  found = m.net.apply({"params": back}, jnp.moveaxis(x, 1, -1), t, y)["pred"]
  wide = {k: v.astype(np.float64) for k, v in theirs.items()}
  expected = numpydit.forward(config, wide, x, t=t, y=y)
  np.testing.assert_allclose(
    jnp.moveaxis(found, -1, 1), expected, atol=1e-4 * np.abs(expected).max()
  )


def test_without_a_shift_times_are_even():
  """The authors' 0 is none."""
  module = golden_kit.adapter("lightningdit")
  m = module.method({**LIGHTNING, "timestep_shift": 0, "num_steps": 5})
  times = m.noise.table(m.sampling).level.time
  np.testing.assert_allclose(times, np.arange(4) / 4)


class Case:
  """What an adapter reads of a golden case."""

  def __init__(self, config, inputs, params, outputs):
    self.config, self.inputs, self.params = config, inputs, params
    self.outputs = outputs
    meaning = "a 2-step Euler run, cfg 1.5 on all velocity channels"
    self.info = {"arrays": {"out/rf_samples": {"meaning": meaning}}}


def stored(slug):
  """Inputs of a slug; of two images."""
  x = lambda seed: golden_kit.normal(2, 3, 4, 4, seed=seed)
  y, times = np.array([0, 3]), np.array([0.2, 0.7], np.float32)
  if slug == "lightningdit":
    return {"x1": x(1), "x0": x(2), "z": x(3), "y": y, "t": times}
  common = {"x": x(1), "noise": x(2), "y": y, "t": np.array([0, 40])}
  flow = {"rf_z": x(3), "rf_y": np.array([0, 1]), "rf_t": times}
  sample_noise = golden_kit.normal(5, 4, 3, 4, 4, seed=4)
  sample = {"sample_z": x(3), "sample_noise": sample_noise, "sample_y": y}
  return common | (flow if slug == "dit_moe" else sample)


ASKED = {
  "dit": ("block1", "ddpm_first2", "ddim_eta05_3steps"),
  "dit_moe": ("rf_samples",),
  "lightningdit": ("pred", "loss", "times", "sample", "block0"),
}


@pytest.mark.slow
@pytest.mark.parametrize("slug, config", OPTIONS)
def test_adapters_run_with_every_option(slug, config):
  module = golden_kit.adapter(slug)
  m = built(module, config)
  params, rules = random(m)["main"], module.convert.full(m)
  theirs = table.export_tree(rules, params)
  outputs = dict.fromkeys(ASKED[slug])
  outputs |= {"rf_samples": range(3)} if slug == "dit_moe" else {}
  case = Case(config, stored(slug), theirs, outputs)
  found = module.run(case)
  assert found.keys() >= outputs.keys()
  assert all(np.isfinite(x).all() for x in found.values())
