"""DiffDub's and Diff-AE's files: averages beside raw weights, the encoder."""

import kit
import numpy as np
import pytest

# The last norm of the UNet, where the averages may lie.
OWN = [f"{p}out.0.bias" for p in ("", "ema_model.", "state_dict.ema_model.")]
ALONE = dict(references=0, face=dict(kind="none"))


def test_the_renderer():
  written = kit.check("diffdub", kit.tiny("edit.diffdub"))
  names = set(written.theirs)
  (prefix,) = (n.removesuffix("out.0.bias") for n in names if n in OWN)
  for name in (
    "time_embed.time_embed.0.weight",
    "input_blocks.1.0.cond_emb_layers.1.weight",
    "encoder.input_blocks.1.0.in_layers.2.weight",
    "encoder.out.3.weight",
  ):
    assert prefix + name in names
  assert not [n for n in names if "encoder" in n and "emb_layers" in n]
  stem = written.theirs[f"{prefix}input_blocks.0.0.weight"]
  assert stem.shape[1] == 6
  # A convolution of one place there, a linear map here.
  theirs = written.theirs[f"{prefix}encoder.out.3.weight"]
  ours = written.ours["params/main/encoder/dense_out/kernel"]
  np.testing.assert_array_equal(theirs[:, :, 0, 0], ours.T)


def test_diff_ae():
  written = kit.check("diffae", kit.tiny("edit.diffdub", **ALONE))
  assert [x for x in written.theirs.values() if x.shape[1:] == (3, 3, 3)]


@pytest.mark.parametrize("family, fields", [("diffdub", ALONE), ("diffae", {})])
def test_one_is_not_the_other(family, fields):
  found = kit.families.find(family)
  assert "references" in found.objection(
    "edit.diffdub", kit.tiny("edit.diffdub", **fields)
  )


def test_raw_weights_beside_the_averages_are_not_read():
  written = kit.export("diffdub", kit.tiny("edit.diffdub"))
  bare = {n.rpartition("ema_model.")[2]: x for n, x in written.theirs.items()}
  file = {f"ema_model.{n}": x for n, x in bare.items()}
  beside = {"model.out.0.weight": np.zeros(3), "x_T": np.zeros((1, 3, 8, 8))}
  made, leaves = kit.load(written, file | beside)
  assert set(made.ignored) == set(beside)
  assert leaves.keys() == written.ours.keys()
