"""MicroDiT: blocks of unequal shape, each with rules of its own."""

import kit
import numpy as np
import pytest

NAME = "diffusion.microdit"
STORED = dict(caption=dict(kind="context"))


def patches(**changes):
  """The tiny transformer with other fields."""
  blocks = dict(
    width=16, depth=3, head=8, multiple=8, experts=2, every=2, capacity=2.0
  )
  mixer = dict(depth=2, width=8, qkv_ratio=1.0, mlp_ratio=4.0)
  return dict(
    backbone=blocks | changes.pop("backbone", {}),
    mixer=mixer | changes.pop("mixer", {}),
    **changes,
  )


@pytest.mark.parametrize(
  "changes",
  [
    {},
    dict(mixer=dict(width=0)),
    dict(mixer=dict(depth=0)),
    dict(backbone=dict(bias=True)),
    dict(backbone=dict(qkv_ratios=(0.5, 1.0, 1.0))),
    dict(position_scale=2.0),
  ],
)
def test_names_and_arrays(changes):
  written = kit.check(
    "microdit", kit.tiny(NAME, patches=patches(**changes), **STORED)
  )
  mixer = changes.get("mixer", {})
  has = lambda start: any(name.startswith(start) for name in written.theirs)
  assert has("patch_mixer_map_xin.") == (not mixer)
  assert has("patch_mixer.1.mlp.gate.") == (mixer.get("depth", 2) > 0)
  assert has("blocks.1.mlp.gate.") and not has("blocks.2.mlp.gate.")
  assert has("blocks.0.attn.qkv.bias") == ("bias" in str(changes))


def test_keys_and_values_are_one_map_there():
  written = kit.export("microdit", kit.tiny(NAME, **STORED))
  theirs = written.theirs["blocks.0.cross_attn.kv_linear.weight"]
  start = "params/main/net/block_0/cross"
  k, v = (written.ours[f"{start}/{n}/kernel"] for n in "kv")
  np.testing.assert_array_equal(theirs, np.concatenate([k.T, v.T]))


def test_experts_are_laid_out_alike():
  written = kit.export("microdit", kit.tiny(NAME, **STORED))
  start = "params/main/net/block_0/ffn"
  for a, b in (("w1", "up"), ("w2", "down")):
    np.testing.assert_array_equal(
      written.theirs[f"blocks.0.mlp.{a}"],
      written.ours[f"{start}/experts/{b}/kernel"],
    )
  np.testing.assert_array_equal(
    written.theirs["blocks.0.mlp.gate.weight"],
    written.ours[f"{start}/router/kernel"].T,
  )


def test_words_of_their_own_have_no_place_there():
  written = kit.check("microdit", kit.tiny(NAME))
  table = "params/main/caption/words"
  assert table in written.like and table not in written.ours
