"""Several heads on one network: the loss is the mean of theirs."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.supervised import attributes
from jmim.nn.frozen import lpips

TINY = attributes.Attributes.tiny()


@pytest.fixture(scope="module")
def case():
  rng = np.random.default_rng(0)
  batch = {
    "image": jnp.asarray(rng.uniform(-1, 1, (4, 8, 8, 3)), jnp.float32),
    "label": jnp.asarray([0, 1, 2, 0]),
    "kind": jnp.asarray([1, 1, 0, 1]),
    "place": jnp.asarray([3, 0, 1, 2]),
  }
  params, extra = jax.jit(TINY.init)(jax.random.key(0), batch)
  assert extra == {}
  heads = params["main"]["heads"]
  louder = jax.tree.map(lambda x: 30 * x, heads)  # away from guessing
  return methods.Weights({"main": params["main"] | {"heads": louder}}), batch


def costs(weights, batch):
  """Cross entropy of each head, by hand."""
  logits = TINY.predict()["logits"](weights, batch, None)
  logs = {name: jax.nn.log_softmax(x) for name, x in logits.items()}
  return [-logs[n][np.arange(4), batch[n]].mean() for n in TINY.attributes]


def test_silent_heads_make_the_loss_that_of_guessing(case):
  weights, batch = case
  main = weights.params["main"]
  heads = jax.tree.map(jnp.zeros_like, main["heads"])
  silent = methods.Weights({"main": main | {"heads": heads}})
  loss, aux = TINY.loss(silent, batch, {}, 0)
  assert loss == pytest.approx(np.log(3 * 2 * 4) / 3)
  # Ties go to class 0: two of four labels, one kind, one place.
  assert [float(aux[f"accuracy_{n}"]) for n in TINY.attributes] == [
    0.5,
    0.25,
    0.25,
  ]


def test_the_loss_is_the_mean_of_the_heads_or_as_they_are_weighted(case):
  weights, batch = case
  each = np.array(costs(weights, batch))
  loss, _ = TINY.loss(weights, batch, {}, 0)
  assert loss == pytest.approx(each.mean(), rel=1e-5)
  shares = (1.0, 2.0, 5.0)
  weighted = dataclasses.replace(TINY, shares=shares)
  loss, _ = weighted.loss(weights, batch, {}, 0)
  assert loss == pytest.approx((each * shares).sum() / 8, rel=1e-5)


def test_a_head_has_no_part_in_the_loss_of_another(case):
  weights, batch = case
  weighted = dataclasses.replace(TINY, shares=(1.0, 1e-30, 1e-30))
  loss = lambda p: weighted.loss(methods.Weights(p), batch, {}, 0)[0]
  heads = jax.grad(loss)(weights.params)["main"]["heads"]
  size = {n: float(jnp.abs(heads[n]["kernel"]).max()) for n in heads}
  assert size["label"] > 1e-3 and size["kind"] < 1e-20 > size["place"]


def test_features_are_means_over_cells(case):
  weights, batch = case
  features = TINY.predict()["features"](weights, batch, None)
  images = lpips.normalise(batch["image"])
  net = weights.params["main"]["net"]
  last = np.asarray(lpips.features(TINY.layers, net, images)[-1])
  half = last.shape[1] // 2
  want = [
    last[:, i : i + half, j : j + half].mean((1, 2))
    for i in (0, half)
    for j in (0, half)
  ]
  np.testing.assert_allclose(features, np.concatenate(want, 1), atol=1e-6)


def test_one_cell_cannot_tell_what_is_moved_by_a_whole_picture_apart(case):
  """With one cell a mirrored place is another place of the same mean."""
  weights, batch = case
  one = dataclasses.replace(TINY, cells=1)
  net = weights.params["main"]["net"]
  # Symmetric kernels, so that a mirrored picture has mirrored features.
  even = {
    k: (x + x[..., ::-1]) / 2 if k.endswith("weight") else x
    for k, x in net.items()
  }
  params = {"main": {"net": even, "heads": {}}}
  mirrored = batch["image"][:, :, ::-1]
  apart = lambda m: np.abs(
    np.asarray(m.vector(params, batch["image"]) - m.vector(params, mirrored))
  ).max()
  assert apart(one) < 1e-6 < 1e-2 < apart(TINY)


@pytest.mark.parametrize(
  ("changes", "word"),
  [
    ({"attributes": ()}, "method.attributes"),
    ({"attributes": ("label", "label", "kind")}, "method.attributes"),
    ({"classes": (3, 2)}, "method.classes"),
    ({"classes": (3, 1, 4)}, "method.classes"),
    ({"shares": (1.0,)}, "method.shares"),
    ({"shares": (1.0, 0.0, 1.0)}, "method.shares"),
    ({"cells": 3}, "method.cells"),
  ],
)
def test_settings_that_do_not_go_together(changes, word):
  with pytest.raises(ValueError, match=word):
    dataclasses.replace(TINY, **changes).inputs()


def test_real_numbers_have_heads_of_their_own(case):
  weights, batch = case
  m = field.replace(TINY, numbers=dict(names=("size",), units=((0.5, 2.0),)))
  size = jnp.asarray([[0.5, 2.0], [0.0, 4.0], [1.0, 0.0], [0.5, 2.0]])
  batch = batch | {"size": size}
  assert m.inputs()["size"].shape == (2,)
  params, _ = m.init(jax.random.key(1), batch)
  main = params["main"]
  heads = dict(weights.params["main"]["heads"], size=main["heads"]["size"])
  w = methods.Weights({"main": main | {"heads": heads}})
  values = m.predict()["numbers"](w, batch, None)["size"]
  want = (((values - size) / np.array([0.5, 2.0])) ** 2).mean()
  loss, aux = m.loss(w, batch, {}, 0)
  assert aux["mse_size"] == pytest.approx(float(want), rel=1e-5)
  told = m.predict()["logits"](w, batch, None)
  assert set(told) == set(TINY.attributes)
  logs = {name: jax.nn.log_softmax(x) for name, x in told.items()}
  each = [-logs[n][np.arange(4), batch[n]].mean() for n in TINY.attributes]
  assert loss == pytest.approx(float(want) + np.mean(each), rel=1e-5)
  assert "numbers" not in TINY.predict()
