"""DiT: adaLN, a table of labels, fixed positions."""

import kit
import numpy as np
import pytest

from jmim.nn import posemb


@pytest.fixture(scope="module")
def written():
  return kit.check("dit", kit.tiny("diffusion.dit"))


def test_without_labels_there_is_no_table(written):
  plain = kit.check("dit", kit.tiny("diffusion.dit", classes=0))
  name = "y_embedder.embedding_table.weight"
  assert written.theirs.keys() - plain.theirs.keys() == {name}
  # One more row than classes: "nothing".
  assert written.theirs[name].shape == (4, 32)


def test_modulations_have_the_index_of_their_module(written):
  ours = written.ours["params/main/blocks/layers/modulation/kernel"]
  name = "blocks.1.adaLN_modulation.1.weight"
  np.testing.assert_array_equal(written.theirs[name], ours[1].T)
  assert written.theirs[name].shape == (6 * 32, 32)
  last = written.theirs["final_layer.adaLN_modulation.1.weight"]
  assert last.shape == (2 * 32, 32)


def test_positions_are_computed(written):
  rows = posemb.sincos_2d(32, (4, 4))
  np.testing.assert_array_equal(written.theirs["pos_embed"][0], rows)


def test_the_average_is_read_where_there_is_one(written):
  both = {f"ema.{n}": x for n, x in written.theirs.items()}
  both |= {f"model.{n}": 2 * x for n, x in written.theirs.items()}
  made, leaves = kit.load(written, both)
  for name, array in written.ours.items():
    np.testing.assert_array_equal(leaves[name], array)
  assert len(made.ignored) == len(written.theirs)
