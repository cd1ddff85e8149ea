"""DiMR: one list of blocks there, two stacks here; frequencies nobody reads."""

import kit
import numpy as np
import pytest

DIMS = dict(blocks=(4, 2), reduced=(1, 1))


@pytest.mark.parametrize(
  "dims",
  [{}, dict(norm="td_layer"), dict(norm="rms"), dict(norm="class_rms")],
  ids=lambda d: d.get("norm", "td_rms"),
)
def test_names(dims):
  written = kit.check("dimr", kit.tiny("latent.dimr", dims=DIMS | dims))
  ours = written.ours["params/main/branch0/last/layers/mlp/gate/kernel"]
  for i in (0, 1):
    theirs = written.theirs[f"stages.0.blocks.{3 + i}.block2.w0.weight"]
    np.testing.assert_array_equal(theirs, ours[i].T)
  join = written.ours["params/main/branch0/last/layers/join/kernel"]
  theirs = written.theirs["stages.0.skip_denses.1.weight"]
  np.testing.assert_array_equal(theirs, join[1].T)


def test_one_block_has_no_skips():
  written = kit.check("dimr", kit.tiny("latent.dimr", dims=dict(blocks=(1, 1))))
  assert not any("skip_denses" in n for n in written.theirs)


def test_frequencies_that_nothing_reads_are_listed():
  dims = dict(rotary=True, heads=(2, 1))
  written = kit.check("dimr", kit.tiny("latent.dimr", dims=dims))
  name = "stages.0.pos_emb.freqs_{}"
  unused = {name.format(a): np.ones((2, 4), np.float32) for a in "hw"}
  made, _ = kit.load(written, written.theirs | unused)
  assert set(made.ignored) == set(unused)
  # Pairs side by side there, half a head apart here; values stay.
  ours = written.ours["params/main/branch0/first/layers/attn/qkv/kernel"][0]
  theirs = written.theirs["stages.0.blocks.0.block1.query_key_value.weight"].T
  np.testing.assert_array_equal(theirs[:, 1], ours[:, 4])
  np.testing.assert_array_equal(theirs[:, 32:], ours[:, 32:])


def test_adaln_is_no_part_of_such_files():
  m = kit.tiny("latent.dimr", dims=dict(norm="adaln"))
  family = kit.families.find("dimr")
  assert "adaln" in family.objection("latent.dimr", m)
