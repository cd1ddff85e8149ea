"""What must hold for every method found under jmim/methods.

`--method=my_lab.denoise` checks another one instead.
"""

import dataclasses
import itertools

import chex
import harness
import jax
import jax.numpy as jnp
import numpy as np
import pytest

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
  jax.clear_caches()


def losses(metrics):
  return np.array(
    [[v for k, v in sorted(m.items()) if k.startswith("loss")] for m in metrics]
  )


def test_documented(name):
  cls = discovery.find(name)
  module = __import__(cls.__module__, fromlist=["_"])
  assert len(module.__doc__) > 400, "the module docstring holds the paper"
  assert "loss" in module.__doc__ and "python -m jmim.main" in module.__doc__
  for field in dataclasses.fields(cls):
    if field.metadata.get("config", True):
      assert field.metadata.get("doc"), f"{field.name} has no documentation"


def test_params_are_float32_and_named_by_player(runs):
  state, _ = runs.trained
  assert set(state.params) == set(runs.cls.players)
  for leaf_name, leaf in trees.named(state.params).items():
    assert leaf.dtype == jnp.float32, leaf_name


def test_traced_once(runs):
  assert runs.trained
  assert len(runs.of().traces) == 1


def test_finite(runs):
  state, metrics = runs.trained
  assert np.isfinite(losses(metrics)).all()
  assert int(state.skipped_total) == 0
  chex.assert_tree_all_finite(state.params)


def test_bf16_is_finite_and_near_float32(runs):
  method, _ = harness.with_runtime(runs.cls, dtype=jnp.bfloat16)
  found = harness.gradients(method, runs.of().consts)(*runs.given)
  for player, ((loss, _), grads) in found.items():
    chex.assert_tree_all_finite((loss, grads))
    for leaf in jax.tree.leaves(grads):
      assert leaf.dtype == jnp.float32
    np.testing.assert_allclose(loss, runs.found[player][0][0], rtol=0.1)


def test_overfits_one_batch(runs):
  """The first player's loss falls under fixed draws on one batch."""
  run, state = runs.of(), runs.init()
  _, batch, draws = runs.given
  player = run.method.players[0]
  fixed = lambda state: runs.gradients(state, batch, draws)[player][0][0]
  before = fixed(state)
  state, _ = run.run(state, 60, batch)
  assert fixed(state) < 0.9 * before


def test_every_trainable_leaf_gets_a_gradient_and_no_frozen_one(runs):
  run, (state, _, _) = runs.of(), runs.given
  for player in run.method.players:
    optimizer = run.step.optimizers[player]
    settings = trees.named(optimizer.leaves)
    grads = trees.named({player: runs.found[player][1]})
    for leaf, g in grads.items():
      if not settings[leaf].frozen:
        assert np.abs(g).max() > 0, f"{leaf} gets no gradient"
    opt = trees.named(
      jax.eval_shape(optimizer.init, {player: state.params[player]})
    )
    for leaf, setting in settings.items():
      held = [n for n in opt if n.endswith("/" + leaf)]
      assert bool(held) != setting.frozen, leaf


def test_counted_work_is_that_of_the_gradient_program(runs):
  """Once or three times a forward product, against what is differentiated."""
  run = runs.of()
  method, batch = run.method, harness.make_batch(run.method)
  state = jax.eval_shape(run.step.init, batch, run.consts)
  draws = jax.eval_shape(method.drawn, jax.random.key(0), batch)
  program = harness.gradients(method, run.consts)
  wanted = flops.count(program, state, batch, draws)
  found = run.step.work(state, run.consts, batch)
  assert found.trained <= found.forward
  # The first layers need no gradient of their input.
  assert found.forward + found.trained <= wanted <= 1.02 * found.step


def test_resume_is_bit_equal(runs, tmp_path):
  run = runs.of()
  half, _ = run.run(runs.init(), 2)
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
  whole, told = runs.trained
  chex.assert_trees_all_equal(resumed, whole)
  chex.assert_trees_all_equal(metrics, told[2:])
  # One run that is let alone; and one that is killed after its third step.
  for name, parts in (("whole", [told]), ("cut", [told[:3], metrics])):
    for start, part in zip((0, 2), parts, strict=False):
      write(tmp_path / name, start, part)
  lines = [writer.read(tmp_path / name) for name in ("whole", "cut")]
  assert lines[0] == lines[1] and [x["step"] for x in lines[0]] == [1, 2, 3, 4]
  assert board(tmp_path / "whole") == board(tmp_path / "cut") != []


def write(workdir, start, metrics):
  """metrics.jsonl and TensorBoard of a run that goes on after `start`."""
  found = writer.Writer(workdir, start)
  for step, values in enumerate(metrics, start + 1):
    found.scalars(step, values)
  found.close()


def board(workdir):
  """What TensorBoard is shown."""
  return sorted(
    (e.step, v.tag, repr(v.simple_value))
    for e in events.read(workdir / "tensorboard")
    for v in e.summary.value
  )


@pytest.mark.parametrize("fsdp", [1, 8])
def test_eight_devices_agree_with_one(runs, fsdp):
  run = runs.of(devices=8, fsdp=fsdp)
  _, metrics = run.run(runs.init(run), 4)
  np.testing.assert_allclose(
    losses(metrics), losses(runs.trained[1]), rtol=1e-5
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
  method, _ = harness.with_runtime(runs.cls, **how)
  found = harness.gradients(method, runs.of().consts)(*runs.given)
  for player, ((loss, _), grads) in found.items():
    (wanted, _), slopes = runs.found[player]
    np.testing.assert_allclose(loss, wanted, rtol=1e-5)
    size = max(np.abs(g).max() for g in jax.tree.leaves(slopes))
    chex.assert_trees_all_close(grads, slopes, rtol=1e-3, atol=1e-5 * size)


def test_draw_depends_on_key_and_step_only(name):
  method = discovery.find(name).tiny()
  batch, other = (harness.make_batch(method, seed) for seed in (0, 1))
  key = jax.random.key(5)
  with jax.debug_key_reuse(True):
    first = method.drawn(key, batch, 3)
  chex.assert_trees_all_equal(first, method.drawn(key, batch, 3))
  chex.assert_trees_all_equal(first, method.drawn(key, other, 3))
  if jax.tree.leaves(first):
    moved = method.drawn(jax.random.key(6), batch, 3)
    same = jax.tree.map(lambda a, b: bool((a == b).all()), first, moved)
    assert not all(jax.tree.leaves(same))


def alike(draws):
  """Pairs of leaves whose first numbers are in the same (or reverse) order.

  Equal numbers are, affine images of them are, and so is what any monotone
  function makes of them (the logit-normal times of a flow, say).
  """
  orders = {}
  for name, leaf in trees.named(draws).items():
    first = np.ravel(leaf)[:16]
    if len(np.unique(first)) == 16:
      orders[name] = np.argsort(first)
  return [
    (a, b)
    for a, b in itertools.combinations(orders, 2)
    if (orders[a] == orders[b]).all() or (orders[a] == orders[b][::-1]).all()
  ]


def test_draws_that_share_their_numbers_are_seen():
  key = jax.random.key(0)
  x = jax.random.normal(key, (16, 4))
  y = jax.random.normal(jax.random.split(key, 3)[1], (16, 4))
  again = jax.random.normal(jax.random.fold_in(key, 1), (16, 4))
  time = jax.nn.sigmoid(x.ravel()[:16])
  assert alike({"x": x, "y": y}) == []
  assert alike({"y": y, "again": again}) == [("again", "y")]
  assert alike({"x": x, "time": time, "y": y}) == [("time", "x")]
  assert alike({"x": x, "y": 3 - 2 * x}) == [("x", "y")]


def test_no_two_draws_are_made_of_the_same_numbers(name):
  """Not the same, nor a monotone image: no two leaves are in one order."""
  method = discovery.find(name).tiny()
  batch = harness.make_batch(method, batch=16)
  draws = jax.device_get(method.drawn(jax.random.key(5), batch))
  microbatch.check(draws, 16, method.shared)
  assert alike(draws) == []


def test_loss_is_deterministic_and_differentiable_given_draws(runs):
  for loss, _ in (loss for loss, _ in runs.found.values()):
    assert loss.shape == () and loss.dtype == jnp.float32
  chex.assert_trees_all_equal(runs.found, runs.gradients(*runs.given))


def test_predictions_have_the_batch_first_and_are_finite(runs):
  run = runs.of()
  state, batch = runs.init(), harness.make_batch(run.method)
  offered = run.method.predict()
  assert offered, "evaluators have nothing to ask for"
  for what, fn in offered.items():
    key = jax.random.key(0)
    weights = methods.Weights(state.params, state.extra, run.consts)
    out = jax.jit(fn)(weights, batch, key)
    for leaf in jax.tree.leaves(out):
      assert len(leaf) == harness.BATCH, what
      assert np.isfinite(leaf).all(), what


def test_accumulation_is_the_mean_of_parts(runs):
  """Which equals the whole batch where a loss is a mean over examples."""
  run = runs.of(accumulate=2)
  _, metrics = run.run(runs.init(run), 2)
  if runs.cls.per_example:
    np.testing.assert_allclose(
      losses(metrics), losses(runs.trained[1])[:2], rtol=1e-4
    )
    return
  first = runs.cls.players[0]
  name = methods.loss_name(run.method, first)
  wanted = mean_of_parts(run, runs.init(), first)
  np.testing.assert_allclose(metrics[0][name], wanted, rtol=1e-4)


def mean_of_parts(run, state, player):
  """Mean loss of a player on each half of the first batch, at the start."""
  batch = harness.make_batch(run.method, seed=0)
  _, key = core_step.keys(0, state.step)
  method = run.method
  draws = jax.jit(method.drawn)(key, batch, state.step)
  weights = methods.Weights(state.params, state.extra, run.consts)

  @jax.jit
  def loss(batch, draws):
    return method.loss(weights, batch, draws, state.step, player)[0]

  batches = microbatch.split(batch, 2)
  parts = microbatch.split(draws, 2, method.shared)
  return np.mean([loss(b, d) for b, d in zip(batches, parts, strict=True)])
