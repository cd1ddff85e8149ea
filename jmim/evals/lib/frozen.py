"""Small heads trained on frozen outputs of a method, many in one pass.

`linear`, `attentive` and `dense` stand on it. The grid of learning rates is
dimension 0 of every parameter, below a path component `layers`: so optimizers
treat each as a layer of its own (LARS takes norms per head), and all heads see
the same batches.
"""

import dataclasses
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import method as methods
from jmim.core.settings import optim as optim_settings
from jmim.data import augment
from jmim.data import labels
from jmim.data import pipeline
from jmim.evals.lib import context as contexts
from jmim.evals.lib import finite
from jmim.evals.lib import labelled
from jmim.runlog import waits
from jmim.training import optim
from jmim.training import schedule

Outputs = dict[str, jax.Array]
Tree = methods.Tree
Optimizer = optim.Optimizer
Batches = Iterator[tuple[Outputs, jax.Array]]
# (params, extra, outputs, targets) -> sum of all heads' losses, new extra.
Loss = Callable[[Tree, Tree, Outputs, jax.Array], tuple[jax.Array, Tree]]


def flatten(
  outputs: Mapping[str, jax.Array | Mapping[str, jax.Array]],
) -> Outputs:
  """{"layers": {"a": x}} -> {"layers/a": x}."""
  flat = {}
  for name, value in outputs.items():
    entries = value if isinstance(value, Mapping) else {"": value}
    flat |= {f"{name}/{k}" if k else name: v for k, v in entries.items()}
  return flat


def forward(
  context: contexts.Context, names: tuple[str, ...], augmented: bool
) -> Callable[[methods.Weights, methods.Batch, jax.Array], Outputs]:
  """Jitted (weights, batch, key) -> outputs, on the devices.

  Args:
    context: of the evaluation.
    names: outputs of the method.
    augmented: augment the images as in training; else only normalise.
  """
  fns = {name: context.output(name) for name in names}

  def run(
    weights: methods.Weights, batch: methods.Batch, key: jax.Array
  ) -> Outputs:
    k_augment, k_draw = jax.random.split(key)
    if augmented:
      batch = augment.augment_batch(context.spec, k_augment, batch)
    else:
      batch = augment.prepare_batch(context.spec, batch)
    return flatten({n: fn(weights, batch, k_draw) for n, fn in fns.items()})

  return jax.jit(run)


def stream(
  context: contexts.Context,
  names: tuple[str, ...],
  weights: str,
  batch: int,
  steps: int,
) -> Batches:
  """(outputs, labels) of `steps` augmented training batches.

  The images come in the order of a training run with the same seed; those
  without a label are left out, and their number is logged.
  """
  spec = dataclasses.replace(context.spec, batch=batch)
  source, run = context.sources["train"], forward(context, names, True)
  host = (jax.process_index(), jax.process_count())
  batches = pipeline.training_batches(source, spec, 0, *host)
  batches = waits.batches(batches, context.during)
  full = labelled.batches(batches, len(source))
  frozen = context.weights(weights)
  root = jax.random.fold_in(jax.random.key(context.seed), 2**32 - 2)
  try:
    for step in range(steps):
      ready = context.devices.put(next(full))
      key = jax.random.fold_in(root, step)
      yield run(frozen, ready, key), ready["label"]
  finally:
    full.close()
    batches.close()


def replay(
  context: contexts.Context,
  outputs: dict[str, np.ndarray],
  targets: np.ndarray,
  batch: int,
  steps: int,
) -> Batches:
  """(outputs, targets) of `steps` batches from outputs kept in memory.

  Every epoch is another order; batches may straddle two.
  """
  n, rng = len(targets), np.random.default_rng(context.seed)
  queue = np.zeros(0, int)
  for _ in range(steps):
    while len(queue) < batch:
      queue = np.concatenate([queue, rng.permutation(n)])
    index, queue = queue[:batch], queue[batch:]
    chosen = {k: x[index] for k, x in outputs.items()} | {"": targets[index]}
    chosen = context.devices.put_whole(chosen)
    yield chosen, chosen.pop("")


def make_optimizer(
  params: Tree,
  lrs: tuple[float, ...],
  steps: int,
  warmup: float,
  **settings: Any,
) -> Optimizer:
  """An optimizer of `training.optim` with a learning rate for each head.

  Args:
    params: {"main": tree} with leaves [heads, ...].
    lrs: peak rates, one per head.
    steps: of the whole schedule: warm-up, then half a cosine to 0.
    warmup: steps of it.
    **settings: keys of `config.optim` of the chosen optimizer.
  """
  rate = schedule.make(optim_settings.Schedule(warmup_steps=warmup), 1.0, steps)
  made = optim.make(optim_settings.Optim(**settings), params, (), rate)
  leaves = jax.tree.map(
    lambda leaf, p: dataclasses.replace(
      leaf, lr=np.reshape(lrs, (-1, *[1] * (p.ndim - 1))).astype(np.float32)
    ),
    made.leaves,
    params,
  )
  return dataclasses.replace(made, leaves=leaves)


def fit(
  loss: Loss,
  params: Tree,
  extra: Tree,
  optimizer: Optimizer,
  batches: Batches,
) -> tuple[Tree, Tree]:
  """Trains heads.

  Args:
    loss: of all heads.
    params: {"main": tree}, before training.
    extra: running statistics.
    optimizer: of `params`.
    batches: (outputs, targets).

  Returns:
    params and extra after the last batch.
  """

  @jax.jit
  def step(trained, batch, i):
    params, extra, state = trained
    outputs, targets = jax.lax.stop_gradient(batch)
    grad = jax.grad(loss, has_aux=True)
    grads, extra = grad(params, extra, outputs, targets)
    params, state = optimizer.update(grads, state, params, i)
    return params, extra, state

  trained = params, extra, optimizer.init(params)
  for i, batch in enumerate(batches):
    trained = step(trained, batch, i)
  return trained[:2]


def accuracy(
  context: contexts.Context,
  names: tuple[str, ...],
  weights: str,
  logits: Callable[[Outputs], dict[str, jax.Array]],
  limit: int | None,
) -> tuple[dict[str, np.ndarray], int]:
  """Accuracy in percent of every head over the evaluation split.

  Args:
    context: of the evaluation.
    names: outputs the heads read.
    weights: "raw" or "ema".
    logits: outputs -> {name: [heads, b, classes]}.
    limit: examples used; None: all.

  Returns:
    {name: [heads] percent}, number of examples: of those with a label.

  Raises:
    UserError: none has a label.
    NotComputed: logits that are not finite.
  """
  run = forward(context, names, False)
  frozen = context.weights(weights)
  guess = context.devices.jit(
    lambda outputs: {
      n: (x.argmax(-1), jnp.isfinite(x).all((0, -1)))
      for n, x in logits(outputs).items()
    }
  )
  hits, total, without = {}, 0, 0
  key = jax.random.key(context.seed)
  gather = context.devices.gather
  for batch in context.batches("eval", limit):
    guesses = guess(run(frozen, context.devices.put(batch), key))
    truth, valid = (gather(batch[k]) for k in ("label", "valid"))
    lacks = valid & (truth == labels.UNLABELLED)
    valid, without = valid & ~lacks, without + int(lacks.sum())
    for name, (x, whole) in guesses.items():
      if not np.asarray(whole)[valid].all():
        raise finite.broken(int((~np.asarray(whole)[valid]).sum()), len(truth))
      right = (np.asarray(x) == truth)[:, valid].sum(1)
      hits[name] = hits.get(name, 0) + right
    total += int(valid.sum())
  labelled.tell("eval", without, without + total)
  return {name: 100.0 * x / total for name, x in hits.items()}, total


def soft_losses(logits: jax.Array, labels: jax.Array) -> jax.Array:
  """Cross entropy, mean over the batch, summed over heads.

  Args:
    logits: [heads, b, ..., classes].
    labels: [b, ...] int.
  """
  logs = jax.nn.log_softmax(logits.astype(jnp.float32))
  labels = jnp.broadcast_to(labels, logits.shape[:-1])
  picked = jnp.take_along_axis(logs, labels[..., None], -1)[..., 0]
  return -picked.reshape(len(logits), -1).mean(1).sum()


def plan(
  context: contexts.Context, batch: int, epochs: float, examples: int
) -> tuple[int, int]:
  """(batch, steps): 0 means the batch of the run; at least one step."""
  batch = batch or context.spec.batch
  return batch, max(1, round(epochs * examples / batch))
