"""I2P-MAE: names of levels, running statistics, the encoder alone."""

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
  kit.load(written, written.theirs | more)


def test_a_classifier_has_the_same_encoder(written):
  method = kit.tiny("supervised.cloud", encoder=ENCODER)
  one = kit.check("i2p_mae_finetuned", method)
  assert {n for n in written.theirs if n.startswith("h_encoder.")} == set(
    one.theirs
  )


def test_another_first_width_has_no_place():
  method = kit.tiny("point.i2p_mae")
  family = families.find("i2p_mae")
  assert "embed=8" in family.objection("point.i2p_mae", method)
