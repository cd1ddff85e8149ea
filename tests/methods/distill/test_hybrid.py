"""What the card of Hybrid Distill states exactly."""

import dataclasses
import functools

import jax
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.distill import hybrid
from jmim.methods.parts import teacher
from jmim.nn import norm

TINY = hybrid.HybridDistill.tiny()
# One MAE in both roles, of the size of the student.
SAME = dataclasses.replace(
  TINY,
  mim_teacher=teacher.Teacher(family="mae", dims=TINY.dims),
  cl_teacher=teacher.Teacher(family="mae", dims=TINY.dims, norm=True),
)
WHOLE = field.replace(SAME, dropping={"ratio": 0.0})
KEY, NONE = jax.random.key(0), {"family": "none"}


def images():
  found = np.random.default_rng(0).normal(size=(2, 16, 16, 3))
  return {"image": found.astype(np.float32)}


@functools.cache
def made(m):
  """(method, weights, batch, draws)."""
  batch = images()
  params, _ = jax.jit(m.init)(KEY, batch)
  consts = {
    n: jax.jit(c.init)(jax.random.key(i + 1))
    for i, (n, c) in enumerate(m.consts().items())
  }
  weights = methods.Weights(params, {}, consts)
  return m, weights, batch, m.drawn(KEY, batch)


def loss(m, weights, batch, draws):
  return jax.jit(lambda w, b, d: m.loss(w, b, d, 0))(weights, batch, draws)


def copied(weights):
  """The student is a copy of the teacher, in both of its roles."""
  net = weights.consts["cl_teacher"]
  # Fresh norms and biases would hide what they do.
  keys = iter(jax.random.split(KEY, len(jax.tree.leaves(net))))
  noise = lambda x: 0.1 * jax.random.normal(next(keys), x.shape)
  net = jax.tree.map(lambda x: x + noise(x), net)
  mim = {name: leaf for name, leaf in net.items() if name != "norm"}
  consts = {"mim_teacher": mim, "cl_teacher": net}
  return methods.Weights({"main": {"encoder": net}}, {}, consts)


@pytest.mark.parametrize("distance", ["smoothl1", "cosine"])
def test_a_copy_of_the_teacher_has_loss_0(distance):
  m = field.replace(WHOLE, features={"distance": distance})
  _, weights, batch, draws = made(WHOLE)
  assert draws == {}
  found, _ = loss(m, copied(weights), batch, draws)
  np.testing.assert_allclose(found, 0.0, atol=1e-5)
  # The same student with weights of its own.
  assert loss(m, weights, batch, draws)[0] > 0.01


def test_a_copy_that_drops_tokens_does_not_agree_any_more():
  m, weights, batch, draws = made(SAME)
  found, aux = loss(m, copied(weights), batch, draws)
  assert found > 1e-3 and aux["features"] > 0 and aux["relations"] > 0


def test_the_loss_is_the_weighted_sum_of_its_parts():
  m, *rest = made(TINY)
  m = field.replace(m, relations={"weight": 3.0}, features={"weight": 0.5})
  found, aux = loss(m, *rest)
  expected = 3 * aux["relations"] + 0.5 * aux["features"]
  np.testing.assert_allclose(found, expected, rtol=1e-5)
  assert aux["relations"] > 0 and aux["features"] > 0


def test_targets_are_the_teachers_of_the_tokens_that_are_left():
  """11, 7 and 5 of 16; relations of the last block but one, on 7."""
  m, weights, batch, draws = made(TINY)
  out = jax.jit(m.forward)(weights, batch, draws)
  assert set(out["layers"]) == {1} and out["layers"][1]["ids"].shape == (2, 7)
  assert out["ids"].shape == (2, 5)
  _, aux = loss(m, weights, batch, draws)
  read = m.guides["cl_teacher"].read
  t = read(weights.consts["cl_teacher"], batch["image"], layer=-1)["patches"]
  t = np.take_along_axis(np.asarray(t), np.asarray(out["ids"])[..., None], 1)
  head = weights.params["main"]["head"]["out"]
  z = out["latent"][:, 1:] @ head["kernel"] + head["bias"]
  e = np.abs(norm.whiten(z) - norm.whiten(t))
  expected = np.where(e < 1, e**2 / 2, e - 0.5).mean()
  np.testing.assert_allclose(aux["features"], expected, rtol=1e-3)
  read = m.guides["mim_teacher"].read
  taught = read(weights.consts["mim_teacher"], batch["image"], qkv=(0,))
  expected = m.relations.loss([out["layers"][1]], taught, (1, 1))
  np.testing.assert_allclose(aux["relations"], expected, rtol=1e-3)


def test_without_relations_and_dropping_it_is_plain_feature_distillation():
  m = field.replace(WHOLE, relations={"weight": 0.0})
  _, weights, batch, draws = made(m)
  assert set(weights.consts) == {"cl_teacher"} == set(m.consts())
  found, aux = loss(m, weights, batch, draws)
  assert set(aux) == {"features"}
  encoder = weights.params["main"]["encoder"]
  apply = jax.jit(lambda p: m.encoder.apply({"params": p}, batch["image"]))
  z, t = (
    norm.whiten(apply(net)["latent"][:, 1:])
    for net in (encoder, weights.consts["cl_teacher"])
  )
  e = np.abs(z - t)
  expected = np.where(e < 1, e**2 / 2, e - 0.5).mean()
  np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_part_is_off_by_its_weight_or_by_its_teacher():
  for change in ({"features": {"weight": 0.0}}, {"cl_teacher": NONE}):
    m, weights, batch, draws = made(field.replace(TINY, **change))
    m.inputs()
    assert set(m.consts()) == {"mim_teacher"}
    assert set(weights.params["main"]) == {"encoder"}
    found, aux = jax.eval_shape(
      lambda *a, m=m: m.loss(*a, 0), weights, batch, draws
    )
    assert set(aux) == {"relations"} and found.shape == ()
  off = field.replace(TINY, dropping={"ratio": 0.0})
  out = jax.eval_shape(off.forward, *made(TINY)[1:])
  assert out["ids"].shape == (2, 16)


def test_gradients_never_reach_teachers():
  m, weights, batch, draws = made(TINY)
  grads = jax.jit(jax.grad(lambda w: m.loss(w, batch, draws, 0)[0]))(weights)
  assert not any(map(np.any, jax.tree.leaves(grads.consts)))
  for leaf in jax.tree.leaves(grads.params):
    assert np.any(leaf)


def test_relations_alone_leave_later_blocks_without_gradient():
  m, weights, batch, draws = made(field.replace(TINY, cl_teacher=NONE))
  grads = jax.jit(jax.grad(lambda w: m.loss(w, batch, draws, 0)[0]))(weights)
  main = grads.params["main"]["encoder"]
  kernel = np.abs(main["blocks"]["layers"]["attn"]["qkv"]["kernel"])
  assert [bool(k.any()) for k in kernel] == [True, True, False]
  assert not any(map(np.any, jax.tree.leaves(main["norm"])))


def test_evaluators_see_all_patches():
  m, weights, batch, _ = made(TINY)
  tokens = jax.eval_shape(m.predict()["tokens"], weights, batch, KEY)
  assert tokens.shape == (2, 4, 4, 32)


@pytest.mark.parametrize(
  "change, word",
  [
    ({"mim_teacher": {"layer": 40}}, "mim_teacher.layer: 40 of 2"),
    ({"cl_teacher": {"norm": False, "project": 4}}, "cl_teacher.norm"),
    ({"relations": {"layers": (2,)}}, "relations.layers: 2 of 2 teacher"),
    (
      {"mim_teacher": {"dims": {"heads": 3}}},
      "relations.heads: the student has 4",
    ),
    ({"dropping": {"ratio": 0.9}}, "dropping.ratio 0.9 leaves 0 of 16"),
    ({"mim_teacher": NONE, "cl_teacher": NONE}, "nothing to learn"),
    (
      {"relations": {"weight": 0.0}, "features": {"weight": 0.0}},
      "nothing to learn",
    ),
  ],
)
def test_what_does_not_fit_is_named(change, word):
  with pytest.raises(ValueError, match=word):
    field.replace(TINY, **change).inputs()
