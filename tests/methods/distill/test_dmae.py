"""What the card of DMAE states exactly."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.methods.distill import dmae
from jmim.methods.mim import mae
from jmim.nn import sizes

TINY = dmae.DMAE.tiny()
KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def case():
  """(params, consts, batch, draws) of the tiny method."""
  image = np.random.default_rng(0).normal(size=(2, 16, 16, 3))
  batch = {"image": image.astype(np.float32)}
  params, _ = jax.jit(TINY.init)(KEY, batch)
  consts = {"teacher": jax.jit(TINY.consts()["teacher"].init)(KEY)}
  return params, consts, batch, TINY.drawn(KEY, batch)


def with_teacher(method, **changes):
  """The method with other sizes of its teacher."""
  dims = dataclasses.replace(method.teacher_dims, **changes)
  return dataclasses.replace(method, teacher_dims=dims)


def loss_of(method, params, consts, batch, draws):
  loss = lambda w, batch, draws: method.loss(w, batch, draws, 0)
  return jax.jit(loss)(methods.Weights(params, {}, consts), batch, draws)


def test_weight_0_is_plain_mae(case):
  params, consts, batch, draws = case
  off = dataclasses.replace(TINY, weight=0.0)
  fields = {f.name for f in dataclasses.fields(mae.MAE)}
  plain = mae.MAE(**{k: v for k, v in vars(off).items() if k in fields})
  value = lambda m: jax.jit(
    jax.value_and_grad(
      lambda p: loss_of(m, p, consts=consts, batch=batch, draws=draws)[0]
    )
  )(params)
  (a, grads_a), (b, grads_b) = value(off), value(plain)
  np.testing.assert_allclose(a, b, rtol=1e-6)
  for name in ("encoder", "decoder"):
    jax.tree.map(
      lambda x, y: np.testing.assert_allclose(x, y, atol=1e-6),
      grads_a["main"][name],
      grads_b["main"][name],
    )
  assert not any(np.any(g) for g in jax.tree.leaves(grads_a["main"]["heads"]))


def test_the_sum_is_weighted_and_the_teacher_gets_no_gradient(case):
  params, consts, batch, draws = case

  def run(consts):
    m = dataclasses.replace(TINY, weight=10.0)
    return loss_of(m, params, consts=consts, batch=batch, draws=draws)

  (loss, aux), grads = jax.jit(jax.value_and_grad(run, has_aux=True))(consts)
  np.testing.assert_allclose(loss, aux["recon"] + 10 * aux["distill0"])
  assert aux["distill0"] > 1e-3
  assert aux["visible"] == 4
  assert not any(np.any(g) for g in jax.tree.leaves(grads))


def test_a_teacher_cut_after_the_copied_block_gives_the_same(case):
  params, consts, batch, draws = case
  depth = TINY.teacher_blocks[-1] + 1
  cut = with_teacher(TINY, depth=depth)
  teacher = dict(consts["teacher"])
  teacher["blocks"] = jax.tree.map(lambda x: x[:depth], teacher["blocks"])
  whole = loss_of(TINY, params, consts=consts, batch=batch, draws=draws)[1]
  short = loss_of(
    cut, params, consts={"teacher": teacher}, batch=batch, draws=draws
  )[1]
  np.testing.assert_allclose(whole["distill0"], short["distill0"], rtol=1e-6)


@pytest.mark.parametrize("distance", ["L1", "L2"])
def test_distance_is_0_for_equal_features_and_ignores_scale(distance):
  m = dataclasses.replace(TINY, distance=distance)
  m = with_teacher(m, width=32)
  x = jnp.asarray(np.random.default_rng(1).normal(size=(2, 5, 32)), jnp.float32)
  same = {"fc1": {"kernel": jnp.eye(32), "bias": jnp.zeros(32)}}
  np.testing.assert_allclose(m.distance_of(same, x, x), 0, atol=1e-7)
  y = x[:, ::-1]
  once, scaled = (m.distance_of(same, x, s * y) for s in (1.0, 7.0))
  assert once > 1e-3
  np.testing.assert_allclose(once, scaled, rtol=1e-5)
  unit = lambda a: np.asarray(a) / np.linalg.norm(a, axis=-1, keepdims=True)
  error = unit(x) - unit(y)
  expected = np.abs(error).mean() if distance == "L1" else (error**2).mean()
  np.testing.assert_allclose(once, expected, rtol=1e-5)
  # Without a projection, features are compared as they are.
  raw = np.abs(x - y).mean() if distance == "L1" else ((x - y) ** 2).mean()
  np.testing.assert_allclose(m.distance_of(None, x, y), raw, rtol=1e-5)


def test_both_nets_see_the_same_patches(case):
  """Hidden pixels reach neither; visible ones reach both."""
  params, consts, batch, draws = case
  weights = methods.Weights(params, {}, consts)
  run = jax.jit(lambda b: TINY.losses(weights, b, draws)["pairs"][0])
  mask = np.asarray(TINY.mask(draws).mask).reshape(2, 4, 4)
  hidden = np.kron(mask, np.ones((4, 4)))[..., None]
  first = run(batch)
  for where, moves in ((hidden, False), (1 - hidden, True)):
    other = batch["image"] + where.astype(np.float32)
    for a, b in zip(first, run({"image": other}), strict=True):
      assert (np.abs(a - b).max() > 1e-3) == moves


@pytest.mark.parametrize(
  "change, word",
  [
    ({"student_blocks": (2,)}, "student_blocks"),
    ({"teacher_blocks": (0, 1)}, "teacher_blocks"),
    ({"projection": "none"}, "projection"),
    ({"teacher_dims": sizes.Dims(variant="Ti/8")}, "teacher_dims: patch 8"),
    (
      {"teacher_dims": sizes.Dims(variant="Ti/4", heads=5)},
      "teacher_width 192 does not divide by 5 teacher_heads",
    ),
  ],
)
def test_what_does_not_fit_is_named(change, word):
  with pytest.raises(ValueError, match=word):
    dataclasses.replace(TINY, **change).inputs()


@pytest.mark.parametrize("projection", ["none", "mlp-1layer"])
def test_other_projections_train(case, projection):
  _, _, batch, draws = case
  m = dataclasses.replace(
    with_teacher(TINY, width=32),
    projection=projection,
    student_blocks=(0, 1),
    teacher_blocks=(1, 2),
  )
  params, _ = jax.jit(m.init)(KEY, batch)
  consts = {"teacher": jax.jit(m.consts()["teacher"].init)(KEY)}
  _, aux = loss_of(m, params, consts=consts, batch=batch, draws=draws)
  assert sorted(aux) == ["distill0", "distill1", "recon", "visible"]
  assert len(params["main"].get("heads", {})) == 2 * (projection != "none")


def test_a_teacher_with_other_heads_is_refused(refused):
  """One screen that names the key: no shape tells of them."""

  def const(path):
    m = with_teacher(TINY, variant="S/4", width=0, heads=0)
    return dataclasses.replace(m, teacher=path).consts()["teacher"]

  told = lambda **dims: {"dims": dict(variant="S/4") | dims}
  assert refused(const, told()) == "" == refused(const, told(heads=6))
  assert refused(const, told(heads=12)) == "method.teacher_dims.heads"
