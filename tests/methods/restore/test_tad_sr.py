import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.cost import flops
from jmim.methods.restore import tad_sr
from jmim.nn import spectral
from jmim.nn import unet as layers

TINY = tad_sr.TADSR.tiny()
B = 2


class Toy(tad_sr.TADSR):
  """Its networks are one product each."""

  def network(self, params, x, t, low):
    del low
    return params * jnp.tanh(x) + 0.1 * t[:, None, None, None]

  def inside(self, params, x, t, low):
    maps = jnp.concatenate([self.network(params, x, t, low)] * 4, axis=-1)
    skips = (None, None, maps[..., :8])
    return layers.Taps(
      emb=None, skips=skips, middle=maps[..., 4:], attention={}, bank={}
    )


TOY = Toy(**{f.name: getattr(TINY, f.name) for f in dataclasses.fields(TINY)})


@pytest.fixture(scope="module")
def batch(normal):
  return {"image": jnp.asarray(np.tanh(normal(B, 8, 8, 3)))}


@pytest.fixture(scope="module")
def weights(batch, fill):
  x, low = jnp.zeros((1, 8, 8, 3)), jnp.zeros((1, 4, 4, 3))
  t = jnp.zeros(1, jnp.int32)
  taps = TOY.inside(jnp.float32(1), x, t, low)
  heads, norms = TOY.critic.init(jax.random.key(0), TOY.dims, taps)
  filled = fill(TOY.critic.heads(TOY.dims), TOY.critic.picked(taps), t)
  assert jax.tree.structure(filled["params"]) == jax.tree.structure(heads)
  params = {
    "discriminator": jax.tree.map(jnp.asarray, filled["params"]),
    "student": jnp.float32(0.4),
  }
  consts = {"teacher": jnp.float32(0.7)}
  return methods.Weights(params, {"spectral": norms}, consts)


@pytest.fixture(scope="module")
def draws(batch):
  return TOY.drawn(jax.random.key(1), batch)


@pytest.fixture(scope="module")
def losses(weights, batch, draws):
  """Player -> ((loss, aux), gradients of all parameters and the teacher's)."""

  def both(weights):
    def loss(params, consts, player):
      held = methods.Weights(params, weights.extra, consts)
      return TOY.loss(held, batch, draws, 0, player=player)

    fn = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)
    return {p: fn(weights.params, weights.consts, p) for p in TOY.players}

  return jax.jit(both)(weights)


def sample(params, y, draws):
  """z_s, and all T steps of k F + m z + j y."""
  process = TOY.noise.process
  k, m, j = process.mix()
  z = y + process.noise[-1] * np.asarray(draws["noise"])
  first = None
  for t in range(len(process) - 1, -1, -1):
    made = params * np.tanh(z) + 0.1 * t
    first = made if first is None else first
    z = k[t] * made + m[t] * z + j[t] * y
  return first, z


def test_regression_is_to_the_walk_of_k_m_and_j(weights, batch, draws, losses):
  y = np.asarray(TOY.space.seen(weights, batch, draws).y)
  (loss, aux), _ = losses["student"]
  made, _ = sample(0.4, y, draws)
  _, taught = sample(0.7, y, draws)
  expected = ((made - taught) ** 2).mean()
  np.testing.assert_allclose(aux["regression"], expected, rtol=1e-4)
  terms = ("regression", "score", "adversarial")
  assert set(aux) == set(terms)
  np.testing.assert_allclose(loss, sum(aux[n] for n in terms), rtol=1e-5)


def test_losses_move_every_leaf_of_their_players(losses):
  _, (grads, _) = losses["student"]
  assert np.abs(grads["student"]) > 0
  _, (grads, _) = losses["discriminator"]
  leaves = jax.tree.leaves(grads["discriminator"])
  assert all(np.abs(leaf).max() > 0 for leaf in leaves)


def test_without_critic_and_score_regression_is_left(weights, batch, draws):
  plain = dataclasses.replace(
    TOY,
    hsd=dataclasses.replace(TOY.hsd, weight=0.0),
    critic=dataclasses.replace(TOY.critic, weight=0.0),
  )
  _, aux = plain.loss(weights, batch, draws, 0, player="student")
  assert set(aux) == {"regression"}


def test_at_the_teachers_sample_the_score_is_0_with_no_gradient(
  weights, batch, draws
):
  seen = TOY.space.seen(weights, batch, draws)
  it = tad_sr.Step(weights, seen, draws)
  taught = TOY.taught(it)

  def score(made):
    return TOY.terms(it, made, taught)["score"].sum()

  value, grad = jax.value_and_grad(score)(taught)
  assert np.abs(value) < 1e-5 and np.abs(grad).max() < 1e-6  # rounding
  value, grad = jax.value_and_grad(score)(taught + 0.1)
  assert np.abs(value) > 1e-2 and np.abs(grad).max() > 1e-4


def test_the_teacher_is_a_constant():
  """It is among what no player's gradient is taken of."""
  assert set(TINY.consts()) == {"teacher"}
  params, extra = jax.eval_shape(
    lambda key: TINY.init(key, {}), jax.random.key(0)
  )
  assert set(params) == set(TINY.players) == {"discriminator", "student"}
  assert TINY.players[0] == "discriminator" and set(extra) == {"spectral"}
  init = TINY.consts()["teacher"].init
  same = jax.eval_shape(init, jax.random.key(0))
  assert jax.tree.map(jnp.shape, same) == jax.tree.map(
    jnp.shape, params["student"]
  )


def test_the_teacher_agrees_in_what_shapes_do_not_tell():
  agrees = TINY.consts()["teacher"].agrees
  for name, value in (
    ("noise.times", 3),
    ("first_stage.variant", "none"),
    ("degraded.factor", 2),
    ("dims.norm_groups", 4),
    ("swin.mask", "last_rows"),
    ("size", 8),
  ):
    assert agrees[name] == (f"method.{name}", value)
  asked = field.replace(TINY, size=16, swin=dict(trained=8))
  assert "size" not in asked.consts()["teacher"].agrees


def test_norms_move_once_per_step_of_the_discriminator(weights):
  """By its new weights; what evaluation reads is what is stored."""
  heads = weights.params["discriminator"]
  kept = TOY.after(weights, {}, 0, player="discriminator")
  expected = spectral.iterate(heads, weights.extra["spectral"])
  jax.tree.map(np.testing.assert_array_equal, kept["spectral"], expected)
  assert TOY.after(weights, {}, 0, player="student") is weights.extra


def test_one_call_stands_for_all_of_the_teachers(batch):
  params, extra = jax.eval_shape(
    lambda key: TINY.init(key, batch), jax.random.key(0)
  )
  consts = {"teacher": params["student"]}
  held, key = methods.Weights(params, extra, consts), jax.random.key(0)
  one = flops.count(TINY.restore, held, batch, key)
  all_ = flops.count(TINY.restore_teacher, held, batch, key)
  x, t = jnp.zeros((B, 8, 8, 3)), jnp.zeros(B, jnp.int32)
  low = jnp.zeros((B, 4, 4, 3))
  call = flops.count(TINY.network, params["student"], x, t, low)
  assert all_ - one == pytest.approx(2 * call, rel=0.02)


def test_heads_may_know_no_time():
  without = field.replace(TINY, critic=dict(timed=False))
  init = lambda key: without.init(key, {})[0]["discriminator"]
  made = jax.eval_shape(init, jax.random.key(0))
  assert "time" not in made["head0"]


def test_errors_are_distances_to_the_teachers_sample(weights, batch):
  found = TOY.errors(weights, batch, jax.random.key(1))
  draws = TOY.drawn(jax.random.key(1), batch)
  y = np.asarray(TOY.space.seen(weights, batch, draws).y)
  _, taught = sample(0.7, y, draws)
  for name, params in (("student", 0.4), ("first", 0.7)):
    made, _ = sample(params, y, draws)
    expected = ((made - taught) ** 2).mean((1, 2, 3))
    np.testing.assert_allclose(found[name], expected, rtol=1e-4)


@pytest.mark.parametrize(
  "changes, word",
  [
    (dict(hsd=dict(times=4)), "hsd.times=4"),
    (dict(critic=dict(taps=(7,))), "critic.taps"),
  ],
)
def test_what_does_not_fit_is_named(changes, word):
  with pytest.raises(ValueError, match=word):
    field.replace(TINY, **changes).inputs()
