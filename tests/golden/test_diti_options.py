"""The adapter of DiTi on options that the given case leaves out."""

import golden_kit
import jax
import numpy as np
import numpyunet
import pytest

from jmim.convert import table

PLAIN = {
  "base": 32,
  "mult": [1, 2],
  "nrb": 1,
  "attn": [2],
  "heads": 2,
  "group_norm_groups": 32,
  "image": 4,
  "batch": 2,
  "latent_dim": 12,
  "k": 4,
  "T": 20,
  "stages": None,
  "dims_per_stage": None,
  "betas": "linear 1e-3..2e-1",
  "steps": 3,
}
BARE = "a wide stem, two blocks a level, no attention but in the middle"
OPTIONS = {
  "stages of unequal widths": {
    "stages": [5, 9, 20],
    "dims_per_stage": [1, 4, 7],
    "heads": 4,
    "attn": [1],
  },
  BARE: {
    "mult": [2, 1],
    "nrb": 2,
    "attn": [],
    "heads": 1,
  },
  "one block": {"k": 1},
}


def theirs(config):
  """A config in the words of the numpy UNet."""
  return {
    "model_channels": config["base"],
    "channel_mult": config["mult"],
    "num_res_blocks": config["nrb"],
    "attention_resolutions": config["attn"],
    "num_heads": config["heads"],
    "resblock_updown": True,
  }


@pytest.mark.parametrize("name", OPTIONS)
def test_options_equal_the_host_in_numpy_and_prefixes_by_hand(name):
  module, config = golden_kit.adapter("diti"), {**PLAIN, **OPTIONS[name]}
  m = module.build(config)
  shapes = {
    "host": jax.eval_shape(m.nets.init_host, jax.random.key(0)),
    "branch": jax.eval_shape(m.nets.init, jax.random.key(0))["branch"],
  }
  params = table.export_tree(module.rules(m), golden_kit.weights(shapes))
  inputs = {
    n: golden_kit.normal(2, 3, 4, 4, seed=i)
    for i, n in enumerate(("x0", "noise", "x_T"))
  }
  inputs |= {"z": golden_kit.normal(2, 12), "t": np.array([1, 12])}
  found = module.run(golden_kit.Asked(config, inputs, params))
  wide = {k: v.astype(np.float64) for k, v in params.items()}
  eps, _, _ = numpyunet.unet(theirs(config), wide, found["x_t"], inputs["t"])
  np.testing.assert_allclose(found["eps"], eps, atol=1e-4 * np.abs(eps).max())
  ends = {
    "stages of unequal widths": [1, 5, 8, 12],  # blocks begin at 0, 5, 10, 15
    BARE: [3, 6, 9, 12],
    "one block": [12],
  }
  np.testing.assert_array_equal(found["mask_end"], ends[name])
  end = found["mask_end"][found["t_to_idx"][[1, 12]]]
  inside = np.arange(12) < end[:, None]
  assert (np.asarray(found["grad_z_base"])[~inside] == 0).all()
  assert np.abs(found["shift"]).max() > 0
  assert np.isfinite(found["masked_guided_encode"]).all()
