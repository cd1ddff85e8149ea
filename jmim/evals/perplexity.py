r"""Generative perplexity of sampled tokens, never without their entropy.

    perplexity = exp(mean over samples of -log q(x) / l)
    entropy    = mean over samples of the entropy of x's histogram, in nats
    tv         = 1/2 sum over bigrams of |share in samples - share in q|

q is a known Markov chain (`chain`), where -log q is exact, or another run that
offers `nll` (`workdir`), where it is what that run calls it (of a masked model,
a bound). With neither only the entropies are given, and tv refers to the
evaluation split. A sampler that leaves out what is rare lowers perplexity and
entropy together: read both (Zheng et al. 2025).
"""

import dataclasses

import jax
import numpy as np

from jmim.checkpoints import models
from jmim.core import errors
from jmim.core import field
from jmim.data.procedural import markov
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.evals.lib import predict
from jmim.metrics import tokens as metrics
from jmim.runlog import readings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """Perplexity, entropies, bigrams, and network calls per sample."""

  reads = (
    ("nll", readings.NATS),
    (r"nll_chain|(unigram_)?entropy(_data)?", readings.Reading("nats")),
    (r"perplexity|tv", readings.LESS),
  )

  predict: str = field.value("generate", "dict of tokens [b, l], calls [b]")
  examples: int = field.value(1024, "samples", low=2)
  chain: int = field.value(
    0,
    "vocabulary of the known chain the data are of (`markov`); 0: none",
    low=0,
  )
  workdir: str = field.value("", "run whose `nll` scores the samples")

  def run(self, context: contexts.Context) -> base.Results:
    """Yields entropy, unigram_entropy, tv, calls, and with q perplexity."""
    made, real = self._samples(context)
    x = made["tokens"]
    v = max(int(x.max()) + 1, int(real.max()) + 1, self.chain)
    yield "entropy", float(metrics.sentence_entropy(x).mean())
    yield "entropy_data", float(metrics.sentence_entropy(real).mean())
    yield "unigram_entropy", metrics.entropy(metrics.unigrams(x, v))
    target, sets = metrics.bigrams(real, v), 2
    nats = None
    if self.chain:
      known = markov.make(self.chain)
      target, sets, nats = known.bigrams, 1, known.nll(x)
      yield "nll_chain", known.entropy(x.shape[1]) / x.shape[1]
    elif self.workdir:
      nats = scores(self.workdir, x, context.spec.batch)
    yield "tv", metrics.total_variation(metrics.bigrams(x, v), target)
    pairs = x[:, 1:].size
    yield "tv_exact", metrics.sampling_error(target, pairs, sets)
    if nats is not None:
      yield "nll", float(nats.mean() / x.shape[1])
      yield "perplexity", float(np.exp(nats.mean() / x.shape[1]))
    yield "calls", float(made["calls"].mean())
    yield "examples", len(x)

  def _samples(
    self, context: contexts.Context
  ) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """(outputs, tokens of the evaluation split), as many of either."""
    parts = list(
      context.outputs(
        self.predict, "eval", self.examples, self.weights, entries=("tokens",)
      )
    )
    made = {k: np.concatenate([x[k] for x, _ in parts]) for k in parts[0][0]}
    return made, np.concatenate([batch["tokens"] for _, batch in parts])


def scores(workdir: str, tokens: np.ndarray, batch: int) -> np.ndarray:
  """[n] nats of [n, l] tokens under another run.

  Args:
    workdir: of the run.
    tokens: what is scored.
    batch: rows at a time.

  Raises:
    UserError: no such run, or one that has no `nll` of tokens like these.
  """
  key = "evals.<name>.workdir"
  model = models.of_run(workdir, key=key)
  inputs = model.method.inputs().get("tokens")
  if "nll" not in model.method.predict() or not inputs:
    raise errors.UserError(
      f"{workdir} is a run of {model.config.method.type}",
      "a method that offers `nll` of tokens",
      "name another run",
      key,
    )
  if inputs.shape != tokens.shape[1:] or inputs.high <= tokens.max():
    raise errors.UserError(
      f"{workdir} reads {inputs.shape} tokens below {inputs.high}",
      f"{tokens.shape[1:]} tokens up to {tokens.max()}",
      "name a run on the same data",
      key,
    )
  fn = jax.jit(predict.output(model.method, "nll"))
  parts = [
    fn(model.weights, {"tokens": tokens[i : i + batch]}, jax.random.key(i))
    for i in range(0, len(tokens), batch)
  ]
  return np.concatenate([np.asarray(part) for part in parts])
