"""The training step on toy methods, mostly against what it does by hand."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

from jmim.core import method
from jmim.training import step as steps

SGD = {"name": "sgd", "momentum": 0.0, "weight_decay": 0.0}
LR = 0.1


def started(toy, batch, own=None, **kwargs):
  """(jitted step, fresh state)."""
  own = own or dict.fromkeys(toy.players, SGD)
  made = toys.make_step(toy, batch, own, LR, **kwargs)
  return jax.jit(made), jax.jit(made.init)(batch, {})


def same(a, b):
  """Bitwise equality of two trees."""
  jax.tree.map(np.testing.assert_array_equal, a, b)
  assert jax.tree.structure(a) == jax.tree.structure(b)


def close(a, b, rtol=1e-5, atol=1e-6):
  jax.tree.map(
    lambda x, y: np.testing.assert_allclose(x, y, rtol=rtol, atol=atol), a, b
  )


def drawn(toy, batch, seed, step):
  """The draws of a step, by the rule in the module's docstring."""
  return toy.drawn(steps.keys(seed, jnp.int32(step))[1], batch, step)


# Players.


def test_players_move_in_turn_and_the_second_sees_the_first():
  toy = toys.Adversarial()
  batch = toys.make_batch(toy)
  step, state = started(toy, batch, seed=3)
  new, metrics = step(state, {}, batch)
  draws = drawn(toy, batch, 3, 0)

  def by_hand(player, params):
    def loss(trained):
      weights = method.Weights(params | {player: trained}, state.extra)
      return toy.loss(weights, batch, draws, 0, player=player)

    (value, _), grads = jax.value_and_grad(loss, has_aux=True)(params[player])
    trained = jax.tree.map(lambda p, g: p - LR * g, params[player], grads)
    return params | {player: trained}, value

  params, loss_g = by_hand("generator", state.params)
  params, loss_d = by_hand("discriminator", params)
  close(new.params, params)
  assert float(metrics["loss/generator"]) == pytest.approx(float(loss_g))
  assert float(metrics["loss/discriminator"]) == pytest.approx(float(loss_d))
  # The order is visible: a discriminator judged before the move is elsewhere.
  simultaneous, _ = by_hand("discriminator", state.params)
  moved = simultaneous["discriminator"]["dense"]["kernel"]
  apart = new.params["discriminator"]["dense"]["kernel"] - moved
  assert float(abs(apart).max()) > 1e-6
  np.testing.assert_array_equal(new.extra["plays"], [1, 1])


def test_a_player_with_rate_0_stays_while_the_other_trains():
  toy = toys.Adversarial()
  batch = toys.make_batch(toy)
  still = SGD | {"lr_mults": (("", 0.0),)}
  step, state = started(toy, batch, {"generator": still, "discriminator": SGD})
  new, _ = step(state, {}, batch)
  same(new.params["generator"], state.params["generator"])
  kernel = new.params["discriminator"]["dense"]["kernel"]
  assert np.all(kernel != state.params["discriminator"]["dense"]["kernel"])


def test_each_player_has_the_optimizer_of_its_own_settings():
  toy = toys.Adversarial()
  batch = toys.make_batch(toy)
  own = {"generator": {"name": "adamw"}, "discriminator": SGD}
  _, state = started(toy, batch, own)
  sizes = {p: len(jax.tree.leaves(s)) for p, s in state.opt.items()}
  assert sizes == {"generator": 5, "discriminator": 2}  # count, mu, nu | trace


def test_logged_names_carry_the_player_only_if_there_are_several():
  toy = toys.Adversarial()
  batch = toys.make_batch(toy)
  _, state = started(toy, batch)
  both = [f"{k}/{p}" for k in ("loss", "grad_norm") for p in toy.players]
  assert set(state.window) == {"fake", *both}
  toy = toys.Momentum()
  _, state = started(toy, toys.make_batch(toy))
  assert set(state.window) == {"loss", "grad_norm", "noise"}  # not `noises`


# Draws and extra.


def test_after_moves_the_target_towards_the_new_parameters():
  toy = toys.Momentum()
  batch = toys.make_batch(toy)
  step, state = started(toy, batch)
  new, _ = step(state, {}, batch)
  kernel = new.params["main"]["dense"]["kernel"]
  close(new.extra["target"], 0.5 * state.extra["target"] + 0.5 * kernel)
  assert int(new.extra["count"]) == 1


def test_draws_depend_on_seed_and_step_only():
  toy = toys.Momentum()
  batch, other = toys.make_batch(toy), toys.make_batch(toy, seed=1)
  step, state = started(toy, batch, seed=5)
  found = []
  for _ in range(3):
    state, metrics = step(state, {}, batch)
    found.append(float(metrics["noise"]))
  assert len(set(found)) == 3
  fresh = started(toy, batch, seed=5)[1]
  fresh = fresh.replace(step=jnp.int32(2))  # other parameters, other images
  assert float(step(fresh, {}, other)[1]["noise"]) == found[2]
  expected = drawn(toy, batch, 5, 2)["noise"].mean()
  assert found[2] == pytest.approx(float(expected), rel=1e-6)
  step, state = started(toy, batch, seed=6)
  assert float(step(state, {}, batch)[1]["noise"]) not in found


def test_augmentation_and_draws_have_keys_of_their_own():
  seen = [jax.random.key_data(k) for k in steps.keys(0, jnp.int32(0))]
  seen += [jax.random.key_data(k) for k in steps.keys(0, jnp.int32(1))]
  seen += [jax.random.key_data(steps.init_key(0))]
  assert len({tuple(k.tolist()) for k in seen}) == 5


def test_init_depends_on_the_seed_and_not_on_the_images():
  toy = toys.Momentum()
  batch, other = toys.make_batch(toy), toys.make_batch(toy, seed=1)
  first = started(toy, batch, seed=1)[1].params
  same(first, started(toy, other, seed=1)[1].params)
  kernel = started(toy, batch, seed=2)[1].params["main"]["dense"]["kernel"]
  assert np.all(kernel != first["main"]["dense"]["kernel"])


# Accumulation.


def test_four_microbatches_equal_the_whole_batch():
  toy = toys.Adversarial(size=3)
  batch = toys.make_batch(toy, 16)
  own = dict.fromkeys(toy.players, {"name": "adamw", "eps": 1e-3})
  whole, state = started(toy, batch, own)
  parts, _ = started(toy, batch, own, accumulate=4)
  a, metrics = whole(state, {}, batch)
  b, split = parts(state, {}, batch)
  close(a.params, b.params)
  close(metrics, split)
  np.testing.assert_array_equal(b.extra["plays"], [1, 1])  # once a step


# EMA and the window.


@pytest.mark.parametrize("warmup", [True, False])
def test_ema_follows_its_formula(warmup):
  toy = toys.Momentum()
  batch = toys.make_batch(toy)
  step, state = started(toy, batch, ema_decay=0.3, ema_warmup=warmup)
  kernel = lambda tree: np.asarray(tree["main"]["dense"]["kernel"])
  ema = kernel(state.params)
  same(state.ema, state.params)
  for t in range(5):
    state, _ = step(state, {}, batch)
    d = min(0.3, (1 + t) / (10 + t)) if warmup else 0.3
    ema = d * ema + (1 - d) * kernel(state.params)
    np.testing.assert_allclose(kernel(state.ema), ema, rtol=1e-5)


def test_without_ema_there_is_no_copy():
  toy = toys.Momentum()
  assert started(toy, toys.make_batch(toy))[1].ema == {}


def test_the_window_sums_what_was_logged():
  toy = toys.Momentum()
  batch = toys.make_batch(toy)
  step, state = started(toy, batch)
  total = dict.fromkeys(state.window, 0.0)
  for _ in range(4):
    state, metrics = step(state, {}, batch)
    total = {k: v + float(metrics[k]) for k, v in total.items()}
  assert int(state.counted) == int(state.step) == 4
  for name, value in total.items():
    assert float(state.window[name]) == pytest.approx(value, rel=1e-5)


# Devices.


@functools.cache
def trained(devices, fsdp):
  """(losses, state) of four steps of an MLP."""
  toy, layout = toys.on_mesh(toys.MLP(size=4, depth=2), devices, fsdp)
  batch = toys.make_batch(toy, 16)
  own = {"main": {"name": "adamw", "clip_norm": 1.0}}
  made = toys.make_step(toy, batch, own, 0.01, ema_decay=0.9)
  where = layout.tree(jax.eval_shape(made.init, batch, {}))
  state = jax.jit(made.init, out_shardings=where)(batch, {})
  step = jax.jit(made, out_shardings=(where, None))
  found = []
  for _ in range(4):
    state, metrics = step(state, {}, batch)
    found.append(float(metrics["loss"]))
  return found, state


@pytest.mark.parametrize("fsdp", [1, 8])
def test_eight_devices_agree_with_one(fsdp):
  one, state_1 = trained(1, 1)
  eight, state_8 = trained(8, fsdp)
  assert one[0] != one[-1]
  np.testing.assert_allclose(one, eight, rtol=1e-5)
  close(state_1.ema, jax.device_get(state_8.ema), rtol=1e-3, atol=1e-5)
  kernel = state_8.opt["main"][1].mu["main"]["blocks"]["layers"]["kernel"]
  assert kernel.sharding.shard_shape(kernel.shape) == (2, 32, 32 // fsdp)


# What it costs.


def counted(toy, own=None):
  """`Step.work` of a batch of 8, in products of one row and one column."""
  batch = toys.make_batch(toy)
  step = toys.make_step(toy, batch, own)
  found = step.work(jax.eval_shape(step.init, batch, {}), {}, batch)
  return found.forward / 16, found.backward / 16


def test_only_the_player_that_moves_has_a_gradient():
  toy = toys.Adversarial()
  d, z = toy.dims, toy.latent
  # The discriminator's loss sees what the generator makes as it is.
  assert counted(toy) == (z * d + d + z * d + 2 * d, z * d + d + 2 * d)


def test_what_does_not_train_has_no_gradient():
  toy = toys.MLP(width=32, depth=3)
  ends, middle = toy.dims * 32, 3 * 32 * 32
  freeze = lambda *names: {"main": {**SGD, "freeze": names}}
  forward = 2 * ends + middle
  # Of the first layer the input is data: nothing needs its gradient.
  assert counted(toy) == (forward, 3 * ends + 2 * middle)
  assert counted(toy, freeze("/embed/", "/blocks/")) == (forward, ends)
  # A gradient passes through frozen layers on its way to the first one.
  assert counted(toy, freeze("/head/", "/blocks/")) == (forward, forward)


def test_a_method_is_a_value():
  toy = toys.Momentum()
  assert dataclasses.replace(toy, width=5) != toy
  assert hash(toy) == hash(toys.Momentum())
