"""The adapter of DiffSTE on sizes that the given case leaves out, by numpy."""

import golden_kit
import jax
import numpy as np
import numpydiffusers
import pytest

from jmim.convert import table
from jmim.convert.tables import diffste as convert

PLAIN = {
  "block_out_channels": [8, 8],
  "layers_per_block": 1,
  "cross_attention_dim": {"text": 5, "char": 3},
  "num_heads": {"text": 2, "char": 4},
  "norm_num_groups": 4,
  "latent_size": 4,
  "loss_alpha": 5,
  "char_vocab": 11,
  "char_max_length": 4,
  "guidance_scale": 7.5,
}
OPTIONS = {
  "as the given case": {},
  "three levels of their own width, blocks and weight": {
    "block_out_channels": [8, 16, 12],
    "layers_per_block": [1, 2, 1],
    "loss_alpha": 0.5,
    "guidance_scale": 1.0,
  },
  "two blocks, other heads and characters": {
    "layers_per_block": 2,
    "num_heads": {"text": 4, "char": 1},
    "cross_attention_dim": {"text": 3, "char": 7},
    "char_vocab": 6,
    "char_max_length": 6,
    "guidance_scale": 3.0,
  },
}
B, C = 2, 3


class Several(numpydiffusers.UNet):
  """Transformers stand once for each context; a mean joins them."""

  def __init__(self, config, p):
    n = len(config["block_out_channels"])
    kinds = ["CrossAttnDownBlock2D"] * (n - 1) + ["DownBlock2D"]
    super().__init__(
      {
        **config,
        "attention_head_dim": 1,
        "down_block_types": kinds,
        "up_block_types": [k.replace("Down", "Up") for k in kinds[::-1]],
      },
      p,
    )

  def __call__(self, x, t, contexts):
    """One image after the other, each with its own contexts and time."""
    rows = []
    for i in range(len(x)):
      own = {k: c[i : i + 1] for k, c in contexts.items()}
      rows.append(super().__call__(x[i : i + 1], t[i], own))
    return np.concatenate(rows)

  def transformer(self, name, x, heads):
    del heads
    block, i = name.rsplit(".", 1)
    contexts, made = self.text, []
    for k, context in contexts.items():
      self.text = context
      number = self.config["num_heads"][k]
      made.append(super().transformer(f"{block}.{k}.{i}", x, number))
    self.text = contexts
    return np.mean(made, 0)


def case(module, config):
  """Inputs, and random weights in their names."""
  normal, side = golden_kit.normal, config["latent_size"]
  wide, rng = config["cross_attention_dim"], np.random.default_rng(5)
  ids = rng.integers(0, config["char_vocab"], (B, config["char_max_length"]))
  ids[:, -1] = 0
  inputs = {
    "z0": normal(B, C, side, side),
    "masked_image_latent": normal(B, C, side, side, seed=1),
    "mask": rng.integers(0, 2, (B, 1, side, side)).astype(np.float32),
    "noise": normal(B, C, side, side, seed=2),
    "t": np.array([17, 900]),
    "char_ids": ids,
    "text_hidden": normal(B, 6, wide["text"], seed=3),
    "uncond_text_hidden": normal(B, 6, wide["text"], seed=4),
  }
  m = module.build(config, C)
  like, _ = jax.eval_shape(m.init, jax.random.key(0), {})
  params = {"params": golden_kit.weights(like)}
  params["params"]["main"]["told"].pop("text")
  theirs = table.export_tree(convert.full(m), params)
  short = {n.replace("char_embedder.", "char."): x for n, x in theirs.items()}
  return inputs, short


@pytest.mark.parametrize("name", OPTIONS)
def test_outputs_are_those_written_in_numpy(name):
  module, config = golden_kit.adapter("diffste"), PLAIN | OPTIONS[name]
  inputs, params = case(module, config)
  found = module.run(golden_kit.Asked(config, inputs, params))
  p = {n: np.asarray(x, np.float64) for n, x in params.items()}
  below = lambda prefix: golden_kit.below(p, prefix)
  net, tables = Several(config, below("unet.")), below("char.")
  symbols, places = (
    tables[f"{n}_embedding.weight"] for n in ("char", "position")
  )
  spell = lambda ids: symbols[ids] + places[: ids.shape[1]]
  beta = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
  power = np.cumprod(1 - beta)[inputs["t"]][:, None, None, None]
  x_t = power**0.5 * inputs["z0"] + (1 - power) ** 0.5 * inputs["noise"]
  told = lambda text, ids: {"text": inputs[text], "char": spell(ids)}
  beside = [x_t, inputs["mask"], inputs["masked_image_latent"]]
  see = lambda contexts: net(np.concatenate(beside, 1), inputs["t"], contexts)
  ids, scale = inputs["char_ids"], config["guidance_scale"]
  want = {"char_hidden": spell(ids), "z_t": x_t}
  want["eps"] = see(told("text_hidden", ids))
  want["eps_text_only"] = see({"text": inputs["text_hidden"]})
  want["eps_uncond"] = see(told("uncond_text_hidden", 0 * ids))
  gap = want["eps"] - want["eps_uncond"]
  want["eps_cfg"] = want["eps_uncond"] + scale * gap
  error = (want["eps"] - inputs["noise"]) ** 2
  w = np.where(inputs["mask"] == 1, config["loss_alpha"], 1.0)
  want["loss"] = (w * error).sum() / error.size
  for key, expected in want.items():
    np.testing.assert_allclose(
      found[key], expected, atol=2e-4 * np.abs(expected).max(), err_msg=key
    )
