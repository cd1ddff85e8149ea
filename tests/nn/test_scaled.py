import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import runtime
from jmim.core import tree as trees
from jmim.cost import flops
from jmim.nn import block
from jmim.nn import scaled
from jmim.nn import sizes

SIZE = sizes.Size(width=8, depth=3, heads=2)
X = jax.random.normal(jax.random.key(0), (2, 5, 8))


def net(**rt):
  return block.make_stack(SIZE, runtime.Runtime(**rt))


@pytest.fixture(scope="module")
def tree():
  """Parameters with a gamma beside every kernel of attention and MLP."""
  shapes = jax.eval_shape(net().init, jax.random.key(0), X)["params"]
  rng = np.random.default_rng(0)
  fill = lambda s: 0.3 * rng.normal(size=s.shape).astype(np.float32)
  arrays = trees.named(jax.tree.map(fill, shapes))
  gammas = {
    n.replace("kernel", "gamma"): 1 + fill(arrays[n][:, 0])
    for n in arrays
    if n.endswith("kernel")
  }
  assert len(gammas) == 4
  return trees.nested(arrays | gammas)


def apply(tree, **rt):
  with scaled.outputs():
    return net(**rt).apply({"params": tree}, X)[0]


def test_a_linear_map_is_scaled_after_its_bias():
  x, rng = X[0], np.random.default_rng(1)
  kernel, bias, gamma = (
    rng.normal(size=(8, 4)),
    rng.normal(size=4),
    np.arange(4),
  )
  tree = {"kernel": kernel, "bias": bias, "gamma": gamma}
  with scaled.outputs():
    y = nn.Dense(4).apply({"params": tree}, x)
  np.testing.assert_allclose(y, gamma * (x @ kernel + bias), rtol=1e-5)
  outside = nn.Dense(4).apply({"params": tree}, x)
  np.testing.assert_allclose(outside, x @ kernel + bias, rtol=1e-5)


@pytest.mark.parametrize(
  "rt", [{}, {"scan": True}, {"scan": True, "remat": "full"}], ids=str
)
def test_folded_it_is_the_same_network(tree, rt):
  folded = scaled.folded(tree)
  assert not [n for n in trees.named(folded) if n.endswith("gamma")]
  want = net().apply({"params": folded}, X)[0]
  np.testing.assert_allclose(apply(tree, **rt), want, rtol=2e-5, atol=1e-5)
  plain = {n: x for n, x in trees.named(tree).items() if "gamma" not in n}
  other = net().apply({"params": trees.nested(plain)}, X)[0]
  assert np.abs(other - want).max() > 0.1


def test_scales_of_one_change_no_bit(tree):
  ones = trees.map_named(
    lambda n, x: jnp.ones_like(x) if n.endswith("gamma") else x, tree
  )
  want = net().apply({"params": scaled.folded(ones)}, X)[0]
  np.testing.assert_array_equal(apply(ones), want)


def test_the_gradient_is_that_of_the_output_times_what_is_scaled():
  """sum_tokens dL/d(gamma h) * h, with h = x W + b."""
  layer, rng = nn.Dense(4), np.random.default_rng(2)
  plain = {"kernel": rng.normal(size=(8, 4)), "bias": rng.normal(size=4)}
  gamma, c = jnp.arange(1.0, 5), rng.normal(size=(2, 5, 4))

  def loss(gamma):
    with scaled.outputs():
      return jnp.sum(
        jnp.sin(layer.apply({"params": plain | {"gamma": gamma}}, X)) * c
      )

  h = layer.apply({"params": plain}, X)
  want = jnp.sum(c * jnp.cos(gamma * h) * h, axis=(0, 1))
  np.testing.assert_allclose(jax.grad(loss)(gamma), want, rtol=2e-5, atol=1e-5)


def test_no_gradient_of_a_kernel_is_formed(tree):
  """Of gammas and biases the backward pass costs what its inputs cost."""
  own = lambda n: n.endswith(("gamma", "bias"))
  part = {n: x for n, x in trees.named(tree).items() if own(n)}
  rest = {n: x for n, x in trees.named(tree).items() if not own(n)}

  def loss(part, fold):
    whole = trees.nested(rest | part)
    if fold:
      return net().apply({"params": scaled.folded(whole)}, X)[0].sum()
    return apply(whole).sum()

  grads = lambda part, fold: jax.grad(loss)(part, fold)
  count = lambda fold: flops.count(lambda p: grads(p, fold), part)
  assert count(False) < 0.8 * count(True)


def test_a_scale_without_a_map_is_refused():
  with pytest.raises(ValueError, match="gamma beside bias"):
    scaled.folded({"x": {"gamma": jnp.ones(2), "bias": jnp.ones(2)}})
