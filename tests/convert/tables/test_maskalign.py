"""MaskAlign: heads are parts of a torch Sequential, one per layer of w."""

import kit
import numpy as np
import pytest

HEADS = "params/main/heads/layers"
# Our part of a head -> its place in their Sequential.
PLACES = {
  "linear": {"out": ""},
  "ln-linear": {"norm": ".0", "out": ".1"},
  "mlp": {"fc": ".0", "out": ".2"},
  "mlp-ln": {"fc": ".0", "norm": ".1", "out": ".2"},
}


@pytest.mark.parametrize("head", PLACES)
def test_parts_of_a_head_have_the_index_of_their_module(head):
  written = kit.check("maskalign", kit.tiny("distill.maskalign", head=head))
  for part, place in PLACES[head].items():
    theirs = written.theirs[f"distill_heads.0{place}.weight"]
    if part == "norm":
      ours = written.ours[f"{HEADS}/norm/scale"][0]
    else:
      ours = written.ours[f"{HEADS}/{part}/kernel"][0].T
    np.testing.assert_array_equal(theirs, ours)


def test_only_a_learned_fusion_is_stored():
  linear = kit.check("maskalign", kit.tiny("distill.maskalign"))
  simple = kit.check(
    "maskalign", kit.tiny("distill.maskalign", fusion="simple")
  )
  assert linear.theirs.keys() - simple.theirs.keys() == {"distill_weights"}


def test_the_encoder_has_no_final_norm():
  written = kit.check("maskalign", kit.tiny("distill.maskalign"))
  assert "norm.weight" not in written.theirs
