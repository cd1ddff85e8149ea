import jax
import jax.numpy as jnp
import pytest

from jmim.cost import flops
from jmim.methods.parts import block_sparse
from jmim.methods.parts import block_work
from jmim.nn import attention


@pytest.mark.parametrize("selection", block_sparse.SELECTIONS)
@pytest.mark.parametrize("tokens", [40, 37])
def test_work_is_that_of_the_programs(selection, tokens):
  """One call of each kind, a last block that is short or whole."""
  rule = block_sparse.BlockSparse(
    sparsity=0.6, block=4, searches=(2, 4), selection=selection
  )
  assert [s.phase for s in rule.segments(5)] == [
    "dense",
    "search",
    "sparse",
    "refresh",
    "sparse",
  ]

  def walk(q, k, v):
    x = attention.attend(q, k, v)
    n = rule.layout(tokens).video
    state = jnp.zeros((1, 3, n, n)) if selection == "random" else None
    for phase in ("search", "sparse", "refresh", "sparse"):
      y, state = rule.attend(q, k, v=v, state=state, phase=phase)
      x = x + y
    return x

  shape = jax.ShapeDtypeStruct((1, 3, tokens, 8), jnp.float32)
  found = flops.count(walk, shape, shape, shape)
  assert found == block_work.work(rule, tokens, width=24, steps=5)


def test_work_of_a_long_path():
  """Nine dense calls, one and a half for the search, half and the kept ones."""
  rule = block_sparse.BlockSparse(block=8, selection="rows")
  sparse = block_work.work(rule, 400, width=1, steps=50)
  assert sparse == 4 * 400**2 * (9 + 1.5 + 0.5 + 40 / 5)
