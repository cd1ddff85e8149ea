"""The authors' DINO and DINOv2: timm's names, no classifier."""

import kit
import numpy as np
import pytest

GIANT = dict(layer_scale=0.5, pool="cls_mean", act="swiglu", mlp_ratio=2.75)
CASES = {
  "dino": {},
  "v2": dict(layer_scale=0.5, registers=2, pool="cls_mean"),
  "giant": GIANT,
  "unbiased": dict(qkv_bias=False),
}


@pytest.mark.parametrize("case", CASES)
def test_names_and_arrays(case):
  written = kit.check("dinov2", kit.tiny("vit", **CASES[case]))
  assert not [n for n in written.theirs if n.startswith("head")]
  assert ("register_tokens" in written.theirs) == (case == "v2")


def test_gate_and_up_are_one_matrix_gate_first():
  written = kit.export("dinov2", kit.tiny("vit", **GIANT))
  mlp = "params/main/encoder/blocks/layers/mlp"
  gate, up = np.split(written.theirs["blocks.1.mlp.w12.weight"], 2)
  np.testing.assert_array_equal(gate, written.ours[f"{mlp}/gate/kernel"][1].T)
  np.testing.assert_array_equal(up, written.ours[f"{mlp}/up/kernel"][1].T)
  down = written.theirs["blocks.1.mlp.w3.weight"]
  np.testing.assert_array_equal(down, written.ours[f"{mlp}/down/kernel"][1].T)


def test_a_checkpoint_of_training_holds_the_teacher():
  written = kit.export("dinov2", kit.tiny("vit", **CASES["v2"]))
  file = {f"teacher.backbone.{n}": x for n, x in written.theirs.items()}
  file |= {
    "teacher.backbone.mask_token": np.zeros((1, 32)),
    "student.backbone.norm.bias": np.zeros(32),
  }
  made, leaves = kit.load(written, file)
  assert leaves.keys() == written.ours.keys()
  assert set(made.ignored) == set(file) - {
    f"teacher.backbone.{n}" for n in written.theirs
  }


def test_registers_come_with_layer_scale():
  written = kit.export("dinov2", kit.tiny("vit"))
  method = kit.tiny("vit", registers=2)
  why = written.family.objection("supervised.backbone", method)
  assert why == "registers without LayerScale"
