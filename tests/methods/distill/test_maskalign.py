"""What the card of MaskAlign states exactly."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.masks import tokens as masking
from jmim.methods.distill import maskalign
from jmim.methods.parts import alignment
from jmim.nn import norm
from jmim.nn import sizes
from jmim.nn.nets import teacher

TINY = dataclasses.replace(maskalign.MaskAlign.tiny(), drop_path=0.0)
KEY, ROWS = jax.random.key(0), np.arange(2)


@pytest.fixture(scope="module")
def case():
  """(weights, batch, draws) of the tiny method."""
  image = np.random.default_rng(0).normal(size=(2, 16, 16, 3))
  batch = {"image": image.astype(np.float32)}
  params, _ = jax.jit(TINY.init)(KEY, batch)
  consts = {"teacher": jax.jit(TINY.guide.init)(KEY)}
  weights = methods.Weights(params, {}, consts)
  return weights, batch, TINY.drawn(KEY, batch)


@pytest.fixture(scope="module")
def out(case):
  return jax.jit(lambda w: TINY.forward(w, *case[1:], ROWS))(case[0])


def test_the_loss_is_that_of_the_layers_with_a_weight(case, out):
  """Here the last: the square below 1, twice the distance less 1 above."""
  error = np.abs(np.asarray(out["x"][-1] - out["y"][-1]))
  expected = np.where(error < 1, error**2, 2 * error - 1).mean()
  loss, _ = jax.jit(lambda w: TINY.loss(w, *case[1:], 0))(case[0])
  np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_targets_are_whitened_tokens_of_the_teacher(out):
  y = np.asarray(out["y"])
  np.testing.assert_allclose(y.mean(-1), 0, atol=1e-5)
  np.testing.assert_allclose(y.var(-1), 1, atol=1e-3)
  whole = np.asarray(norm.whiten(out["block"]))
  keep = np.asarray(out["mask"].keep)
  for b in range(2):
    kept = whole[:, b][:, [0, *(1 + keep[b])]]
    np.testing.assert_allclose(y[:, b], kept, atol=1e-6)


def test_importance_is_a_part_of_a_softmax(out):
  p = np.asarray(out["importance"])
  assert (p > 0).all() and (p.sum(1) < 1).all()


def test_nothing_masked_in_order_gives_the_whole_map(case):
  m = dataclasses.replace(TINY, mask_ratio=0.0, visible="random")
  raster = jnp.tile(jnp.arange(16.0) / 16, (2, 1))
  forward = jax.jit(lambda w, b: m.forward(w, b, {"noise": raster}, ROWS))
  out = forward(*case[:2])
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
  measured = np.bincount(second, minlength=5) / len(second)
  error = 3 * np.sqrt(rest * (1 - rest) / len(second))
  assert (np.abs(measured - rest) <= error).all()


def test_only_the_layers_that_count_get_a_gradient(case):
  weights, batch, draws = case
  grads = jax.jit(jax.grad(lambda w: TINY.loss(w, batch, draws, 0)[0]))(weights)
  assert not any(np.any(g) for g in jax.tree.leaves(grads.consts))
  layers = grads.params["main"]["heads"]["layers"]["out"]
  fusion = grads.params["main"]["fusion"]
  for g in (fusion, layers["kernel"], layers["bias"]):
    assert not np.any(g[0]) and np.any(g[1])


def test_hidden_pixels_reach_the_targets_only(case, out):
  """The teacher sees all; the student what is kept (here: at random)."""
  weights, batch, draws = case
  m = dataclasses.replace(TINY, visible="random")
  forward = jax.jit(lambda b: m.forward(weights, b, draws, ROWS))
  first = forward(batch)
  mask = np.asarray(first["mask"].mask).reshape(2, 4, 4)
  hidden = np.kron(mask, np.ones((4, 4)))[..., None].astype(np.float32)
  other = forward({"image": batch["image"] + hidden})
  np.testing.assert_array_equal(first["x"], other["x"])
  assert np.abs(first["y"] - other["y"]).max() > 1e-3


def test_the_importance_that_evaluators_see_is_the_teachers(case, out):
  weights, batch, _ = case
  shown = jax.jit(TINY.predict()["importance"])(weights, batch, KEY)
  np.testing.assert_allclose(shown, out["importance"], atol=1e-6)


def test_attention_keeps_more_importance_than_chance(case):
  weights, batch, _ = case
  many = {"image": jnp.tile(batch["image"], (50, 1, 1, 1))}
  kept = {}
  for name in ("attention", "random"):
    m = dataclasses.replace(TINY, visible=name)
    draws = m.drawn(KEY, many)
    kept[name] = jax.jit(lambda w, m=m, d=draws: m.loss(w, many, d, 0)[1])(
      weights
    )["kept_importance"]
  assert kept["attention"] > kept["random"]
  assert abs(kept["random"] - 1) < 0.02


@pytest.mark.parametrize(
  "change, word",
  [
    ({"alignment": alignment.Alignment(layers="top3")}, "top3"),
    ({"dims": sizes.Dims(variant="Ti/4", depth=3)}, "fusion"),
    ({"teacher_dims": sizes.Dims(variant="Ti/2", heads=5)}, "teacher_width"),
  ],
)
def test_what_does_not_fit_is_named(change, word):
  with pytest.raises(ValueError, match=word):
    dataclasses.replace(TINY, **change).inputs()


@pytest.mark.parametrize("kind", ["clip", "dino"])
def test_a_run_that_teaches_was_normalised_as_its_kind_is(kind):
  """So that a converted CLIP is taken, whatever the student's images are."""
  m = dataclasses.replace(TINY, teacher_kind=kind, mean=(0.1, 0.2, 0.3))
  key, mean = m.consts()["teacher"].agrees["data.mean"]
  assert key == "method.mean"
  assert mean == (teacher.CLIP_MEAN if kind == "clip" else (0.1, 0.2, 0.3))


def test_a_teacher_with_other_heads_is_refused(refused):
  def const(path):
    return dataclasses.replace(TINY, teacher=path).consts()["teacher"]

  told = lambda heads: {"dims": dict(variant="Ti/2", heads=heads)}
  assert refused(const, told(0)) == ""
  assert refused(const, told(4)) == "method.teacher_dims.heads"
