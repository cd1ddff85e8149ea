import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import runtime
from jmim.core import tree as trees
from jmim.methods.parts import host as hosts
from jmim.nn import stack


def init(key):
  keys = jax.random.split(key)
  return {
    "blocks": {
      "layers": {
        "fc": {
          "kernel": jax.random.normal(keys[0], (2, 3, 4)),
          "bias": jnp.zeros((2, 4)),
        },
        "gate": {"kernel": jnp.zeros((2, 400, 50))},
      }
    },
    "head": {"kernel": jnp.zeros((3, 3, 16, 8)), "bias": jnp.ones(8)},
  }


HOST = init(jax.random.key(0))


def biases(name):
  return name.endswith("bias")


def equal(one, two):
  one, two = trees.named(one), trees.named(two)
  return one.keys() == two.keys() and all(
    np.array_equal(one[n], two[n]) for n in one
  )


def test_what_is_added_begins_at_the_host():
  added = hosts.zeros(init, biases)
  assert list(trees.named(added)) == [
    "blocks/layers/fc/bias",
    "head/bias",
  ]
  assert equal(hosts.laid(HOST, {"added": added}), HOST)
  assert equal(hosts.laid(HOST, {}), HOST)


def test_leaves_are_added_inserted_and_replaced():
  own = {
    "added": {"head": {"bias": 2 * jnp.ones(8)}},
    "new": {
      "head": {"kernel": jnp.ones((1, 2))},
      "extra": {"scale": jnp.ones(3)},
    },
    "beside": {"head": {"bias": jnp.nan}},
  }
  before = trees.named(HOST)
  tree = trees.named(hosts.laid(HOST, own))
  assert set(tree) == {*before, "extra/scale"}
  np.testing.assert_array_equal(tree["head/bias"], np.full(8, 3.0))
  np.testing.assert_array_equal(tree["head/kernel"], np.ones((1, 2)))
  same = "blocks/layers/fc/kernel"
  assert tree[same] is before[same]
  assert equal(HOST, init(jax.random.key(0)))  # nothing is written into it


def test_the_gradient_of_an_addition_is_that_of_the_leaf():
  def loss(tree):
    return jnp.sum(jnp.sin(tree["head"]["bias"]) ** 2)

  added = hosts.zeros(init, biases)
  got = jax.grad(lambda a: loss(hosts.laid(HOST, {"added": a})))(added)
  want = jax.grad(loss)(HOST)
  np.testing.assert_array_equal(got["head"]["bias"], want["head"]["bias"])


def test_layers_may_be_apart():
  """As samplers and evaluators hand parameters on."""
  own = {"added": jax.tree.map(jnp.ones_like, hosts.zeros(init, biases))}
  apart = stack.unrolled(runtime.Runtime(), own)
  assert isinstance(apart["added"]["blocks"]["layers"], tuple)
  assert equal(hosts.laid(HOST, apart), hosts.laid(HOST, own))


@pytest.mark.parametrize(
  "added", [{"head": {"scale": jnp.zeros(8)}}, {"head": {"bias": jnp.zeros(7)}}]
)
def test_an_addition_to_nothing_is_refused(added):
  with pytest.raises(ValueError, match="added head/"):
    hosts.laid(HOST, {"added": added})


def test_a_fresh_host_has_no_leaf_of_zeros():
  made = jax.jit(hosts.shaken(init))(jax.random.key(0))
  for name, leaf in trees.named(made).items():
    assert np.asarray(leaf).std() > 0 or name == "head/bias", name
  kept = ("blocks/layers/fc/kernel", "head/bias")
  for name in kept:
    np.testing.assert_allclose(
      trees.named(made)[name], trees.named(HOST)[name], rtol=1e-6
    )
  # Variance 1 / inputs, layers and the places of a kernel counted rightly.
  gate = made["blocks"]["layers"]["gate"]["kernel"]
  np.testing.assert_allclose(gate.std(), 400**-0.5, rtol=0.02)
  np.testing.assert_allclose(made["head"]["kernel"].std(), 1 / 12, rtol=0.1)
  assert not np.array_equal(gate[0], gate[1])


def test_the_const_says_where_and_of_which_shape():
  part = hosts.Host(path="W", sha256="f" * 64, weights="ema")
  agrees = {"noise.times": ("method.noise.times", 1000)}
  const = part.const(init, agrees)
  assert (const.path, const.sha256) == ("W", "f" * 64)
  assert const.weights == "ema" and const.agrees == agrees
  shapes = jax.eval_shape(const.init, jax.random.key(0))
  assert jax.tree.map(lambda x: x.shape, shapes) == jax.tree.map(
    lambda x: x.shape, HOST
  )
  assert hosts.Host().const(init).sha256 is None
