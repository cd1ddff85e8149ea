import jax
import numpy as np
import pytest

from jmim.methods.parts import block_recall
from jmim.methods.parts import block_sparse
from jmim.nn import block_masks

RULE = block_sparse.BlockSparse(sparsity=0.8, block=4)
LAYERS, B, H, N = 2, 3, 4, 10
TOKENS = 4 * N


def drawn(seed, sharp=0.1):
  rng = np.random.default_rng(seed)
  return np.float32(4 * rng.dirichlet(np.full(N, sharp), (LAYERS, B, H, N)))


@pytest.fixture(scope="module")
def noise():
  shape = (LAYERS, B, H, N, N)
  return np.random.default_rng(9).normal(size=shape).astype(np.float32)


def of_path(first, last, noise, other=None, **rule):
  other = first if other is None else other
  one = block_sparse.BlockSparse(**{"sparsity": 0.8, "block": 4, **rule})
  found = jax.jit(
    lambda *a: block_recall.of_path(one, *a[:3], tokens=TOKENS, noise=a[3])
  )(first, last, other, noise)
  return jax.tree.map(np.asarray, found)


def test_recalls_are_means_over_layers_and_heads(noise):
  first = drawn(0)
  found = of_path(first, first, noise, selection="rows")
  top = np.sort(first, -1)[..., -2:].sum((-2, -1)) / first.sum((-2, -1))
  np.testing.assert_allclose(found["recall_rows"], top.mean((0, 2)), rtol=1e-5)
  np.testing.assert_allclose(found["least_rows"], top.min(2).mean(0), rtol=1e-5)
  for i in range(H):
    np.testing.assert_allclose(
      found[f"head_{i}"], top[:, :, i].mean(0), rtol=1e-5
    )
  layout = block_masks.Layout(tokens=TOKENS, block=4)
  best = np.sort(first.reshape(LAYERS, B, H, -1), -1)[..., -2 * N :].sum(-1)
  best = best / first.sum((-2, -1))
  np.testing.assert_allclose(
    found["recall_whole"], best.mean((0, 2)), rtol=1e-5
  )
  columns = np.stack(
    [
      block_masks.recall(
        s, block_masks.mask(block_masks.columns(s, 2, layout), layout)
      )
      for s in first
    ]
  )
  np.testing.assert_allclose(
    found["recall_columns"], columns.mean((0, 2)), rtol=1e-5
  )
  assert (found["over_patterns"] <= (best - columns).min((0, 2)) + 1e-6).all()
  assert (found["over_patterns"] >= 0).all()


def test_what_is_kept_of_recall(noise):
  first, other = drawn(0), drawn(1)
  same = of_path(first, first, noise, other)
  np.testing.assert_allclose(same["kept"], 1.0, rtol=1e-6)
  assert (same["other"] < 0.7).all()
  # No example is another's other.
  part = lambda a: a[:, 1:2]
  alone = of_path(*map(part, (first, first, noise, other)))
  for name, value in same.items():
    np.testing.assert_allclose(value[1:2], alone[name], rtol=1e-5)
  changed = of_path(first, 0.8 * first + 0.2 * other, noise)
  assert (changed["kept"] < 1.0).all() and (changed["kept"] > 0.8).all()


def test_where_most_is_kept_no_head_gives_blocks_away(noise):
  first = drawn(0)
  found = of_path(first, first, noise, sparsity=0.2, selection="rows")
  assert not {"recall_heads", "least_heads"} & set(found)
  top = np.sort(first, -1)[..., -8:].sum((-2, -1)) / first.sum((-2, -1))
  np.testing.assert_allclose(found["recall_rows"], top.mean((0, 2)), rtol=1e-5)
  np.testing.assert_allclose(found["kept"], 1.0, rtol=1e-6)


def test_unequal_counts_raise_the_least_recall(noise):
  first = drawn(0)
  first[:, :, :2] = drawn(2, sharp=1.0)[:, :, :2]
  found = of_path(first, first, noise)
  assert (found["least_heads"] > found["least_rows"] + 0.02).all()
