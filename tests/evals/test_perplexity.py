import types

import numpy as np
import pytest

from jmim.core import errors
from jmim.data.procedural import markov
from jmim.evals import perplexity
from jmim.metrics import tokens as metrics

V, L = 6, 5
CHAIN = markov.make(V)


class Context:
  """Batches of the chain, and a sampler that is the chain, sharpened."""

  def __init__(self, power=1.0, n=6000, batch=512):
    self.spec = types.SimpleNamespace(batch=batch)
    self.n, self.size = n, batch
    p, t = CHAIN.initial**power, CHAIN.transition**power
    self.chain = markov.Chain(p / p.sum(), t / t.sum(1, keepdims=True))

  def batches(self, split, limit):
    assert split == "eval"
    rng = np.random.default_rng(0)
    for start in range(0, min(self.n, limit), self.size):
      left = min(self.n, limit) - start
      yield {
        "tokens": CHAIN.draw(rng, self.size, L),
        "valid": np.arange(self.size) < left,
      }

  def apply(self, name, batch, weights, key):
    assert name == "generate" and weights == "raw"
    rng = np.random.default_rng([1, key])
    made = self.chain.draw(rng, self.size, L)
    return {"tokens": made, "calls": np.full(self.size, L)}

  gather = staticmethod(lambda x: x)


def run(context, **fields):
  return dict(perplexity.Evaluator(examples=6000, **fields).run(context))


def test_the_chain_itself_has_its_own_entropy():
  found = run(Context(), chain=V)
  assert found["examples"] == 6000 and found["calls"] == L
  assert found["nll"] == pytest.approx(found["nll_chain"], abs=0.02)
  assert found["perplexity"] == pytest.approx(np.exp(found["nll"]))
  assert found["tv"] < 1.5 * found["tv_exact"]
  assert found["entropy"] == pytest.approx(found["entropy_data"], abs=0.02)
  unigram = metrics.entropy(CHAIN.initial)
  assert found["unigram_entropy"] == pytest.approx(unigram, abs=0.02)


def test_a_lower_temperature_lowers_perplexity_and_entropy_together():
  exact, sharp = run(Context(), chain=V), run(Context(power=2.0), chain=V)
  for name in ("perplexity", "entropy", "unigram_entropy"):
    assert sharp[name] < exact[name] - 0.05, name
  assert sharp["tv"] > 5 * sharp["tv_exact"]


def test_without_a_model_the_entropies_and_the_data_are_left():
  found = run(Context())
  assert "nll" not in found and "perplexity" not in found
  assert found["tv"] < 1.5 * found["tv_exact"]


def test_a_run_that_is_not_there_is_named(tmp_path):
  with pytest.raises(errors.UserError, match="config.json"):
    run(Context(), workdir=str(tmp_path))


def test_entropy_of_a_sentence_is_that_of_its_histogram():
  x = np.array([[0, 0, 0, 0], [0, 1, 2, 3], [5, 5, 2, 2], [1, 1, 1, 7]])
  want = [0, np.log(4), np.log(2), metrics.entropy(np.array([0.75, 0.25]))]
  np.testing.assert_allclose(metrics.sentence_entropy(x), want, atol=1e-12)


def test_bigrams_count_neighbours_and_sampling_error_is_seen():
  x = np.array([[0, 1, 1], [1, 1, 0]])
  np.testing.assert_allclose(metrics.bigrams(x, 2), [[0, 0.25], [0.25, 0.5]])
  assert metrics.total_variation(np.array([1, 0]), np.array([0.5, 0.5])) == 0.5
  p, rng = np.array([0.7, 0.2, 0.1]), np.random.default_rng(0)
  drawn = rng.multinomial(500, p, size=4000) / 500
  seen = np.abs(drawn - p).sum(1).mean() / 2
  assert metrics.sampling_error(p, 500) == pytest.approx(seen, rel=0.05)
