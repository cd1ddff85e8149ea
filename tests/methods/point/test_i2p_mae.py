"""What the card of I2P-MAE states exactly; of its layers: tests/nn."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.core import tree as trees
from jmim.methods.point import i2p_mae
from jmim.nn import points

KEY = jax.random.key(0)
TINY = dataclasses.replace(i2p_mae.I2PMAE.tiny(), drop_path=0.0)
PLAIN = field.replace(
  TINY, guide=dict(visible="random", teacher=dict(family="none"))
)


@pytest.fixture(scope="module")
def batch(normal):
  return {"points": jnp.asarray(normal(3, 32, 3))}


@pytest.fixture(scope="module")
def weights(batch):
  params, extra = jax.jit(TINY.init)(KEY, batch)
  rng = np.random.default_rng(0)
  noisy = lambda x: x + 0.1 * rng.normal(size=x.shape).astype("f4")
  shapes = jax.eval_shape(TINY.consts()["teacher"].init, KEY)
  teacher = jax.tree.map(lambda s: noisy(jnp.zeros(s.shape)), shapes)
  return methods.Weights(
    jax.tree.map(noisy, params), extra, {"teacher": teacher}
  )


@pytest.fixture(scope="module")
def run():
  return jax.jit(TINY.losses, static_argnames="train")


@pytest.fixture(scope="module")
def seen(batch, weights, run):
  levels = TINY.network.divide(batch["points"])
  guide = TINY.guide.look(weights.consts, batch["points"])
  draws = TINY.drawn(KEY, batch)
  return levels, guide, draws, run(weights, levels, guide, draws, train=False)


def test_losses_are_of_hidden_and_of_visible_groups(seen):
  levels, guide, _, out = seen
  level, visible = levels[1], np.asarray(out["visible"][1])
  assert 0 < visible.sum() < visible.size
  each = np.asarray(points.chamfer(out["head_3d"], level.relative))
  np.testing.assert_allclose(out["loss_3d"], each[~visible].mean(), rtol=1e-5)
  target = np.asarray(guide.features_at(level.members))
  error = (np.asarray(out["head_2d"]) - target)[visible]
  np.testing.assert_allclose(out["loss_2d"], (error**2).mean(), rtol=1e-5)


def test_visible_groups_are_as_many_as_the_card_says(seen):
  visible = np.asarray(seen[-1]["visible"][-1])
  groups = TINY.network.encoder.groups[-1]
  assert (visible.sum(1) == groups - int(0.5 * groups)).all()


def test_hidden_points_do_not_move_what_is_encoded(weights, seen, run):
  """Nor the 2-D loss, whose targets the teacher gives from all points."""
  levels, guide, draws, out = seen
  held = points.seen_below(levels[0].near, out["visible"][0], 32)
  assert not held.all()
  moved = [
    levels[0]._replace(below=jnp.where(held[..., None], levels[0].below, 3.0)),
    *levels[1:],
  ]
  again = run(weights, moved, guide, draws, train=False)
  for a, b, visible in zip(
    out["encoded"], again["encoded"], out["visible"], strict=True
  ):
    np.testing.assert_array_equal(a[visible], b[visible])
  np.testing.assert_array_equal(out["loss_2d"], again["loss_2d"])


def test_the_leak_shows_the_first_token_of_the_batch(weights, normal):
  x = jnp.asarray(normal(3, 32, 3, seed=1))  # has such a group
  levels, guide = TINY.network.divide(x), TINY.guide.look(weights.consts, x)
  # One group is visible, of which the first token is no member.
  others = np.flatnonzero((np.asarray(levels[2].near[0]) != 0).all(1))
  noise = np.full((3, 4), 0.1, np.float32)
  noise[:, others[0]] = 0.9
  draws = {"noise": jnp.asarray(noise)}
  few = field.replace(TINY, guide=dict(mask_ratio=0.75, visible="random"))
  found = {}
  for leak in (False, True):
    method = dataclasses.replace(few, leak=leak)
    run = jax.jit(method.losses, static_argnames="train")
    found[leak] = run(weights, levels, guide, draws, train=False)["visible"]
  assert not found[False][1][0, 0]
  assert found[True][0][0, 0] and found[True][1][0, 0]
  for a, b in zip(found[False], found[True], strict=True):
    np.testing.assert_array_equal(a[1:], b[1:])


def test_the_loss_is_their_weighted_sum(batch, weights, seen):
  draws = seen[2]
  total, aux = jax.jit(TINY.loss)(weights, batch, draws, 0)
  np.testing.assert_allclose(total, aux["loss_3d"] + aux["loss_2d"], rtol=1e-6)
  half = dataclasses.replace(TINY, weight_2d=0.5)
  found, _ = jax.jit(half.loss)(weights, batch, draws, 0)
  np.testing.assert_allclose(
    found, aux["loss_3d"] + 0.5 * aux["loss_2d"], rtol=1e-6
  )


def test_blocks_of_the_decoder_are_dropped_by_rates_of_their_own(batch):
  """As released: from 0 to the rate in the encoder, and so in the decoder."""
  method = dataclasses.replace(TINY, drop_path=0.5)
  many = {"points": jnp.zeros((2000, 32, 3))}
  draws = jax.jit(lambda key: method.drawn(key, many))(KEY)
  for name, blocks in (("drop", 3), ("drop_back", 2)):
    kept = np.asarray(draws[name] > 0)
    assert kept.shape == (2000, blocks, 2)
    rates = np.linspace(0, 0.5, blocks)
    np.testing.assert_allclose(kept.mean((0, 2)), 1 - rates, atol=0.03)
  assert TINY.drawn(KEY, batch).keys() == {"noise"}


def test_a_dropped_block_of_the_decoder_moves_what_is_predicted(
  weights, seen, run
):
  levels, guide, draws, out = seen
  whole = np.ones((3, 2, 2), np.float32)  # [b, blocks, 2]
  moved = whole.copy()
  moved[0, 1] = 0.0
  same, other = (
    run(weights, levels, guide, draws | {"drop_back": d}, train=False)
    for d in (whole, moved)
  )
  np.testing.assert_allclose(same["head_3d"], out["head_3d"], atol=1e-5)
  np.testing.assert_allclose(
    other["head_3d"][1:], out["head_3d"][1:], atol=1e-5
  )
  assert np.abs(other["head_3d"][0] - out["head_3d"][0]).max() > 1e-4
  for a, b in zip(other["encoded"], out["encoded"], strict=True):
    np.testing.assert_array_equal(a, b)


def test_after_a_step_the_statistics_are_new(batch, weights, seen):
  _, aux = jax.jit(TINY.loss)(weights, batch, seen[2], 0)
  extra = TINY.after(weights, aux, 0)
  old, new = trees.named(weights.extra), trees.named(extra)
  assert old.keys() == new.keys()
  assert all(np.abs(new[n] - old[n]).max() > 0 for n in old)


def test_without_a_teacher_it_is_point_m2ae(batch):
  PLAIN.inputs()
  params, extra = jax.jit(PLAIN.init)(KEY, batch)
  assert "head_2d" not in params["main"] and PLAIN.consts() == {}
  weights = methods.Weights(params, extra)
  draws = PLAIN.drawn(KEY, batch)
  loss, aux = jax.jit(PLAIN.loss)(weights, batch, draws, 0)
  np.testing.assert_array_equal(loss, aux["loss_3d"])
  assert "saliency" not in PLAIN.predict()


def test_features_are_of_each_cloud_alone_and_not_of_its_order(batch, weights):
  read = jax.jit(TINY.features)
  whole = read(weights, batch, KEY)
  one = read(weights, {"points": batch["points"][:1]}, KEY)
  np.testing.assert_allclose(whole[:1], one, atol=1e-5)
  # The first point is where sampling starts: the others may come in any order.
  turned = jnp.concatenate(
    [batch["points"][:, :1], batch["points"][:, :0:-1]], axis=1
  )
  again = read(weights, {"points": turned}, KEY)
  np.testing.assert_allclose(whole, again, atol=1e-4)


def test_what_has_no_decay_there_has_none_here(batch):
  params, _ = jax.eval_shape(TINY.init, KEY, batch)
  rules = TINY.groups()
  for name in trees.named(params):
    frozen = re.search(rules[0].pattern, name)
    assert bool(frozen) == ("norm0" in name or name.endswith("before/bias"))
    tokens = re.search(rules[1].pattern, name)
    assert bool(tokens) == ("/embed" in name or "/down" in name), name


def test_saliency_of_what_is_visible_is_higher_where_it_is_drawn_by_it(
  batch, weights
):
  """With a saliency that differs much between groups."""
  s = 5.0 * jax.random.normal(KEY, (400, 4))
  noise = jax.random.uniform(jax.random.key(1), (400, 4))
  kept = lambda v: (s * TINY.guide.keep(noise, v)).sum() / 800
  assert kept(s) > kept(None) + 1
  found = jax.jit(TINY.saliency)(weights, batch, KEY)
  assert all(np.isfinite(v).all() for v in found.values())
