import dataclasses

import golden_kit
import jax
import numpy as np
import pytest

from jmim.convert import table
from jmim.convert.tables import mae as convert
from jmim.core import errors
from jmim.core import tree as trees
from jmim.methods.mim import mae
from jmim.nn import sizes

BATCH = {"image": np.zeros((1, 16, 16, 3), np.float32)}


@pytest.mark.parametrize("depth", [0, 1])
def test_a_stack_without_layers_is_read_back(depth):
  m = dataclasses.replace(
    mae.MAE.tiny(),
    decoder_dims=sizes.Blocks(width=16, depth=depth, heads=2),
  )
  params, _ = jax.jit(m.init)(jax.random.key(0), BATCH)
  names = convert.full(m)
  theirs = table.export_tree(names, params["main"])
  assert any("decoder_blocks" in name for name in theirs) == bool(depth)
  back = golden_kit.import_main(m, names, theirs, BATCH)
  assert jax.tree.structure(back) == jax.tree.structure(params)
  for name, leaf in trees.named(params).items():
    np.testing.assert_array_equal(trees.named(back)[name], leaf, name)


def test_a_table_of_labels_that_are_never_dropped_gets_the_row_of_none():
  rows = np.ones((3, 2), np.float32)
  found = golden_kit.with_none({golden_kit.LABELS: rows, "other": rows}, 3)
  np.testing.assert_array_equal(
    found[golden_kit.LABELS], [[1, 1]] * 3 + [[0, 0]]
  )
  whole = golden_kit.with_none(found, 3)
  assert whole[golden_kit.LABELS].shape == (4, 2) and whole["other"] is rows


def test_a_file_that_lacks_layers_is_refused():
  m = mae.MAE.tiny()
  params, _ = jax.jit(m.init)(jax.random.key(0), BATCH)
  names = convert.full(m)
  theirs = table.export_tree(names, params["main"])
  few = {k: v for k, v in theirs.items() if "decoder_blocks" not in k}
  with pytest.raises(errors.UserError, match="decoder_blocks"):
    golden_kit.import_main(m, names, few, BATCH)


@pytest.mark.parametrize(
  ("said", "found"),
  [
    ("linear 1e-4..2e-2", ("linear", 1e-4, 0.02)),
    ("linear 1e-4 to 2e-2", ("linear", 1e-4, 0.02)),
    ("scaled linear 0.00085..0.012", ("scaled_linear", 0.00085, 0.012)),
    (
      "scaled linear: linspace(sqrt(0.00085), sqrt(0.012), T)**2",
      ("scaled_linear", 0.00085, 0.012),
    ),
    ("squaredcos_cap_v2", ("cosine", 1e-4, 0.02)),
  ],
)
def test_betas_in_words(said, found):
  assert golden_kit.schedule_of(said) == found


def test_betas_of_fewer_times_are_larger():
  assert golden_kit.spread(1000) == pytest.approx(
    dict(beta_start=1e-4, beta_end=0.02)
  )
  assert golden_kit.spread(10)["beta_end"] == 2.0
