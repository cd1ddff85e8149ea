"""What the card of MaskAlign states exactly."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.masks import tokens as masking
from jmim.methods.distill import maskalign
from jmim.nn import losses
from jmim.nn import norm
from jmim.nn.nets import teacher as teachers

TINY = dataclasses.replace(maskalign.MaskAlign.tiny(), drop_path=0.0)
KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def case():
  """(params, consts, batch, draws) of the tiny method."""
  image = np.random.default_rng(0).normal(size=(2, 16, 16, 3))
  batch = {"image": image.astype(np.float32)}
  params, _ = jax.jit(TINY.init)(KEY, batch)
  consts = {"teacher": jax.jit(TINY.guide.init)(KEY)}
  return params, consts, batch, TINY.draw(KEY, batch, 0)


@pytest.fixture(scope="module")
def out(case):
  return jax.jit(TINY.forward)(*case)


def test_w_starts_as_identity_and_a_hundredth(case):
  np.testing.assert_allclose(case[0]["main"]["fusion"], np.eye(2) + 0.01)
  mixed = dataclasses.replace(TINY, fusion="sum", depth=3)
  params, _ = mixed.init(KEY, case[2])
  np.testing.assert_allclose(params["main"]["fusion"], np.full((2, 3), 1 / 3))
  simple = dataclasses.replace(TINY, fusion="simple")
  assert "fusion" not in simple.init(KEY, case[2])[0]["main"]


def test_the_loss_is_0_for_equal_features_and_the_square_nearby(case, out):
  gap = np.linspace(-3, 3, 61)
  wanted = np.where(np.abs(gap) < 1, gap**2, 2 * np.abs(gap) - 1)
  found = losses.DISTANCES["smoothl1"](jnp.asarray(gap))
  np.testing.assert_allclose(found, wanted, atol=1e-5)
  assert found[30] == 0
  loss, _ = jax.jit(lambda p: TINY.loss("main", p, {}, case[1], *case[2:], 0))(
    case[0]
  )
  last = losses.DISTANCES["smoothl1"](out["x"][-1] - out["y"][-1]).mean()
  np.testing.assert_allclose(loss, last, rtol=1e-5)


def test_targets_are_whitened_tokens_of_the_teacher(out):
  y = np.asarray(out["y"])
  np.testing.assert_allclose(y.mean(-1), 0, atol=1e-5)
  np.testing.assert_allclose(y.var(-1), 1, atol=1e-3)
  whole = np.asarray(norm.whiten(out["block"]))
  keep = np.asarray(out["mask"].keep)
  for b in range(2):
    wanted = whole[:, b][:, [0, *(1 + keep[b])]]
    np.testing.assert_allclose(y[:, b], wanted, atol=1e-6)


def test_importance_is_a_part_of_a_softmax(out):
  p = np.asarray(out["importance"])
  assert (p > 0).all() and (p.sum(1) < 1).all()


def test_nothing_masked_in_order_gives_the_whole_map(case):
  m = dataclasses.replace(TINY, mask_ratio=0.0, visible="random")
  raster = jnp.tile(jnp.arange(16.0) / 16, (2, 1))
  out = m.forward(*case[:3], {"noise": raster})
  np.testing.assert_allclose(out["y"], norm.whiten(out["block"]), atol=1e-6)


def test_kept_patches_are_distinct_and_of_the_right_count(out):
  keep = np.asarray(out["mask"].keep)
  assert keep.shape == (2, masking.keep_count(16, 0.7))
  assert all(len(set(row)) == len(row) for row in keep.tolist())


def test_the_race_draws_in_proportion_to_importance():
  n = 20_000
  p = np.array([0.1, 0.3, 0.05, 0.2, 0.15], np.float32)
  noise = jax.random.exponential(KEY, (n, 5))
  m = dataclasses.replace(TINY, mask_ratio=0.5)
  keep = np.asarray(m.mask(jnp.tile(p, (n, 1)), {"noise": noise}).keep)
  share = p / p.sum()
  first = np.bincount(keep[:, 0], minlength=5) / n
  assert (np.abs(first - share) < 3 * np.sqrt(share * (1 - share) / n)).all()
  # Second draws, given that the first was patch 1: without replacement.
  second = keep[keep[:, 0] == 1, 1]
  rest = np.where(np.arange(5) == 1, 0, p)
  rest = rest / rest.sum()
  found = np.bincount(second, minlength=5) / len(second)
  error = 3 * np.sqrt(rest * (1 - rest) / len(second))
  assert (np.abs(found - rest) <= error).all()


def test_only_the_layers_that_count_get_a_gradient(case):
  params, consts, batch, draws = case

  def loss(params, consts):
    return TINY.loss("main", params, {}, consts, batch, draws, 0)[0]

  own, teacher = jax.jit(jax.grad(loss, argnums=(0, 1)))(params, consts)
  assert not any(np.any(g) for g in jax.tree.leaves(teacher))
  layers = own["main"]["heads"]["layers"]["out"]
  for g in (own["main"]["fusion"], layers["kernel"], layers["bias"]):
    assert not np.any(g[0]) and np.any(g[1])


def test_hidden_pixels_reach_the_targets_only(case, out):
  """The teacher sees all; the student what is kept (here: at random)."""
  params, consts, batch, draws = case
  m = dataclasses.replace(TINY, visible="random")
  forward = jax.jit(lambda b: m.forward(params, consts, b, draws))
  first = forward(batch)
  mask = np.asarray(first["mask"].mask).reshape(2, 4, 4)
  hidden = np.kron(mask, np.ones((4, 4)))[..., None].astype(np.float32)
  other = forward({"image": batch["image"] + hidden})
  np.testing.assert_array_equal(first["x"], other["x"])
  assert np.abs(first["y"] - other["y"]).max() > 1e-3


def test_the_teacher_sees_the_image_its_own_way():
  image = np.random.default_rng(1).random((1, 16, 16, 3), np.float32)
  given = (image - np.array(TINY.mean)) / np.array(TINY.std)
  same_grid = dataclasses.replace(TINY, teacher_variant="Ti/4").guide
  wanted = (image - teachers.CLIP_MEAN) / np.array(teachers.CLIP_STD)
  np.testing.assert_allclose(
    same_grid.view(given.astype(np.float32)), wanted, atol=1e-5
  )
  assert TINY.guide.view(given.astype(np.float32)).shape == (1, 8, 8, 3)
  dino = dataclasses.replace(
    TINY, teacher_variant="Ti/4", teacher_kind="dino"
  ).guide
  np.testing.assert_array_equal(dino.view(given), given)


@pytest.mark.parametrize(
  "kind, wanted",
  [
    ("top2", [0, 0, 0.5, 0.5]),
    ("mid0", [1, 0, 0, 0]),
    ("mid2", [0, 0, 1, 0]),
    ("mean", [0.25] * 4),
    ("out", [0, 0, 0, 1]),
    ("linear_decay", [0, 1 / 6, 2 / 6, 3 / 6]),
  ],
)
def test_layer_weights(kind, wanted):
  np.testing.assert_allclose(teachers.layer_weights(kind, 4), wanted)


@pytest.mark.parametrize(
  "change, word",
  [
    ({"layers": "top3"}, "top3"),
    ({"layers": "mid2"}, "mid2"),
    ({"layers": "top0"}, "top0"),
    ({"layers": "best"}, "best"),
    ({"depth": 3}, "fusion"),
  ],
)
def test_what_does_not_fit_is_named(change, word):
  with pytest.raises(ValueError, match=word):
    dataclasses.replace(TINY, **change).inputs()


@pytest.mark.parametrize("head", ["ln-linear", "mlp", "mlp-ln"])
def test_other_heads_and_targets_run(case, head):
  m = dataclasses.replace(TINY, head=head, target="bn", distance="l1")
  params, _ = m.init(KEY, case[2])
  loss, _ = m.loss("main", params, {}, *case[1:], 0)
  assert np.isfinite(loss)
