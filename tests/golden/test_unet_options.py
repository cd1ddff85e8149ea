"""The adapter of LDM's UNet on options that the given cases leave out."""

import golden_kit
import jax
import jax.numpy as jnp
import numpy as np
import numpyunet
import pytest

from jmim.convert import table
from jmim.convert.tables import _unet as unets

PLAIN = {
  "image_size": 4,
  "in_channels": 3,
  "out_channels": 2,
  "model_channels": 32,
  "channel_mult": [1, 2],
  "num_res_blocks": 1,
  "attention_resolutions": [2],
  "num_heads": 2,
}
OPTIONS = {
  "attention at the coarse level": {},
  "sides change in residual blocks; labels": {
    "resblock_updown": True,
    "use_scale_shift_norm": True,
    "num_classes": 5,
    "num_heads": -1,
    "num_head_channels": 16,
    "attention_resolutions": [1, 2],
  },
  "other heads going up, no convolutions between levels": {
    "num_heads_upsample": 4,
    "conv_resample": False,
    "num_res_blocks": 2,
  },
  "q of all heads first": {"use_new_attention_order": True, "num_heads": 4},
  "a transformer of two blocks, heads by their width": {
    "use_spatial_transformer": True,
    "transformer_depth": 2,
    "context_dim": 5,
    "num_heads": -1,
    "num_head_channels": 8,
    "legacy": False,
    "use_scale_shift_norm": True,
    "attention_resolutions": [1],
  },
}


def exported(module, config, inputs):
  """Random weights of the network that a config describes, in their names."""
  net = module.second_stage(config).net()
  net = net.clone(classes=max(0, config.get("num_classes", 0) - 1))
  x, y, context = (inputs.get(n) for n in ("x", "y", "context"))
  x = jnp.moveaxis(x, 1, -1)
  shapes = jax.eval_shape(
    lambda key: net.init(key, x, inputs["t"], y, context), jax.random.key(0)
  )["params"]
  params = golden_kit.weights(shapes)
  by_head = not config.get("use_new_attention_order", False)
  return table.export_tree(unets.network(net, by_head), params)


@pytest.mark.parametrize("name", OPTIONS)
def test_unet_equals_the_one_written_in_numpy(name):
  module, config = golden_kit.adapter("ldm"), {**PLAIN, **OPTIONS[name]}
  inputs = {"x": golden_kit.normal(2, 3, 4, 4), "t": np.array([3, 700])}
  if "num_classes" in config:
    inputs["y"] = np.array([0, config["num_classes"] - 1])
  if "context_dim" in config:
    inputs["context"] = golden_kit.normal(2, 3, config["context_dim"], seed=2)
  params = exported(module, config, inputs)
  found = module.unet(golden_kit.Asked(config, inputs, params))
  wide = {k: v.astype(np.float64) for k, v in params.items()}
  eps, middle, time = numpyunet.unet(config, wide, **inputs)
  for key, expected in (("eps", eps), ("mid", middle), ("time_emb", time)):
    np.testing.assert_allclose(
      found[key], expected, atol=1e-4 * np.abs(expected).max(), err_msg=key
    )
