"""I-JEPA: two encoders, of which the target is in `extra`."""

import kit
import numpy as np
import pytest


@pytest.fixture(scope="module")
def written():
  return kit.check("ijepa", kit.tiny("mim.ijepa"))


def test_the_target_encoder_has_the_names_of_the_other(written):
  below = lambda prefix: {
    n.removeprefix(prefix) for n in written.theirs if n.startswith(prefix)
  }
  assert below("target_encoder.") == below("encoder.")
  name = "blocks.1.attn.qkv.weight"
  np.testing.assert_array_equal(
    written.theirs[f"target_encoder.{name}"],
    written.ours["extra/target/blocks/layers/attn/qkv/kernel"][1].T,
  )
  np.testing.assert_array_equal(
    written.theirs[f"encoder.{name}"],
    written.ours["params/main/encoder/blocks/layers/attn/qkv/kernel"][1].T,
  )


def test_there_is_no_class_token(written):
  assert not [n for n in written.theirs if "cls" in n]
  assert written.theirs["encoder.pos_embed"].shape == (1, 16, 32)


def test_names_of_a_distributed_module_are_read(written):
  # Each of the three networks was wrapped on its own.
  wrapped = {
    f"{n.partition('.')[0]}.module.{n.partition('.')[2]}": x
    for n, x in written.theirs.items()
  }
  wrapped["opt.state.0.exp_avg"] = np.zeros(2)
  made, leaves = kit.load(written, wrapped)
  assert leaves.keys() == written.ours.keys()
  assert made.ignored == ["opt.state.0.exp_avg"]
