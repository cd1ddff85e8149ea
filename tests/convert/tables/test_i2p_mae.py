"""I2P-MAE: names of levels, running statistics, classifiers."""

import kit
import numpy as np
import pytest

from jmim.convert import families
from jmim.core import field
from jmim.nn.nets import point_encoder

# The width that is fixed there.
ENCODER = {**field.settings(point_encoder.TINY), "embed": 128}


@pytest.fixture(scope="module")
def written():
  method = kit.tiny("point.i2p_mae", network=dict(encoder=ENCODER))
  return kit.check("i2p_mae", method)


def test_statistics_go_with_the_parameters(written):
  theirs = "h_encoder.token_embed.1.second_conv.1.running_var"
  ours = "extra/statistics/encoder/embed1/map3/bn/var"
  np.testing.assert_array_equal(written.theirs[theirs], written.ours[ours])
  theirs = "token_prop.0.extraction.operation.0.net2.1.running_mean"
  ours = "extra/statistics/decoder/down0/unit0_second/bn/mean"
  np.testing.assert_array_equal(written.theirs[theirs], written.ours[ours])


def test_convolutions_of_points_are_linear_maps(written):
  kernel = written.theirs["h_encoder.token_embed.0.first_conv.0.weight"]
  assert kernel.shape == (128, 3, 1)
  ours = written.ours["params/main/encoder/embed0/map1/before/kernel"]
  np.testing.assert_array_equal(kernel[..., 0].T, ours)
  assert "h_encoder.encoder_blocks.0.blocks.0.attn.qkv.bias" not in (
    written.theirs
  )


def test_counts_of_batches_are_left_out(written):
  more = {
    "h_encoder.token_embed.0.first_conv.1.num_batches_tracked": np.int64(7)
  }
  made, _ = kit.load(written, written.theirs | more)
  assert made.ignored == list(more)


def test_clip_in_a_pre_trained_file_is_left_out(written):
  more = {
    "clip_model.visual.conv1.weight": np.zeros((4, 3, 2, 2), np.float32),
    "clip_model.logit_scale": np.float32(4.6),
  }
  made, _ = kit.load(written, written.theirs | more)
  assert made.ignored == sorted(more)


@pytest.mark.parametrize("prefix", ["base_model.", "base_model.module."])
def test_names_as_their_files_have_them(written, prefix):
  """They save what wraps the network, on one machine in one more layer."""
  theirs = {prefix + n: x for n, x in written.theirs.items()}
  made, back = kit.load(written, theirs | {"epoch": np.int64(299)})
  assert made.ignored == ["epoch"]
  for name, array in written.ours.items():
    np.testing.assert_array_equal(back[name], array, name)


@pytest.fixture(scope="module")
def classifier():
  method = kit.tiny("supervised.cloud", encoder=ENCODER)
  return kit.check("i2p_mae_finetuned", method)


def test_a_classifier_has_the_same_encoder_but_its_norms(written, classifier):
  here = {n for n in classifier.theirs if n.startswith("h_encoder.")}
  there = {n for n in written.theirs if n.startswith("h_encoder.")}
  norms = {n for n in there if n.startswith("h_encoder.encoder_norms.")}
  assert len(norms) == 6 and here == there - norms


def test_names_of_a_classifier_as_released(classifier):
  """models/I2P_MAE_Finetune.py: all there is beside the encoder."""
  bn = ("weight", "bias", "running_mean", "running_var")
  head = {
    *(f"cls_head_finetune.{i}.{n}" for i in (1, 5) for n in bn),
    *(f"cls_head_finetune.{i}.{n}" for i in (0, 4, 8) for n in bn[:2]),
    "norm.weight",
    "norm.bias",
  }
  beside = {n for n in classifier.theirs if not n.startswith("h_encoder.")}
  assert beside == head
  theirs, ours = classifier.theirs, classifier.ours
  for a, b in (
    ("norm.weight", "params/main/encoder/norm2/scale"),
    ("cls_head_finetune.1.bias", "params/main/head/hidden1/bn/bias"),
    (
      "cls_head_finetune.5.running_var",
      "extra/statistics/head/hidden2/bn/var",
    ),
  ):
    np.testing.assert_array_equal(theirs[a], ours[b])
  np.testing.assert_array_equal(
    theirs["cls_head_finetune.8.weight"], ours["params/main/head/out/kernel"].T
  )


def test_norms_below_the_top_of_a_classifier_stay_fresh(classifier):
  made, _ = kit.load(classifier)
  assert sorted(made.fresh) == [
    f"params/main/encoder/norm{i}/{n}"
    for i in (0, 1)
    for n in ("bias", "scale")
  ]


def test_a_classifier_of_other_levels_has_no_place():
  entries = {n: v for n, v in ENCODER.items()}
  for name in ("groups", "members", "widths", "depths"):
    entries[name] = entries[name][:2]
  method = kit.tiny("supervised.cloud", encoder=entries, radii=())
  family = families.find("i2p_mae_finetuned")
  assert "3 levels" in family.objection("supervised.cloud", method)


def test_another_first_width_has_no_place():
  method = kit.tiny("point.i2p_mae")
  family = families.find("i2p_mae")
  assert "embed=8" in family.objection("point.i2p_mae", method)
