"""MAR: labels and "none" as one table, numbers of a token channel last."""

import kit
import numpy as np
import pytest


@pytest.fixture(scope="module")
def written():
  return kit.check("mar", kit.tiny("latent.mar"))


def test_no_label_is_the_last_row(written):
  table = written.ours["params/main/net/label_embed/embedding"]
  np.testing.assert_array_equal(written.theirs["class_emb.weight"], table[:-1])
  np.testing.assert_array_equal(written.theirs["fake_latent"], table[-1:])


def test_numbers_of_a_token_are_channel_first_there(written):
  ours = written.ours["params/main/net/embed/kernel"].reshape(2, 2, 3, -1)
  theirs = written.theirs["z_proj.weight"].reshape(-1, 3, 2, 2)
  np.testing.assert_array_equal(theirs, ours.transpose(3, 2, 0, 1))
  bias = written.ours["params/main/head/pred/bias"].reshape(2, 2, 2, 3)
  theirs = written.theirs["diffloss.net.final_layer.linear.bias"]
  np.testing.assert_array_equal(
    theirs.reshape(2, 3, 2, 2), bias.transpose(0, 3, 1, 2)
  )


def test_averaged_weights_are_read_first(written):
  both = {f"model_ema.{n}": x for n, x in written.theirs.items()}
  both |= {f"model.{n}": x + 1 for n, x in written.theirs.items()}
  made, leaves = kit.load(written, both)
  name = "params/main/net/mask_token"
  np.testing.assert_array_equal(leaves[name], written.ours[name])
  assert len(made.ignored) == len(written.theirs)
