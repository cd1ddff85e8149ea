import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import runtime
from jmim.nn import t5
from jmim.nn.nets import t5 as nets

SIZE = t5.Size(
  words=9,
  width=12,
  depth=2,
  decoder_depth=1,
  heads=2,
  head_width=4,
  hidden=10,
  buckets=8,
  distance=16,
)


def test_a_decoder_reads_what_was_said_before():
  labels = jnp.array([[4, 5, 6], [7, 8, 0]])
  np.testing.assert_array_equal(nets.shifted(labels, 2), [[2, 4, 5], [2, 7, 8]])


@pytest.fixture(scope="module")
def network(fill):
  net = nets.T5(size=SIZE)
  ids = jnp.zeros((1, 3), jnp.int32)
  return net, fill(net, ids, ids)


def decoded(net, variables, said, memory, **seen):
  return net.apply(variables, said, memory, method="decode", **seen)


def test_what_is_not_there_changes_nothing(network, normal):
  net, variables = network
  ids = jnp.array([[3, 4, 5, 6, 7]])
  there = jnp.array([[1, 1, 1, 0, 0]], bool)
  encode = lambda i: net.apply(variables, i, there, method="encode")
  other = ids.at[0, 3:].set(1)
  np.testing.assert_allclose(
    encode(ids)[:, :3], encode(other)[:, :3], atol=1e-6
  )
  memory = jnp.asarray(normal(1, 4, 12))
  seen = dict(memory_present=jnp.array([[1, 0, 1, 1]], bool))
  said = jnp.array([[0, 3, 4]])
  before = decoded(net, variables, said, memory, **seen)
  moved = memory.at[:, 1].add(5.0)
  np.testing.assert_allclose(
    decoded(net, variables, said, moved, **seen), before, atol=1e-6
  )
  # A token is told by those before it, and not by those after it.
  later = decoded(net, variables, said.at[0, 2].set(8), memory, **seen)
  np.testing.assert_allclose(later[:, :2], before[:, :2], atol=1e-6)
  assert np.abs(later[:, 2] - before[:, 2]).max() > 1e-3


def test_a_decoder_alone_needs_no_encoder(network, normal):
  net, variables = network
  params = {n: x for n, x in variables["params"].items() if n != "encoder"}
  said, memory = jnp.array([[0, 3]]), jnp.asarray(normal(1, 4, 12))
  np.testing.assert_array_equal(
    decoded(net, {"params": params}, said, memory),
    decoded(net, variables, said, memory),
  )


def test_scanning_changes_nothing(network):
  net, variables = network
  ids = jnp.array([[3, 4, 5, 6, 7]])
  scanned = nets.T5(size=SIZE, rt=runtime.Runtime(scan=True))
  np.testing.assert_allclose(
    net.apply(variables, ids, ids),
    scanned.apply(variables, ids, ids),
    atol=1e-5,
  )


def test_logits_begin_with_variance_one():
  size = dict(vars(SIZE)) | dict(width=256, words=300, hidden=64)
  net = nets.T5(size=t5.Size(**size))
  ids = jnp.arange(20).reshape(2, 10)
  logits, _ = net.init_with_output(jax.random.key(0), ids, ids)
  assert 0.8 < float(logits.std()) < 1.2
