"""The adapter of DiffewS on options that the given case leaves out."""

import golden_kit
import jax
import numpy as np
import numpydiffusers
import pytest

from jmim.convert import table
from jmim.convert.tables import _diffusers_unet as unets
from jmim.convert.tables import diffews as convert

PLAIN = {
  "sample_size": 4,
  "in_channels": 2,
  "in_channels_ref": 4,
  "out_channels": 2,
  "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
  "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
  "block_out_channels": [8, 16],
  "layers_per_block": 1,
  "norm_num_groups": 4,
  "cross_attention_dim": 5,
  "attention_head_dim": 2,
  "use_linear_projection": True,
  "batch": 2,
  "nshot": 1,
  "timestep": 1,
  "first_attn1": "down_blocks.0.attentions.0.transformer_blocks.0.attn1",
}
DEEP = "down_blocks.1.attentions.0.transformer_blocks.0.attn1"
OPTIONS = {
  "as the given case, another time": {"timestep": 30},
  "several shots, two blocks": {
    "nshot": 3,
    "transformer_layers_per_block": 2,
    "layers_per_block": 2,
  },
  "heads per level, attention on both": {
    "nshot": 2,
    "attention_head_dim": [2, 4],
    "down_block_types": ["CrossAttnDownBlock2D"] * 2,
    "up_block_types": ["CrossAttnUpBlock2D"] * 2,
  },
  "attention at the coarse level, convolutions around it": {
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
    "attention_head_dim": [1, 4],
    "use_linear_projection": False,
    "first_attn1": DEEP,
  },
  "three levels, each of its own": {
    "block_out_channels": [8, 16, 12],
    "attention_head_dim": [4, 2, 3],
    "layers_per_block": [1, 2, 1],
    "transformer_layers_per_block": [1, 1, 1],
    "down_block_types": [
      "DownBlock2D",
      "CrossAttnDownBlock2D",
      "DownBlock2D",
    ],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "first_attn1": DEEP,
    "nshot": 2,
  },
  "transformers of another depth at each level": {
    "transformer_layers_per_block": [1, 2],
    "down_block_types": ["CrossAttnDownBlock2D"] * 2,
    "up_block_types": ["CrossAttnUpBlock2D"] * 2,
    "first_attn1": DEEP,
    "nshot": 2,
  },
  "attention in the middle alone": {
    "down_block_types": ["DownBlock2D"] * 2,
    "up_block_types": ["UpBlock2D"] * 2,
    "first_attn1": "mid_block.attentions.0.transformer_blocks.0.attn1",
    "batch": 1,
    "nshot": 2,
  },
  "widths that are no multiples of the finest": {
    "block_out_channels": [8, 12],
    "attention_head_dim": [4, 3],
    "nshot": 2,
  },
}


def made(module, config):
  """Inputs, and random weights in their names."""
  c, side, n = config["in_channels"], config["sample_size"], config["nshot"]
  b, normal = config["batch"], golden_kit.normal
  inputs = {
    "z_support": normal(b * n, c, side, side),
    "z_support_mask": normal(b * n, c, side, side, seed=1),
    "z_query": normal(b, c, side, side, seed=2),
    "z_query_mask": normal(b, c, side, side, seed=3),
    "text": normal(1, 3, config["cross_attention_dim"], seed=4),
    "t": np.array([config["timestep"]]),
  }
  m = module.build(config, config["timestep"], 3)
  shapes = jax.eval_shape(m.init, jax.random.key(0), {})[0]["main"]["net"]
  linear = config["use_linear_projection"]
  names = unets.network(m.net, linear) + convert.network(m.net)[-2:]
  return inputs, table.export_tree(names, golden_kit.weights(shapes))


@pytest.mark.parametrize("name", OPTIONS)
def test_both_passes_equal_those_written_in_numpy(name):
  module, config = golden_kit.adapter("diffews"), {**PLAIN, **OPTIONS[name]}
  inputs, params = made(module, config)
  found = module.run(golden_kit.Asked(config, inputs, params))
  net = numpydiffusers.UNet(
    config, {k: v.astype(np.float64) for k, v in params.items()}
  )
  t, text, first = config["timestep"], inputs["text"], config["first_attn1"]
  support = np.concatenate([inputs["z_support"], inputs["z_support_mask"]], 1)
  want = {"ref_out": net(support, t, text, stem="conv_in_ref")}
  k, v = net.kept[first]
  want |= {"attn1_first_k_bank": k, "attn1_first_v_bank": v}
  names = ("attn1_first_in_", "attn1_first_out_")
  both = lambda which: {
    n + which: x for n, x in zip(names, net.seen[first], strict=True)
  }
  want |= both("support")
  shots = lambda x: x.reshape(config["batch"], -1, *x.shape[1:])
  bank = {
    name: [(shots(k)[:, i], shots(v)[:, i]) for i in range(config["nshot"])]
    for name, (k, v) in net.kept.items()
  }
  want["pred"] = net(inputs["z_query"], t, text, bank=bank)
  want |= both("query")
  want["loss"] = np.mean((want["pred"] + inputs["z_query_mask"]) ** 2)
  want["pred_no_bank"] = net(inputs["z_query"], t, text)
  for key, expected in want.items():
    np.testing.assert_allclose(
      found[key], expected, atol=1e-4 * np.abs(expected).max(), err_msg=key
    )
  assert np.abs(found["grad_conv_in_ref"]).max() > 0
