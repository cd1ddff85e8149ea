"""The adapter of arbitrary scale on options not in the given cases."""

import golden_kit
import jax
import numpy as np
import pytest

from jmim.convert import table
from jmim.nn import liif

CONFIG = {
  "ddconfig": {
    "in_channels": 3,
    "out_ch": 3,
    "dropout": 0.0,
    "double_z": False,
    "z_channels": 2,
    "resolution": 12,
    "ch": 4,
    "ch_mult": [1, 2],
    "num_res_blocks": 1,
    "attn_resolutions": [],
  },
  "liifconfig": {
    "hidden_list": [7],
    "cell_decode": True,
    "local_ensemble": True,
  },
  "group_norm_groups": 2,
  "group_norm_eps": 1e-6,
  "output_sizes": [5, 18],
  "linear_start": 1e-3,
  "linear_end": 0.03,
  "timesteps": 50,
  "beta_schedule": "linear = linspace(sqrt(start),sqrt(end))^2",
}
OPTIONS = {
  "plain code, no attention": ({}, {}),
  "posterior, attention": ({"double_z": True, "attn_resolutions": [6]}, {}),
  "deep function": ({}, {"hidden_list": [7, 6, 5]}),
  "no cell, no ensemble": (
    {},
    {"cell_decode": False, "local_ensemble": False},
  ),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_options_pass_through_the_table_and_agree(name):
  module, (dd, function) = golden_kit.adapter("arbscale"), OPTIONS[name]
  config = CONFIG | {
    "ddconfig": CONFIG["ddconfig"] | dd,
    "liifconfig": CONFIG["liifconfig"] | function,
  }
  m = module.first_stage(config)
  like = jax.eval_shape(m.net.init, jax.random.key(0))
  params = table.export_tree(
    module.convert.network(m.net), golden_kit.weights(like)
  )
  attends = any(".up." in n and ".attn." in n for n in params)
  assert attends == bool(config["ddconfig"]["attn_resolutions"])
  places = np.broadcast_to(liif.places((5, 5)), (2, 25, 2))
  latent = (2, config["ddconfig"]["z_channels"], 6, 6)
  names = ("posterior_noise", "noise", "eps_pred")
  inputs = {n: golden_kit.normal(*latent, seed=i) for i, n in enumerate(names)}
  inputs |= {
    "image": golden_kit.normal(2, 3, 12, 12, seed=4),
    "target_image": golden_kit.normal(2, 3, 9, 9, seed=5),
    "coord": places,
    "cell": np.broadcast_to(liif.cells((5, 5)), places.shape),
    "t": np.array([0, 37]),
  }
  found = module.run(golden_kit.Asked(config, inputs, params))
  assert found["img_18"].shape == (2, 3, 18, 18)
  whole = found["img_5"].reshape(2, 3, 25)
  np.testing.assert_allclose(
    np.moveaxis(found["rgb_query"], -1, 1), whole, atol=1e-5
  )
  if config["ddconfig"]["double_z"]:
    assert found["moments"].shape[1] == 2 * latent[1]
  else:
    np.testing.assert_array_equal(found["z"], found["moments"])
  # The first term is w_t |z - z0^|, squared: the error of the noise.
  beta = np.linspace(1e-3**0.5, 0.03**0.5, 50) ** 2
  power = np.cumprod(1 - beta)[inputs["t"]]
  w = power / (1 - power)
  gap = ((found["z"] - found["z0_pred"]) ** 2).mean((1, 2, 3))
  np.testing.assert_allclose(found["align_latent_l2"], w * gap, rtol=1e-3)
  made = np.abs(inputs["target_image"] - found["y_pred"]).mean((1, 2, 3))
  np.testing.assert_allclose(found["align_image_l1"], w**0.5 * made, rtol=1e-3)
