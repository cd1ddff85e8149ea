import types

import evalkit
import numpy as np
import pytest

from jmim.core import errors
from jmim.data.procedural import markov
from jmim.evals import perplexity
from jmim.metrics import tokens as metrics

V, L = 6, 5
CHAIN = markov.make(V)


def context(power=1.0, n=6000, batch=512):
  """Batches of the chain, and a sampler that is the chain, sharpened."""
  p, t = CHAIN.initial**power, CHAIN.transition**power
  sampler = markov.Chain(p / p.sum(), t / t.sum(1, keepdims=True))
  real = np.random.default_rng(0)
  parts = []
  for start in range(0, n, batch):
    size = min(batch, n - start)
    made = sampler.draw(np.random.default_rng([1, start]), size, L)
    output = {"tokens": made, "calls": np.full(size, L)}
    parts.append((output, {"tokens": CHAIN.draw(real, size, L)}))
  over = evalkit.stub(parts)
  over.spec = types.SimpleNamespace(batch=batch)
  return over


def run(over, **fields):
  return dict(perplexity.Evaluator(examples=6000, **fields).run(over))


def test_the_chain_itself_has_its_own_entropy():
  found = run(context(), chain=V)
  assert found["examples"] == 6000 and found["calls"] == L
  assert found["nll"] == pytest.approx(found["nll_chain"], abs=0.02)
  assert found["perplexity"] == pytest.approx(np.exp(found["nll"]))
  assert found["tv"] < 1.5 * found["tv_exact"]
  assert found["entropy"] == pytest.approx(found["entropy_data"], abs=0.02)
  unigram = metrics.entropy(CHAIN.initial)
  assert found["unigram_entropy"] == pytest.approx(unigram, abs=0.02)


def test_a_lower_temperature_lowers_perplexity_and_entropy_together():
  exact, sharp = run(context(), chain=V), run(context(power=2.0), chain=V)
  for name in ("perplexity", "entropy", "unigram_entropy"):
    assert sharp[name] < exact[name] - 0.05, name
  assert sharp["tv"] > 5 * sharp["tv_exact"]


def test_without_a_model_the_entropies_and_the_data_are_left():
  found = run(context())
  assert "nll" not in found and "perplexity" not in found
  assert found["tv"] < 1.5 * found["tv_exact"]


def test_a_run_that_is_not_there_is_named(tmp_path):
  with pytest.raises(errors.UserError, match="config.json"):
    run(context(), workdir=str(tmp_path))


@pytest.fixture
def judge(tmp_path):
  """A run that takes tokens for independent, and its distribution."""
  shares = np.arange(1, V + 1) / (V * (V + 1) / 2)
  params = {"main": {"logits": np.log(shares).astype(np.float32)}}
  evalkit.workdir(tmp_path / "run", "tokenkit", params)
  return str(tmp_path / "run"), shares


def test_another_run_scores_the_samples(judge):
  workdir, shares = judge
  over = context(n=1000)
  x = np.concatenate([out["tokens"] for out, _ in over.outputs()])
  values = run(over, workdir=workdir)
  nats = -np.log(shares[x]).sum(1).mean() / L
  assert values["nll"] == pytest.approx(nats, rel=1e-5)
  assert values["perplexity"] == pytest.approx(np.exp(nats), rel=1e-5)
  assert "nll_chain" not in values


@pytest.mark.parametrize(
  "tokens, text", [([[0] * (L + 1)], f"{L + 1},"), ([[V] * L], f"up to {V}")]
)
def test_tokens_that_the_run_does_not_read_are_refused(judge, tokens, text):
  with pytest.raises(errors.UserError, match=text):
    perplexity.scores(judge[0], np.array(tokens), 4)


def test_a_run_without_a_likelihood_of_tokens_is_refused(tmp_path):
  params = {"main": {"dense": {"kernel": np.zeros((12, 6), np.float32)}}}
  evalkit.workdir(tmp_path, "evalkit", params)
  with pytest.raises(errors.UserError, match="a run of evalkit"):
    perplexity.scores(str(tmp_path), np.zeros((2, L), int), 4)
