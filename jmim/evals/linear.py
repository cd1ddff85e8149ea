"""MAE's linear probing, a grid of learning rates and features in one pass.

    z = (f - mean_batch f) / sqrt(var_batch f + 1e-6)   BatchNorm, no affine
    logits = W z + b,  cross entropy,  LARS(momentum 0.9, trust 0.001)

facebookresearch/mae@efb2a8062c, main_linprobe: lr 0.1 * batch / 256, batch
16384, 90 epochs, 10 of warm-up, cosine to 0, the cls token. All heads (every
feature times every rate) see the same augmented images, those of the run's
own augmentation (`config.data`; the paper's: random resized crop and flip).

`top1` is the best head ON THE EVALUATION SPLIT, as DINOv2 reports it: with
more than one head that is optimistic, and the table lists all of them.
"""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import field
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.evals.lib import frozen
from jmim.nn import batchnorm
from jmim.runlog import readings


def init(
  key: jax.Array, dims: dict[str, int], rates: int, classes: int
) -> tuple[frozen.Tree, frozen.Tree]:
  """(params, extra) of `rates` heads on each feature.

  Args:
    key: of the weights, truncated normal with std 0.01; biases are 0.
    dims: width of each feature.
    rates: heads per feature.
    classes: number of classes.
  """
  params, extra = {}, {}
  for i, (name, d) in enumerate(dims.items()):
    # One start for all rates, so that they differ by the rate alone.
    kernel = 0.01 * jax.random.truncated_normal(
      jax.random.fold_in(key, i), -2, 2, (1, d, classes)
    )
    kernel = jnp.tile(kernel, (rates, 1, 1))
    bias = jnp.zeros((rates, classes))
    params[name] = {"layers": {"kernel": kernel, "bias": bias}}
    extra[name] = {"mean": jnp.zeros(d), "var": jnp.ones(d)}
  return {"main": params}, extra


def logits(
  params: frozen.Tree, extra: frozen.Tree, outputs: frozen.Outputs, train: bool
) -> tuple[dict[str, jax.Array], frozen.Tree]:
  """({feature: [rates, b, classes]}, new running statistics)."""
  scores, new = {}, {}
  for name, head in params["main"].items():
    x = outputs[name].reshape(len(outputs[name]), -1).astype(jnp.float32)
    z, mean, var = batchnorm.batch_norm(x, **extra[name], train=train)
    w, b = head["layers"]["kernel"], head["layers"]["bias"]
    scores[name] = jnp.einsum("bd,rdc->rbc", z, w) + b[:, None]
    new[name] = {"mean": mean, "var": var}
  return scores, new


def loss(
  params: frozen.Tree,
  extra: frozen.Tree,
  outputs: frozen.Outputs,
  labels: jax.Array,
) -> tuple[jax.Array, frozen.Tree]:
  """(sum of the cross entropies of all heads, new running statistics)."""
  scores, extra = logits(params, extra, outputs, train=True)
  return sum(frozen.soft_losses(x, labels) for x in scores.values()), extra


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Fitted):
  """Linear-probe accuracy in percent of every head of the grid."""

  reads = ((r"top1|.+_lr.+", readings.PERCENT),)

  predict: tuple[str, ...] = field.value(
    ("cls", "features"), "outputs probed; of a dict, every entry"
  )
  lrs: tuple[float, ...] = field.value(
    (0.1, 0.01, 0.03, 0.3, 1.0), "rates per 256 examples"
  )
  epochs: float = field.value(90.0, "passes over the training set", above=0)
  warmup_epochs: float = field.value(
    10.0, "passes during which the rate rises", low=0
  )
  batch: int = field.value(0, "total batch; 0: that of the run", low=0)
  momentum: float = field.value(0.9, "momentum of LARS", low=0, below=1)
  trust: float = field.value(0.001, "LARS trust coefficient", above=0)
  weight_decay: float = field.value(
    0.0, "L2 penalty, added to the gradient", low=0
  )
  limit: int = field.value(0, "test examples; 0: all", low=0)

  def needs(self) -> tuple[str, ...]:
    """All outputs probed."""
    return tuple(name.partition("/")[0] for name in self.predict)

  def run(self, context: contexts.Context) -> base.Results:
    """Yields the best head, its top1, and <feature>_lr<rate> for all."""
    context = context.fitted_on(self.train_split)
    source = context.sources["train"]
    batch, steps = frozen.plan(context, self.batch, self.epochs, len(source))
    dims = context.widths(self.predict)
    key = jax.random.key(context.seed)
    params, extra = init(key, dims, len(self.lrs), source.num_classes)
    optimizer = self.optimizer(params, batch, steps)
    data = frozen.stream(
      context, self.predict, weights=self.weights, batch=batch, steps=steps
    )
    params, extra = frozen.fit(
      loss, params, extra=extra, optimizer=optimizer, batches=data
    )
    percent, total = frozen.accuracy(
      context,
      self.predict,
      weights=self.weights,
      logits=lambda outputs: logits(params, extra, outputs, train=False)[0],
      limit=self.limit or None,
    )
    yield "head", self.best(params, extra, percent)
    yield "top1", max(float(x.max()) for x in percent.values())
    for name, accuracies in percent.items():
      for lr, accuracy in zip(self.lrs, accuracies, strict=True):
        yield f"{name}_lr{lr:g}", float(accuracy)
    yield "examples", total

  def best(
    self,
    params: frozen.Tree,
    extra: frozen.Tree,
    percent: Mapping[str, np.ndarray],
  ) -> base.Head:
    """The head of the highest accuracy, its BatchNorm folded into it."""
    name = max(percent, key=lambda n: percent[n].max())
    i = int(np.argmax(percent[name]))
    layers, kept = jax.device_get((params["main"][name]["layers"], extra[name]))
    kernel = layers["kernel"][i] / np.sqrt(kept["var"] + 1e-6)[:, None]
    bias = layers["bias"][i] - kept["mean"] @ kernel
    return base.Head(
      predict=name, weights=self.weights, kernel=kernel, bias=bias
    )

  def optimizer(
    self, params: frozen.Tree, batch: int, steps: int
  ) -> frozen.Optimizer:
    """LARS with the rates of the grid, for a batch and a length."""
    return frozen.make_optimizer(
      params,
      tuple(lr * batch / 256 for lr in self.lrs),
      steps,
      steps * self.warmup_epochs / self.epochs,
      name="lars",
      momentum=self.momentum,
      trust=self.trust,
      weight_decay=self.weight_decay,
    )
