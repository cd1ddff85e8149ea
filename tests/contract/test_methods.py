"""What must hold for every method found under jmim/methods.

Tests marked `always` run for all of them; those marked `short`, and the others,
where `ledger.py` says so, or with `--all`. `--method=my_lab.denoise` checks
another one instead, with all tests.
"""

import dataclasses

import chex
import harness
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import released

from jmim.checkpoints import store as checkpoint
from jmim.core import discovery
from jmim.core import method as methods
from jmim.core import tree as trees
from jmim.cost import flops
from jmim.runlog import events
from jmim.runlog import writer
from jmim.training import microbatch
from jmim.training import step as core_step


@pytest.fixture(scope="module")
def runs(name):
  """The runs of one method; forgotten, with their programs, after its tests."""
  yield harness.Runs(name)
  released.release()


def losses(metrics):
  """[steps, players]."""
  return np.array(
    [[v for k, v in sorted(m.items()) if k.startswith("loss")] for m in metrics]
  )


def agree(run, reference):
  """Losses and gradients of a step, within what float32 leaves open."""
  (state, metrics), (expected, numbers) = run, reference
  np.testing.assert_allclose(losses([metrics]), losses([numbers]), rtol=1e-5)
  size = max(np.abs(g).max() for g in jax.tree.leaves(expected.opt))
  chex.assert_trees_all_close(
    state.opt, expected.opt, rtol=1e-3, atol=1e-5 * size
  )


@pytest.mark.always
def test_documented(name):
  cls = discovery.find(name)
  module = __import__(cls.__module__, fromlist=["_"])
  if cls.__module__.startswith("jmim."):  # rules of the house, not of users
    assert len(module.__doc__) > 400, "the module docstring holds the paper"
    assert "loss" in module.__doc__ and "python -m jmim.main" in module.__doc__
  for field in dataclasses.fields(cls):
    if field.metadata.get("config", True):
      assert field.metadata.get("doc"), f"{field.name} has no documentation"


@pytest.mark.short
def test_params_are_float32_and_named_by_player(runs):
  state, _ = runs.after()
  assert set(state.params) == set(runs.of().method.players)
  for leaf_name, leaf in trees.named(state.params).items():
    assert leaf.dtype == jnp.float32, leaf_name


@pytest.mark.short
def test_a_step_is_finite_and_the_same_again(runs):
  state, metrics = runs.after()
  assert np.isfinite(losses([metrics])).all()
  assert losses([metrics]).dtype == np.float32
  assert int(state.skipped_total) == 0
  chex.assert_tree_all_finite((state.params, state.opt))
  run = runs.of()
  again, _ = run.run(run.start(runs.noisy), 1, harness.make_batch(run.method))
  chex.assert_trees_all_equal(jax.device_get(again), state)
  assert len(run.traces) == 1


@pytest.mark.short
def test_every_trainable_leaf_gets_a_gradient_and_no_frozen_one(runs):
  state, _ = runs.after()
  for player, optimizer in runs.of().step.optimizers.items():
    # Of plain SGD the optimizer's state is the gradient.
    grads = trees.named(state.opt[player])
    for leaf, setting in trees.named(optimizer.leaves).items():
      found = [n for n in grads if n.endswith("/" + leaf)]
      assert bool(found) != setting.frozen, leaf
      for n in found:
        assert np.abs(grads[n]).max() > 0, f"{leaf} gets no gradient"


@pytest.mark.parametrize(
  "fsdp", [pytest.param(8, marks=pytest.mark.short), pytest.param(1)]
)
def test_eight_devices_agree_with_one(runs, fsdp):
  run = runs.after(devices=8, fsdp=fsdp)
  agree(run, runs.after())
  chex.assert_trees_all_close(
    run[0].extra, runs.after()[0].extra, rtol=1e-3, atol=1e-5
  )


def test_training_on_eight_devices_agrees_with_one(runs):
  """Two steps of AdamW with clipping and an EMA, of sharded leaves.

  From where no output is zero: a norm of what is constant makes all of the
  gradient of rounding, and clipping leaves nothing of the rest.
  """
  one, many = runs.of("adamw"), runs.of("adamw", devices=8, fsdp=8)
  expected, numbers = one.run(one.start(runs.noisy), 2)
  state, metrics = many.run(many.start(runs.noisy), 2)
  np.testing.assert_allclose(losses(metrics), losses(numbers), rtol=1e-5)
  # Gradients that are rounding, as of the biases of keys, are below Adam's
  # epsilon here: what they move is a hundredth of one rate.
  start, least = trees.named(runs.noisy), 1e-2 * harness.RATE
  for part in ("params", "ema"):
    found, wanted = (
      trees.named(jax.device_get(getattr(s, part))) for s in (state, expected)
    )
    assert found.keys() == wanted.keys() == start.keys()
    for name, leaf in wanted.items():
      apart = np.abs(found[name] - leaf).mean()
      moved = np.abs(leaf - np.asarray(start[name])).mean()
      assert apart <= 0.02 * moved + least, f"{part}: {name}"


def test_training_is_traced_once_and_finite(runs):
  state, metrics = runs.trained
  assert len(runs.of("adamw").traces) == 1
  assert np.isfinite(losses(metrics)).all()
  assert int(state.skipped_total) == 0
  chex.assert_tree_all_finite(state.params)


def test_bf16_is_finite_and_near_float32(runs):
  state, metrics = runs.after(dtype=jnp.bfloat16)
  chex.assert_tree_all_finite((state.params, state.opt))
  for leaf in jax.tree.leaves(state.opt):
    assert leaf.dtype == jnp.float32
  expected = losses([runs.after()[1]])
  np.testing.assert_allclose(losses([metrics]), expected, rtol=0.1)


def test_overfits_one_batch(runs):
  """The first player's loss falls under fixed draws on one batch."""
  run = runs.of("adamw")
  method, state = run.method, run.start()
  batch = harness.make_batch(method)
  draws = jax.jit(method.drawn)(jax.random.key(0), batch)
  player = method.players[0]

  @jax.jit
  def loss(params, extra):
    weights = methods.Weights(params, extra, run.consts)
    return method.loss(weights, batch, draws, 0, player=player)[0]

  before = loss(state.params, state.extra)
  state, _ = run.run(state, 60, batch)
  assert loss(state.params, state.extra) < 0.9 * before


def test_counted_work_is_that_of_the_gradient_program(runs):
  """Against the products of the program that differentiates."""
  run = runs.of()
  method, batch = run.method, harness.make_batch(run.method)
  draws = jax.eval_shape(method.drawn, jax.random.key(0), batch)

  def gradients(state, batch, draws):
    def of(player):
      def loss(trained):
        params = state.params | {player: trained}
        weights = methods.Weights(params, state.extra, run.consts)
        return method.loss(weights, batch, draws, 0, player=player)[0]

      return jax.value_and_grad(loss)(state.params[player])

    return {player: of(player) for player in method.players}

  expected = flops.count(gradients, runs.fresh, batch, draws)
  work = run.step.work(runs.fresh, run.consts, batch)
  assert work.backward <= 2 * work.forward
  # Derivatives of a QR, and gradients that a loss takes itself, have more.
  assert 0.98 * work.step <= expected <= 1.07 * work.step


def test_resume_is_bit_equal(runs, tmp_path):
  run = runs.of("adamw")
  half, _ = run.run(run.start(), 2)
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
  resumed, metrics = run.run(restored, 2)
  whole, logged = runs.trained
  chex.assert_trees_all_equal(resumed, whole)
  chex.assert_trees_all_equal(metrics, logged[2:])
  # One run that is let alone; and one that is killed after its third step.
  for name, parts in (("whole", [logged]), ("cut", [logged[:3], metrics])):
    for start, part in zip((0, 2), parts, strict=False):
      write(tmp_path / name, start, part)
  lines = [writer.read(tmp_path / name) for name in ("whole", "cut")]
  assert lines[0] == lines[1] and [x["step"] for x in lines[0]] == [1, 2, 3, 4]
  assert board(tmp_path / "whole") == board(tmp_path / "cut") != []


def write(workdir, start, metrics):
  """metrics.jsonl and TensorBoard of a run that goes on after `start`."""
  log = writer.Writer(workdir, start)
  for step, values in enumerate(metrics, start + 1):
    log.scalars(step, values)
  log.close()


def board(workdir):
  """What TensorBoard is shown."""
  return sorted(
    (e.step, v.tag, repr(v.simple_value))
    for e in events.read(workdir / "tensorboard")
    for v in e.summary.value
  )


@pytest.mark.parametrize(
  "how",
  [
    {"scan": True},
    {"scan": True, "unroll": 2, "remat": "full"},
    {"remat": "dots", "attention": "xla"},
  ],
  ids=str,
)
def test_hardware_choices_do_not_change_losses_and_gradients(runs, how):
  agree(runs.after(**how), runs.after())


def test_predictions_have_the_batch_first_and_are_finite(runs):
  state, method = runs.fresh, runs.of().method
  offered = method.predict()
  assert offered, "evaluators have nothing to ask for"

  @jax.jit  # all in one: they share an encoder
  def predictions(weights, batch, key):
    return {what: fn(weights, batch, key) for what, fn in offered.items()}

  weights = methods.Weights(state.params, state.extra, runs.consts)
  batch = harness.make_batch(method)
  out = predictions(weights, batch, jax.random.key(0))
  for leaf_name, leaf in trees.named(out).items():
    assert len(leaf) == harness.BATCH, leaf_name
    assert np.isfinite(leaf).all(), leaf_name


def test_accumulation_is_the_mean_of_parts(runs):
  """Which equals the whole batch where a loss is a mean over examples."""
  state, metrics = runs.after(accumulate=2)
  if runs.cls.per_example:
    expected, numbers = runs.after()
    np.testing.assert_allclose(losses([metrics]), losses([numbers]), rtol=1e-4)
    size = max(np.abs(g).max() for g in jax.tree.leaves(expected.opt))
    chex.assert_trees_all_close(
      state.opt, expected.opt, rtol=1e-3, atol=1e-4 * size
    )
    return
  first = runs.of().method.players[0]
  name = methods.loss_name(runs.of().method, first)
  expected = mean_of_parts(runs, first)
  np.testing.assert_allclose(metrics[name], expected, rtol=1e-4)


def mean_of_parts(runs, player):
  """Mean loss of a player on each half of the batch, at the noisy start."""
  method, state = runs.of().method, runs.fresh.replace(params=runs.noisy)
  batch = harness.make_batch(method)
  _, key = core_step.keys(0, state.step)
  draws = jax.jit(method.drawn)(key, batch, state.step)
  weights = methods.Weights(state.params, state.extra, runs.consts)

  @jax.jit
  def loss(weights, batch, draws):
    return method.loss(weights, batch, draws, state.step, player=player)[0]

  batches = microbatch.split(batch, 2)
  parts = microbatch.split(draws, 2, method.shared)
  return np.mean(
    [loss(weights, b, d) for b, d in zip(batches, parts, strict=True)]
  )
