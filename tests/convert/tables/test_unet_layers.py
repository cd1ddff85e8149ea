"""Layers of a UNet under the names of its authors."""

import jax
import numpy as np
import pytest

from jmim.convert import table
from jmim.convert.tables import _unet_layers as tables
from jmim.core import tree as trees
from jmim.nn import context_block


def test_rows_of_q_k_and_v_are_dealt_out_head_by_head():
  kernel, bias = tables.heads_first(2)
  # Of two heads of one feature: q0 k0 v0 q1 k1 v1 there, q0 q1 k0 k1 v0 v1.
  theirs = np.arange(6)
  np.testing.assert_array_equal(bias.to_ours(theirs), [0, 3, 1, 4, 2, 5])
  np.testing.assert_array_equal(bias.to_theirs(bias.to_ours(theirs)), theirs)
  ours = kernel.to_ours(theirs[:, None, None] + np.zeros((6, 4, 1)))
  np.testing.assert_array_equal(ours, np.tile([0, 3, 1, 4, 2, 5], (4, 1)))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("scales", [(), context_block.SCALES])
def test_a_block_has_a_name_for_each_parameter(bias, scales):
  net = context_block.Block(
    heads=2, attention_bias=bias, scales=scales, suffix="_3"
  )
  x, context = np.zeros((1, 3, 8)), np.zeros((1, 2, 5))
  start = jax.eval_shape(net.init, jax.random.key(0), x, context)["params"]
  params = jax.tree.map(lambda s: np.ones(s.shape, s.dtype), start)
  rules = tables.block("at.", "", "_3", bias=bias, scales=scales)
  theirs = table.export_tree(rules, params)
  assert ("at.attn2.processor.gamma_fnn" in theirs) == bool(scales)
  assert ("at.attn1.to_k.bias" in theirs) == bias
  back = table.import_tree(rules, theirs)
  assert trees.named(back).keys() == trees.named(start).keys()
