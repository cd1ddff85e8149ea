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
import functools

import jax
import numpy as np

from jmim.checkpoints import store as checkpoint
from jmim.core import discovery
from jmim.core import errors
from jmim.core import field
from jmim.core import tree as trees
from jmim.core import validate
from jmim.data.procedural import markov
from jmim.evals.lib import base
from jmim.metrics import tokens as metrics


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """Perplexity, entropies, bigrams, and network calls per sample."""

  predict: str = field.value("generate", "dict of tokens [b, l], calls [b]")
  examples: int = field.value(1024, "samples", low=2)
  chain: int = field.value(
    0,
    "vocabulary of the known chain the data are of (`markov`); 0: none",
    low=0,
  )
  workdir: str = field.value("", "run whose `nll` scores the samples")

  def run(self, context):
    """Yields entropy, unigram_entropy, tv, calls, and with q perplexity."""
    made, real = self._samples(context)
    x = made["tokens"]
    v = max(int(x.max()), int(real.max())) + 1
    v = max(v, self.chain)
    yield "entropy", float(metrics.sentence_entropy(x).mean())
    yield "entropy_data", float(metrics.sentence_entropy(real).mean())
    yield "unigram_entropy", metrics.entropy(metrics.unigrams(x, v))
    wanted, sets = metrics.bigrams(real, v), 2
    nats = None
    if self.chain:
      known = markov.make(self.chain)
      wanted, sets, nats = known.bigrams, 1, known.nll(x)
      yield "nll_chain", known.entropy(x.shape[1]) / x.shape[1]
    elif self.workdir:
      nats = scores(self.workdir, x, context.spec.batch)
    found = metrics.bigrams(x, v)
    yield "tv", metrics.total_variation(found, wanted)
    pairs = x[:, 1:].size
    yield "tv_exact", metrics.sampling_error(wanted, pairs, sets)
    if nats is not None:
      yield "nll", float(nats.mean() / x.shape[1])
      yield "perplexity", float(np.exp(nats.mean() / x.shape[1]))
    yield "calls", float(made["calls"].mean())
    yield "examples", len(x)

  def _samples(self, context):
    """(outputs, tokens of the evaluation split), as many of either."""
    made, real = [], []
    for i, batch in enumerate(context.batches("eval", self.examples)):
      out = context.apply(self.predict, batch, self.weights, key=i)
      valid = context.gather(batch["valid"])
      made.append({k: v[valid] for k, v in out.items()})
      real.append(context.gather(batch["tokens"])[valid])
    names = made[0]
    return (
      {k: np.concatenate([m[k] for m in made]) for k in names},
      np.concatenate(real),
    )


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
  try:
    config = checkpoint.read_config(workdir)
    saved = checkpoint.read_section(workdir, "params")
  except FileNotFoundError as e:
    raise errors.UserError(
      str(e), "the workdir of a run with a checkpoint", "correct it", key
    ) from e
  section = config["method"]
  judge = validate.build(discovery.find(section["type"]), section, "method")
  wanted = judge.inputs().get("tokens")
  if "nll" not in judge.predict() or not wanted:
    raise errors.UserError(
      f"{workdir} is a run of {section['type']}",
      "a method that offers `nll` of tokens",
      "name another run",
      key,
    )
  if wanted.shape != tokens.shape[1:] or wanted.high <= tokens.max():
    raise errors.UserError(
      f"{workdir} reads {wanted.shape} tokens below {wanted.high}",
      f"{tokens.shape[1:]} tokens up to {tokens.max()}",
      "name a run on the same data",
      key,
    )
  params = trees.nested(saved)
  fn = jax.jit(functools.partial(judge.predict()["nll"], params, {}, {}))
  parts = [
    fn({"tokens": tokens[i : i + batch]}, jax.random.key(i))
    for i in range(0, len(tokens), batch)
  ]
  return np.concatenate([np.asarray(p) for p in parts])
