"""A block under the names of DiffFit-pytorch."""

import jax
import numpy as np
import pytest

from jmim.convert import table
from jmim.convert.tables import _difffit as tables
from jmim.core import tree as trees
from jmim.nn import context_block


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("gated", [False, True])
def test_every_parameter_has_a_name_and_comes_back(bias, gated):
  net = context_block.Block(
    heads=2,
    inner=6,
    gated=gated,
    attention_bias=bias,
    scales=context_block.SCALES,
  )
  x, context = np.zeros((1, 3, 8)), np.zeros((1, 2, 5))
  start = jax.eval_shape(net.init, jax.random.key(0), x, context)["params"]
  rng = np.random.default_rng(0)
  ours = jax.tree.map(lambda s: rng.normal(size=s.shape), start)
  theirs = table.export_tree(tables.block(net), ours)
  assert theirs["attn2.to_k.weight"].shape == (6, 5)
  assert theirs["attn1.processor.gamma_fnn"].shape == (8,)
  assert ("attn1.to_q.bias" in theirs) == bias
  assert len(theirs) == len(trees.named(ours))
  back = table.import_tree(tables.block(net), theirs)
  jax.tree.map(np.testing.assert_array_equal, back, ours)
