"""The adapter of DiffDub on options that the given case leaves out."""

import dataclasses

import golden_kit
import jax
import numpy as np
import numpyunet
import pytest

from jmim.convert import table
from jmim.convert.tables import diffdub as convert

PLAIN = {
  "image_size": 8,
  "in_channels": 3,
  "model_channels": 32,
  "num_res_blocks": 1,
  "attention_resolutions": [4],
  "embed_channels": 20,
  "channel_mult": [1, 2],
  "num_heads": 2,
  "num_head_channels": -1,
  "num_heads_upsample": -1,
  "resblock_updown": True,
  "enc_num_res_block": 1,
  "enc_channel_mult": [1, 1, 2],
  "enc_attn_resolutions": [],
  "beta_schedule": "linear 1e-3..0.2, 20 steps",
  "group_norm_groups": 32,
  "sampler_steps": 4,
}
OPTIONS = {
  "attention anywhere, three levels": {
    "attention_resolutions": [8, 4, 2],
    "channel_mult": [1, 1, 2],
    "enc_attn_resolutions": [8],
    "references": 1,
  },
  "nowhere, two blocks, two references": {
    "attention_resolutions": [],
    "num_res_blocks": 2,
    "enc_num_res_block": 2,
    "num_heads": 1,
    "references": 2,
  },
  "all is hole, no reference: Diff-AE": {
    "enc_channel_mult": [2, 1],
    "references": 0,
  },
}


def theirs(config, prefix=""):
  """A config in the words of the numpy UNet."""
  sides = config["attention_resolutions"]
  sides = config["enc_attn_resolutions"] or sides if prefix else sides
  blocks = config["enc_num_res_block" if prefix else "num_res_blocks"]
  return {
    "model_channels": config["model_channels"],
    "channel_mult": config[f"{prefix}channel_mult"],
    "num_res_blocks": blocks,
    "attention_resolutions": [config["image_size"] // s for s in sides],
    "num_heads": config["num_heads"],
    "num_heads_upsample": config["num_heads"],
    "resblock_updown": True,
  }


def by_hand(config, p, i):
  """The outputs of a case, from networks in numpy and the card."""
  renamed = {
    n.replace("time_embed.time_embed", "time_embed"): x for n, x in p.items()
  }
  inner = golden_kit.below(p, "encoder.")
  z = numpyunet.encoder(theirs(config, "enc_"), inner, i["cond_image"])
  keep = i.get("keep_mask", np.zeros((1, 8, 8, 3))).transpose(0, 3, 1, 2)
  beside = i.get("ref_image", np.zeros((2, 0, 8, 8)))

  def net(x, t):
    x = np.concatenate([x, beside], 1)
    return numpyunet.unet(theirs(config), renamed, x, t, gain=z)[0]

  power = np.cumprod(1 - np.linspace(1e-3, 0.2, 20))
  t, x, noise = i["t"], i["x_start"], i["noise"]
  a, s = (np.sqrt(v[t])[:, None, None, None] for v in (power, 1 - power))
  x_t = (1 - keep) * (a * x + s * noise) + keep * x
  eps = net(x_t, t)
  loss = ((1 - keep) * (noise - eps) ** 2).mean((1, 2, 3))
  # Four of twenty times, with 0 and the last: 19 / 3 apart, rounded.
  visited = np.round(np.arange(4) * 19 / 3).astype(int)
  state, trace = i["x_T"], []
  for k in reversed(range(4)):
    now = power[visited[k]]
    then = power[visited[k - 1]] if k else 1.0
    state = (1 - keep) * state + keep * x
    e = net(state, np.full(2, visited[k]))
    x0 = np.clip((state - np.sqrt(1 - now) * e) / np.sqrt(now), -1, 1)
    e = (state - np.sqrt(now) * x0) / np.sqrt(1 - now)
    state = np.sqrt(then) * x0 + np.sqrt(1 - then) * e
    trace.append(state)
  return {
    "z_sem": z,
    "x_t": x_t,
    "eps_pred": eps,
    "loss": loss,
    "pred_xstart": (x_t - s * eps) / a,
    "ddim_trace": np.stack(trace),
    "timestep_map": visited,
    "spaced_alphas_cumprod": power[visited],
  }


@pytest.mark.parametrize("name", OPTIONS)
def test_options_equal_the_networks_in_numpy_and_the_card_by_hand(name):
  module, config = golden_kit.adapter("diffdub"), {**PLAIN, **OPTIONS[name]}
  r = config.pop("references")
  shown = np.zeros((32, 3 * (1 + r), 3, 3), np.float32)
  first = {"input_blocks.0.0.weight": shown}
  m = module.build(golden_kit.Asked(config, {}, first))
  assert m.references == r
  shapes = jax.eval_shape(m.nets.init, jax.random.key(0))
  params = table.export_tree(
    convert.networks(m), golden_kit.weights(shapes, scale=0.1)
  )
  rng = np.random.default_rng(3)
  names = ("x_start", "cond_image", "noise", "x_T")
  inputs = {
    n: golden_kit.normal(2, 3, 8, 8, seed=k) for k, n in enumerate(names)
  }
  inputs["t"] = np.array([3, 17])
  if r:
    inputs["ref_image"] = golden_kit.normal(2, 3 * r, 8, 8, seed=9)
    keep = rng.integers(0, 2, (2, 8, 8, 3)).astype(np.float32)
    inputs["keep_mask"] = keep
  found = module.run(golden_kit.Asked(config, inputs, params))
  wanted = by_hand(config, params, inputs)
  assert found.keys() == wanted.keys()
  for key, want in wanted.items():
    np.testing.assert_allclose(found[key], want, atol=2e-3, err_msg=key)


def test_a_weight_that_nothing_reads_would_be_seen():
  """Of the encoder's blocks, that have one convolution, there is no second."""
  module = golden_kit.adapter("diffdub")
  shown = np.zeros((32, 6, 3, 3), np.float32)
  case = golden_kit.Asked(PLAIN, {}, {"input_blocks.0.0.weight": shown})
  m = dataclasses.replace(module.build(case))
  names = {r.theirs for r in convert.networks(m)}
  assert "encoder.input_blocks.1.0.in_layers.2.weight" in names
  assert not [n for n in names if "encoder" in n and "out_layers" in n]
  assert "time_embed.time_embed.2.bias" in names
  assert "middle_block.0.cond_emb_layers.1.weight" in names
