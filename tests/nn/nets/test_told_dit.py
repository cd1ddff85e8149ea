import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import runtime
from jmim.core import tree as trees
from jmim.nn import sizes
from jmim.nn.nets import dit
from jmim.nn.nets import told_dit

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 8, 8, 3)).astype(np.float32)
C = RNG.normal(size=(2, 5, 6)).astype(np.float32)
T = np.array([3.0, 700.0])
DIMS = told_dit.Dims(body=sizes.Dims(variant="S/2", width=16, depth=2, heads=2))
PLAIN, TOLD = (
  DIMS.net(out=4, rt=runtime.Runtime(), transformer=n) for n in (0, 1)
)
SIZE = sizes.Size(width=16, depth=2, heads=2)
DIT = dit.DiT(size=SIZE, patch=2, grid=(4, 4), out=4)


@functools.cache
def fresh(net):
  args = (X, T, None, C) if net is TOLD else (X, T)
  return jax.jit(net.init)(jax.random.key(0), *args)


def test_without_a_context_it_is_the_dit_that_exists(fill):
  """Bit for bit, and name by name."""
  theirs = jax.jit(DIT.init)(jax.random.key(0), X, T)
  jax.tree.map(np.testing.assert_array_equal, fresh(PLAIN), theirs)
  variables = fill(DIT, X, T)
  ours = jax.jit(lambda v: PLAIN.apply(v, X, T))(variables)
  pred = jax.jit(lambda v: DIT.apply(v, X, T)["pred"])(variables)
  np.testing.assert_array_equal(ours, pred)
  assert np.abs(pred).max() > 1e-3


def test_a_context_adds_parameters_and_changes_no_name():
  names = lambda net: set(trees.named(fresh(net)["params"]))
  more = names(TOLD) - names(PLAIN)
  assert names(PLAIN) < names(TOLD)
  assert {n.rpartition("cross/")[1] for n in more} == {"cross/", ""}
  outside = {n for n in more if "cross/" not in n}
  assert outside == {"context_embed/kernel", "context_embed/bias"}
  for name, leaf in trees.named(fresh(TOLD)["params"]).items():
    if "cross/" in name:
      assert name.startswith("blocks/layers/") and leaf.shape[0] == 2


def test_a_network_that_learns_of_a_context_begins_as_it_was(fill):
  """Parameters of the other, fresh ones beside them."""
  own = trees.named(fill(PLAIN, X, T)["params"])
  beside = trees.named(fresh(TOLD)["params"])
  both = {"params": trees.nested(beside | own)}
  found = TOLD.apply(both, X, T, context=C)
  wanted = PLAIN.apply({"params": trees.nested(own)}, X, T)
  np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("scan", [True, False])
def test_what_is_told_reaches_every_pixel(fill, scan):
  net = DIMS.net(out=4, rt=runtime.Runtime(scan=scan), transformer=1)
  variables = fill(net, X, T, None, C)
  apply = jax.jit(lambda c: net.apply(variables, X, T, context=c))
  found, other = apply(C), apply(C + 0.5)
  assert (np.abs(np.asarray(found - other)).reshape(2, 64, 4).max(-1) > 0).all()
  # Of one example the other is told nothing.
  half = apply(np.stack([C[0], C[1] + 1]))
  np.testing.assert_array_equal(half[0], found[0])
  # An order of the context there is not.
  turned = apply(C[:, ::-1])
  np.testing.assert_allclose(turned, found, atol=1e-5)


def test_images_of_any_grid(fill):
  variables = fill(TOLD, X, T, None, C)
  wide = np.concatenate([X, X], axis=2)
  found = TOLD.apply(variables, wide, T, context=C)
  assert found.shape == (2, 8, 16, 4) and found.dtype == jnp.float32


def test_more_than_one_look_in_a_block_is_named():
  with pytest.raises(ValueError, match="transformer 2 with dims.type"):
    DIMS.net(out=4, rt=runtime.Runtime(), transformer=2)
  assert DIMS.dropout == 0
