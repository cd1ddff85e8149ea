import flax.linen as nn
import jax
import numpy as np
import pytest

from jmim.core import runtime
from jmim.core import tree as trees
from jmim.cost import flops
from jmim.nn import block
from jmim.nn import low_rank
from jmim.nn import sizes

SIZE = sizes.Size(width=8, depth=3, heads=2)
X = jax.random.normal(jax.random.key(0), (2, 5, 8))
WANTED = lambda name: name.endswith(("/fc1/kernel", "/proj/kernel"))


def net(**rt):
  return block.make_stack(SIZE, runtime.Runtime(**rt))


@pytest.fixture(scope="module")
def base():
  shapes = jax.eval_shape(net().init, jax.random.key(0), X)["params"]
  rng = np.random.default_rng(0)
  fill = lambda s: (0.3 * rng.normal(size=s.shape)).astype(np.float32)
  return jax.tree.map(fill, shapes)


@pytest.fixture(scope="module")
def own(base):
  """Products of rank 2, none of them 0."""
  made = low_rank.init(jax.random.key(1), base, rank=2, wanted=WANTED)
  rng = np.random.default_rng(1)
  return jax.tree.map(lambda x: x + 0.2 * rng.normal(size=x.shape), made)


def joined(base, own):
  return trees.nested(trees.named(base) | trees.named(own))


def apply(tree, scale=1.5, **rt):
  with low_rank.added(scale):
    return net(**rt).apply({"params": tree}, X)[0]


def test_a_product_is_added():
  rng = np.random.default_rng(1)
  shapes = dict(kernel=(8, 4), lora_down=(8, 2), lora_up=(2, 4))
  tree = {n: rng.normal(size=s) for n, s in shapes.items()}
  run = lambda: nn.Dense(4, use_bias=False).apply({"params": tree}, X)
  with low_rank.added(0.5):
    y = run()
  plain = X @ tree["kernel"]
  more = 0.5 * X @ tree["lora_down"] @ tree["lora_up"]
  np.testing.assert_allclose(y, plain + more, atol=1e-5)
  np.testing.assert_allclose(run(), plain, atol=1e-5)


def test_fresh_products_change_nothing_and_only_where_wanted(base):
  made = low_rank.init(jax.random.key(1), base, rank=2, wanted=WANTED)
  named = trees.named(made)
  assert set(named) == {
    f"layers/{place}/lora_{way}"
    for place in ("attn/proj", "mlp/fc1")
    for way in ("down", "up")
  }
  down = named["layers/mlp/fc1/lora_down"]
  assert down.shape == (3, 8, 2) and np.abs(down).max() <= 8**-0.5
  assert np.abs(down - named["layers/attn/proj/lora_down"]).max() > 0.1
  np.testing.assert_array_equal(apply(joined(base, made)), apply(base))


@pytest.mark.parametrize("rt", [{}, {"scan": True, "remat": "full"}], ids=str)
def test_folded_kernels_compute_the_same(base, own, rt):
  tree = joined(base, own)
  folded = low_rank.folded(tree, 1.5)
  assert jax.tree.structure(folded) == jax.tree.structure(base)
  got, want = apply(tree, **rt), net().apply({"params": folded}, X)[0]
  np.testing.assert_allclose(got, want, atol=2e-5)
  assert np.abs(want - net().apply({"params": base}, X)[0]).max() > 1e-2
  with pytest.raises(ValueError, match="no kernel"):
    low_rank.folded({"lora_down": 1, "bias": 2}, 1.0)


def test_no_gradient_of_a_kernel_is_formed(base, own):
  """It costs less than that of folded kernels."""
  loss = lambda own: (apply(joined(base, own), scan=False) ** 2).sum()
  whole = lambda own: (
    net().apply({"params": low_rank.folded(joined(base, own), 1.5)}, X)[0] ** 2
  ).sum()
  np.testing.assert_allclose(loss(own), whole(own), rtol=1e-4)
  a, b = (flops.count(jax.grad(f), own) for f in (loss, whole))
  assert a < b
