"""What the card of JEPA states exactly of I-JEPA."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.masks import rectangles
from jmim.methods.mim import ijepa

TINY = ijepa.IJEPA.tiny()
KEY = jax.random.key(0)
IMAGE = np.random.default_rng(0).normal(size=(3, 16, 16, 3)).astype(np.float32)
GRID = (16, 16)
SCALES = ((0.15, 0.2), (0.75, 1.5), (0.85, 1.0))


@pytest.fixture(scope="module")
def case():
  """(params, extra, batch, draws), the target unlike the encoder."""
  batch = {"image": IMAGE}
  params, extra = jax.jit(TINY.init)(KEY, batch)
  extra = jax.tree.map(lambda x: x + 0.1, extra)
  return params, extra, batch, TINY.draw(KEY, batch, 0)


def masks(n=200, seed=0, min_keep=10):
  make = lambda k: rectangles.multi_block(k, n, GRID, 4, *SCALES, min_keep)
  return jax.tree.map(np.asarray, jax.jit(make)(jax.random.key(seed)))


def test_context_and_targets_are_disjoint_and_not_too_small():
  for seed in range(5):
    context, targets = masks(seed=seed)
    assert not (context & targets.any(1)).any()
    assert (context.sum(1) > 10).all()


def test_targets_are_rectangles_of_one_size_anywhere():
  _, targets = masks()
  sides = set()
  for mask in targets.reshape(-1, *GRID):
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    assert mask[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1].all()
    sides.add((len(rows), len(cols)))
  assert len(sides) == 1
  high, wide = sides.pop()
  assert 35 <= high * wide <= 54
  first = np.argwhere(targets.reshape(-1, *GRID).any(2).argmax(1) == 0)
  assert len(first) > 0  # the top row is reached
  assert rectangles.most_cells(GRID, *SCALES[:2]) == 54


def test_sizes_of_lists_are_those_of_the_authors_configuration():
  """16x16 grid, batch 16, as the authors' batches: about 82 and 44."""
  found = [masks(16, seed) for seed in range(40)]
  shortest = [c.sum(1).min() for c, _ in found]
  cells = [t[0, 0].sum() for _, t in found]
  assert abs(np.mean(shortest) - 82) < 8
  assert min(shortest) > 45 and max(shortest) < 120
  assert abs(np.mean(cells) - 44) < 3


def test_a_crowded_grid_lets_targets_overlap_the_context():
  """All but impossible to keep 150 of 256 tokens beside four targets."""
  context, targets = masks(50, min_keep=150)
  assert (context.sum(1) > 150).all()
  assert (context & targets.any(1)).any()


def test_ids_are_ascending_and_padding_is_marked():
  inside = np.random.default_rng(0).random((4, 9)) < 0.5
  found, valid = jax.tree.map(np.asarray, rectangles.ids(inside, 7))
  for row, ids, ok in zip(inside, found, valid, strict=True):
    np.testing.assert_array_equal(ids[ok], np.flatnonzero(row)[:7])


def test_padding_changes_nothing(case):
  """What padded slots point at reaches neither loss nor predictions."""
  params, extra, batch, draws = case
  loss = jax.jit(lambda d: TINY.loss("main", params, extra, {}, batch, d, 0)[0])
  other = dict(draws)
  for name in ("context", "targets"):
    assert not draws[f"{name}_valid"].all()
    ids = draws[name]
    other[name] = jnp.where(draws[f"{name}_valid"], ids, (ids + 5) % 16)
  np.testing.assert_allclose(loss(other), loss(draws), rtol=1e-5)
  shorter = {
    k: v[..., : int(draws["targets_valid"].sum(-1).max())]
    if k.startswith("targets")
    else v
    for k, v in draws.items()
  }
  np.testing.assert_allclose(loss(shorter), loss(draws), rtol=1e-5)


def test_the_loss_ignores_the_order_of_targets(case):
  params, extra, batch, draws = case
  loss = jax.jit(lambda d: TINY.loss("main", params, extra, {}, batch, d, 0)[0])
  other = draws | {k: draws[k][:, ::-1] for k in ("targets", "targets_valid")}
  np.testing.assert_allclose(loss(other), loss(draws), rtol=1e-5)


def test_the_context_encoder_does_not_see_the_targets(case):
  params, extra, batch, draws = case
  forward = jax.jit(lambda b: TINY.forward(params, extra, b, draws))
  seen = np.zeros((3, 16), bool)
  for b in range(3):
    ids, ok = draws["context"][b, 0], draws["context_valid"][b, 0]
    seen[b, np.asarray(ids)[np.asarray(ok)]] = True
  hidden = np.kron(~seen.reshape(3, 4, 4), np.ones((4, 4)))[..., None]
  a, b = forward(batch), forward({"image": IMAGE + hidden.astype(np.float32)})
  np.testing.assert_allclose(a["pred"], b["pred"], atol=1e-5)
  assert np.abs(a["target"] - b["target"]).max() > 1e-2


def test_no_gradient_reaches_the_target(case):
  params, extra, batch, draws = case
  grads = jax.jit(
    jax.grad(lambda e: TINY.loss("main", params, e, {}, batch, draws, 0)[0])
  )(extra)
  assert not any(np.any(g) for g in jax.tree.leaves(grads))


@pytest.mark.parametrize(
  "momentum, steps, step, m",
  [
    (1.0, 0, 3, 1.0),
    (0.0, 0, 3, 0.0),
    (0.996, 0, 9, 0.996),
    (0.996, 100, 50, 0.998),
    (0.996, 100, 400, 1.0),
  ],
)
def test_momentum_runs_along_a_line_to_1(case, momentum, steps, step, m):
  params, extra, *_ = case
  method = dataclasses.replace(TINY, momentum=momentum, momentum_steps=steps)
  new = method.after("main", params, extra, {}, step)
  wanted = jax.tree.map(
    lambda t, p: m * t + (1 - m) * p, extra["target"], params["main"]["encoder"]
  )
  for a, b in zip(
    jax.tree.leaves(new["target"]), jax.tree.leaves(wanted), strict=True
  ):
    np.testing.assert_allclose(a, b, atol=1e-6)


def test_a_constant_target_encoder_shows_as_collapse(case):
  params, extra, batch, draws = case
  flat = jax.tree.map(jnp.zeros_like, extra)
  _, aux = TINY.loss("main", params, flat, {}, batch, draws, 0)
  assert aux["target_std"] == 0
  _, aux = TINY.loss("main", params, extra, {}, batch, draws, 0)
  assert aux["target_std"] > 1e-2


def test_block_wise_masks_have_exactly_the_count():
  make = jax.jit(jax.vmap(lambda k: rectangles.block_wise(k, (14, 14), 98)))
  found = np.asarray(make(jax.random.split(KEY, 32)))
  np.testing.assert_array_equal(found.sum(1), 98)
  assert len({row.tobytes() for row in found}) == 32
  # Clumped: a hidden patch has more hidden neighbours than by chance (1/2).
  grid = found.reshape(-1, 14, 14)
  beside = grid[:, :, 1:] & grid[:, :, :-1]
  assert beside.sum() / grid[:, :, 1:].sum() > 0.7
