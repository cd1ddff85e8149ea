"""LaVin-DiT: two streams a block, one list of blocks there, a stack here."""

import kit
import numpy as np


def test_names():
  written = kit.check("lavin_dit", kit.tiny("latent.lavin_dit"))
  ours = lambda name: written.ours[f"params/main/blocks/layers/{name}"]
  streams = (("cond", "context"), ("x", "target"))
  for theirs, here in streams:
    key = written.theirs[f"blocks.1.joint_attn.{theirs}_k.weight"]
    np.testing.assert_array_equal(key, ours(f"{here}/k/kernel")[1].T)
    gain = written.theirs[f"blocks.0.joint_attn.{theirs}_qnorm.weight"]
    np.testing.assert_array_equal(gain, ours(f"{here}/q_norm/scale")[0])
  token = written.theirs["answer_embed"]
  assert token.shape == (1, 24)
  np.testing.assert_array_equal(
    token[0], written.ours["params/main/target_token"]
  )


def test_as_many_heads_of_keys_as_of_queries():
  dims = dict(kv_group=1)
  written = kit.check("lavin_dit", kit.tiny("latent.lavin_dit", dims=dims))
  name = "blocks.0.joint_attn.x_v.weight"
  assert written.theirs[name].shape == (24, 24)
