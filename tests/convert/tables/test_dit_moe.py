"""DiT-MoE: experts apart there, one array with an axis of experts here."""

import kit
import numpy as np
import pytest

EXPERTS = "params/main/blocks/layers/ffn"


@pytest.mark.parametrize(
  "fields", [{}, dict(experts=1, chosen=1), dict(qk_norm=True)]
)
def test_names_and_arrays(fields):
  written = kit.check("dit_moe", kit.tiny("diffusion.dit_moe", **fields))
  assert not [n for n in written.theirs if ".mlp.fc" in n]


def test_an_expert_is_a_row_of_ours():
  written = kit.export("dit_moe", kit.tiny("diffusion.dit_moe"))
  for part in ("gate", "up", "down"):
    ours = written.ours[f"{EXPERTS}/experts/{part}/kernel"]  # [l, e, in, out]
    assert ours.shape[:2] == (2, 4)
    theirs = written.theirs[f"blocks.1.moe.experts.3.{part}_proj.weight"]
    np.testing.assert_array_equal(theirs, ours[1, 3].T)


def test_the_router_has_no_bias_and_the_shared_expert_a_name_of_its_own():
  written = kit.export("dit_moe", kit.tiny("diffusion.dit_moe"))
  names = {n for n in written.theirs if n.startswith("blocks.0.moe.gate")}
  assert names == {"blocks.0.moe.gate.weight"}
  shared = {n for n in written.theirs if ".moe.shared_experts." in n}
  none = kit.check("dit_moe", kit.tiny("diffusion.dit_moe", shared=0.0))
  assert written.theirs.keys() - none.theirs.keys() == shared != set()
