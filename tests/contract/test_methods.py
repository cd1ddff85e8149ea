"""What must hold for every method found under jmim/methods.

`--method=my_lab.denoise` checks another one instead.
"""

import dataclasses
import functools

import chex
import harness
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import checkpoint
from jmim.core import method as methods
from jmim.core import tree as trees


@functools.cache
def run_of(name, **options):
  return harness.tiny(methods.find(name), **options)


@functools.cache
def trained(name, steps=4):
  """State and metrics after a few steps over different batches."""
  run = run_of(name)
  return run.run(run.init(), steps)


def losses(metrics):
  return np.array(
    [[v for k, v in sorted(m.items()) if k.startswith("loss")] for m in metrics]
  )


def test_documented(name):
  cls = methods.find(name)
  module = __import__(cls.__module__, fromlist=["_"])
  assert len(module.__doc__) > 400, "the module docstring holds the paper"
  assert "loss" in module.__doc__ and "python -m jmim.main" in module.__doc__
  for field in dataclasses.fields(cls):
    if field.metadata.get("config", True):
      assert field.metadata.get("doc"), f"{field.name} has no documentation"


def test_params_are_float32_and_named_by_player(name):
  state, _ = trained(name)
  assert set(state.params) == set(methods.find(name).players)
  for leaf_name, leaf in trees.named(state.params).items():
    assert leaf.dtype == jnp.float32, leaf_name


def test_traced_once(name):
  trained(name)
  assert len(run_of(name).traces) == 1


def test_finite(name):
  state, metrics = trained(name)
  assert np.isfinite(losses(metrics)).all()
  assert int(state.skipped_total) == 0
  chex.assert_tree_all_finite(state.params)


def test_bf16_is_finite_and_near_float32(name):
  run = run_of(name, dtype=jnp.bfloat16)
  state, metrics = run.run(run.init(), 2)
  assert np.isfinite(losses(metrics)).all()
  for leaf in jax.tree.leaves(state.params):
    assert leaf.dtype == jnp.float32
  np.testing.assert_allclose(
    losses(metrics)[0], losses(trained(name)[1])[0], rtol=0.1
  )


def test_overfits_one_batch(name):
  """The first player's loss falls under fixed draws on one batch."""
  run = run_of(name, lr=3e-3)
  state, batch = run.init(), harness.make_batch(run.method)
  player = run.method.players[0]

  @jax.jit
  def fixed(state):
    draws = run.method.draw(jax.random.key(3), batch, 0)
    return run.method.loss(
      player, state.params, state.extra, run.consts, batch, draws, 0
    )[0]

  before = fixed(state)
  state, _ = run.run(state, 60, batch)
  assert fixed(state) < 0.9 * before


def test_every_trainable_leaf_gets_a_gradient_and_no_frozen_one(name):
  run = run_of(name)
  state, batch = run.init(), harness.make_batch(run.method)
  draws = run.method.draw(jax.random.key(0), batch, 0)
  # A little noise, or zero-initialised outputs would hide what is before them.
  leaves, treedef = jax.tree.flatten(state.params)
  keys = jax.random.split(jax.random.key(1), len(leaves))
  noisy = treedef.unflatten(
    [
      x + 0.02 * jax.random.normal(k, x.shape)
      for x, k in zip(leaves, keys, strict=True)
    ]
  )
  for player in run.method.players:
    optimizer = run.step.optimizers[player]

    def loss(own, player=player):
      params = noisy | own
      return run.method.loss(
        player, params, state.extra, run.consts, batch, draws, 0
      )[0]

    grads = jax.jit(jax.grad(loss))({player: noisy[player]})
    settings = trees.named(optimizer.leaves)
    for leaf, g in trees.named(grads).items():
      if not settings[leaf].frozen:
        assert np.abs(g).max() > 0, f"{leaf} gets no gradient"
    opt = trees.named(optimizer.init({player: state.params[player]}))
    for leaf, setting in settings.items():
      held = [n for n in opt if n.endswith("/" + leaf)]
      assert bool(held) != setting.frozen, leaf


def test_resume_is_bit_equal(name, tmp_path):
  run = run_of(name)
  half, _ = run.run(run.init(), 2)
  store = checkpoint.Checkpoints(tmp_path)
  store.save(2, half, {})
  store.close()
  like = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), half
  )
  store = checkpoint.Checkpoints(tmp_path)
  restored = store.restore(store.latest(), like)
  store.close()
  chex.assert_trees_all_equal(restored, half)
  resumed, _ = run.run(restored, 2)
  chex.assert_trees_all_equal(resumed, trained(name)[0])


@pytest.mark.parametrize("fsdp", [1, 8])
def test_eight_devices_agree_with_one(name, fsdp):
  run = run_of(name, devices=8, fsdp=fsdp)
  _, metrics = run.run(run.init(), 4)
  np.testing.assert_allclose(
    losses(metrics), losses(trained(name)[1]), rtol=1e-5
  )


@pytest.mark.parametrize(
  "how",
  [{"scan": True}, {"scan": True, "unroll": 2}, {"remat": "full"},
   {"remat": "dots"}, {"attention": "xla"}],
  ids=str,
)  # fmt: skip
def test_hardware_choices_do_not_change_the_loss(name, how):
  run = run_of(name, **how)
  _, metrics = run.run(run.init(), 2)
  np.testing.assert_allclose(
    losses(metrics), losses(trained(name)[1])[:2], rtol=1e-5
  )


def test_draw_depends_on_key_and_step_only(name):
  method = methods.find(name).tiny()
  batch, other = (harness.make_batch(method, seed) for seed in (0, 1))
  key = jax.random.key(5)
  first = method.draw(key, batch, 3)
  chex.assert_trees_all_equal(first, method.draw(key, batch, 3))
  chex.assert_trees_all_equal(first, method.draw(key, other, 3))
  if jax.tree.leaves(first):
    moved = method.draw(jax.random.key(6), batch, 3)
    same = jax.tree.map(lambda a, b: bool((a == b).all()), first, moved)
    assert not all(jax.tree.leaves(same))


def test_loss_is_deterministic_and_differentiable_given_draws(name):
  run = run_of(name)
  state, batch = run.init(), harness.make_batch(run.method)
  draws = run.method.draw(jax.random.key(0), batch, 0)
  for player in run.method.players:
    fn = jax.jit(functools.partial(run.method.loss, player))
    args = (state.params, state.extra, run.consts, batch, draws, 0)
    loss, aux = fn(*args)
    assert loss.shape == () and loss.dtype == jnp.float32
    chex.assert_trees_all_equal((loss, aux), fn(*args))


def test_predictions_have_the_batch_first_and_are_finite(name):
  run = run_of(name)
  state, batch = run.init(), harness.make_batch(run.method)
  offered = run.method.predict()
  assert offered, "evaluators have nothing to ask for"
  for what, fn in offered.items():
    key = jax.random.key(0)
    out = jax.jit(fn)(state.params, state.extra, run.consts, batch, key)
    for leaf in jax.tree.leaves(out):
      assert len(leaf) == harness.BATCH, what
      assert np.isfinite(leaf).all(), what


def test_accumulation_equals_the_whole_batch(name):
  run = run_of(name, accumulate=2)
  _, metrics = run.run(run.init(), 2)
  np.testing.assert_allclose(
    losses(metrics), losses(trained(name)[1])[:2], rtol=1e-4
  )
