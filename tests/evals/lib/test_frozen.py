import dataclasses

import evalkit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.evals.lib import frozen


def test_replay_shows_every_example_once_an_epoch():
  context = evalkit.context()
  outputs = {"x": np.arange(10, dtype=np.float32)}
  batches = frozen.replay(
    context, outputs, targets=np.arange(10), batch=4, steps=5
  )
  seen = []
  for found, targets in batches:
    np.testing.assert_array_equal(found["x"], targets)
    seen += list(np.asarray(targets))
  first, second = seen[:10], seen[10:]
  assert sorted(first) == sorted(second) == list(range(10))
  assert first != second


def test_losses_of_heads_are_means_over_everything_else():
  rng = np.random.default_rng(0)
  logits = rng.normal(size=(2, 3, 4, 5)).astype(np.float32)
  labels = rng.integers(0, 5, (3, 4))
  logs = np.log(np.exp(logits) / np.exp(logits).sum(-1, keepdims=True))
  want = (
    -np.take_along_axis(logs, np.broadcast_to(labels, (2, 3, 4))[..., None], -1)
    .mean((1, 2, 3))
    .sum()
  )
  got = frozen.soft_losses(logits, jax.numpy.asarray(labels))
  np.testing.assert_allclose(got, want, rtol=1e-5)


def test_entries_of_dicts_become_outputs_of_their_own():
  outputs = {"a": 1, "layers": {"x": 2, "y": 3}}
  assert frozen.flatten(outputs) == {"a": 1, "layers/x": 2, "layers/y": 3}


def test_training_batches_are_augmented_evaluation_is_not():
  context = evalkit.context()
  context.spec = dataclasses.replace(context.spec, flip=True)
  (batch,) = [context.devices.put(b) for b in context.batches("eval", 16)]
  weights, key = context.weights("raw"), jax.random.key(0)
  plain, flipped = (
    frozen.forward(context, ("tokens",), augmented)(weights, batch, key)
    for augmented in (False, True)
  )
  want = context.method.tokens(weights, {"image": batch["image"] / 255})
  np.testing.assert_allclose(plain["tokens"], want, rtol=1e-4, atol=1e-5)
  moved = np.abs(np.asarray(flipped["tokens"] - want)).max((1, 2, 3)) > 1e-3
  assert 0 < moved.sum() < 16  # a coin for each


def test_every_rate_is_applied_to_its_own_head():
  params = {"main": {"layers": {"kernel": jnp.zeros((3, 2))}}}
  optimizer = frozen.make_optimizer(
    params, (0.1, 0.2, 0.4), steps=10, warmup=0.0, name="sgd", momentum=0.0
  )
  grads = jax.tree.map(jnp.ones_like, params)
  new, _ = optimizer.update(grads, optimizer.init(params), params, 0)
  kernel = np.asarray(new["main"]["layers"]["kernel"])
  np.testing.assert_allclose(kernel, -np.array([[0.1], [0.2], [0.4]]) * [1, 1])


def test_fitting_finds_the_minimum_and_keeps_statistics():
  params = {"main": {"layers": {"w": jnp.zeros((2, 1))}}}
  optimizer = frozen.make_optimizer(
    params, (0.5, 0.05), steps=40, warmup=0.0, name="sgd", momentum=0.0
  )

  def loss(params, extra, outputs, targets):
    error = params["main"]["layers"]["w"] - outputs["x"]
    return (error**2).sum() / 2, {"seen": extra["seen"] + 1}

  batches = iter([({"x": jnp.float32(3.0)}, jnp.zeros(1))] * 40)
  params, extra = frozen.fit(
    loss, params, extra={"seen": 0}, optimizer=optimizer, batches=batches
  )
  assert extra["seen"] == 40
  w = np.ravel(params["main"]["layers"]["w"])
  np.testing.assert_allclose(w[0], 3.0, atol=1e-4)
  assert 1.0 < w[1] < 2.9  # the smaller rate has not arrived


def test_accuracy_counts_every_example_once():
  context = evalkit.context(batch=8)

  def logits(outputs):
    x = outputs["logits"]
    return {"head": jnp.stack([x, -x])}

  percent, total = frozen.accuracy(
    context, ("logits",), weights="raw", logits=logits, limit=None
  )
  scores, labels = context.features("logits", "eval", None, "raw")
  want = [100 * (s.argmax(1) == labels).mean() for s in (scores, -scores)]
  np.testing.assert_allclose(percent["head"], want)
  assert total == 21


def test_a_plan_is_at_least_a_step_and_the_runs_batch_by_default():
  context = evalkit.context(batch=16)
  assert frozen.plan(context, 0, 2.0, 40) == (16, 5)
  assert frozen.plan(context, 8, 2.0, 40) == (8, 10)
  assert frozen.plan(context, 64, 0.1, 40) == (64, 1)
