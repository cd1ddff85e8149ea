"""Attentive probe: one cross-attention pooling of frozen patch tokens.

    y = q + Attention(q, LN x),  y = y + MLP(LN y),  logits = W y + b

q is one learned query (V-JEPA's attentive pooler, Bardes et al. 2024). AdamW,
cosine to 0; a grid of learning rates in one pass, all from one start. `top1`
is the best of the grid on the evaluation split.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import errors
from jmim.core import field
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.evals.lib import frozen
from jmim.nn.decoders import heads as classifiers
from jmim.runlog import readings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Fitted):
  """Attentive-probe accuracy in percent."""

  reads = ((r"top1|lr.+", readings.PERCENT),)

  predict: str = field.value("tokens", "patch tokens [b, h, w, d] or [b, n, d]")
  lrs: tuple[float, ...] = field.value(
    (1e-3, 3e-4, 1e-4), "peak learning rates"
  )
  heads: int = field.value(0, "attention heads; 0: one per 64 channels", low=0)
  epochs: float = field.value(20.0, "passes over the training set", above=0)
  warmup_epochs: float = field.value(
    2.0, "passes during which the rate rises", low=0
  )
  batch: int = field.value(0, "total batch; 0: that of the run", low=0)
  weight_decay: float = field.value(0.01, "weight decay of kernels", low=0)
  limit: int = field.value(0, "test examples; 0: all", low=0)

  def run(self, context: contexts.Context) -> base.Results:
    """Yields top1 (best rate) and lr<rate> for all."""
    context = context.fitted_on(self.train_split)
    source = context.sources["train"]
    batch, steps = frozen.plan(context, self.batch, self.epochs, len(source))
    shape = context.shape(self.predict)
    head = self.head(shape[-1], source.num_classes)
    params = self.init(head, jax.random.key(context.seed), shape)
    optimizer = frozen.make_optimizer(
      params,
      self.lrs,
      steps,
      steps * self.warmup_epochs / self.epochs,
      name="adamw",
      b1=0.9,
      b2=0.999,
      eps=1e-8,
      weight_decay=self.weight_decay,
    )

    def logits(params, outputs):
      apply = lambda p, x: head.apply({"params": p}, x)
      many = jax.vmap(apply, in_axes=(0, None))
      return many(params["main"]["layers"], flat(outputs[self.predict]))

    def loss(params, extra, outputs, labels):
      return frozen.soft_losses(logits(params, outputs), labels), extra

    names = (self.predict,)
    data = frozen.stream(
      context, names, weights=self.weights, batch=batch, steps=steps
    )
    params, _ = frozen.fit(
      loss, params, extra={}, optimizer=optimizer, batches=data
    )
    percent, total = frozen.accuracy(
      context,
      names,
      weights=self.weights,
      logits=lambda outputs: {"": logits(params, outputs)},
      limit=self.limit or None,
    )
    yield "top1", float(percent[""].max())
    for lr, accuracy in zip(self.lrs, percent[""], strict=True):
      yield f"lr{lr:g}", float(accuracy)
    yield "examples", total

  def init(
    self,
    head: classifiers.AttentivePool,
    key: jax.Array,
    shape: tuple[int, ...],
  ) -> frozen.Tree:
    """One start for all rates, so that they differ by the rate alone."""
    single = head.init(key, flat(jnp.zeros((1, *shape))))["params"]
    copies = jax.tree.map(lambda p: jnp.stack([p] * len(self.lrs)), single)
    return {"main": {"layers": copies}}

  def head(self, width: int, classes: int) -> classifiers.AttentivePool:
    """The probe for tokens of a width."""
    count = self.heads or max(1, width // 64)
    if width % count:
      raise errors.UserError(
        f"tokens of width {width} for {count} heads",
        "a divisor of the width",
        "set evals.<name>.heads",
        "evals.<name>.heads",
      )
    return classifiers.AttentivePool(classes=classes, heads=count)


def flat(tokens: jax.Array) -> jax.Array:
  """[b, ..., d] -> [b, n, d]."""
  return tokens.reshape(len(tokens), -1, tokens.shape[-1])
