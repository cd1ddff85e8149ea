"""The chain: its numbers are exact, and it is drawn by them."""

import numpy as np
import pytest

from jmim.data.procedural import markov


def test_the_chain_is_stationary_and_its_numbers_are_exact():
  chain = markov.make(8)
  p, t = chain.initial, chain.transition
  np.testing.assert_allclose(p @ t, p, atol=1e-12)
  np.testing.assert_allclose(t.sum(1), 1)
  assert p.min() > 0 and t.min() > 0
  rows = chain.draw(np.random.default_rng(0), 20_000, 6)
  for position in (0, 5):
    share = np.bincount(rows[:, position], minlength=8) / len(rows)
    assert (np.abs(share - p) < 4 * np.sqrt(p / len(rows))).all()
  assert chain.nll(rows).mean() == pytest.approx(chain.entropy(6), abs=0.05)
  assert markov.make(8) is chain and markov.make(8, 1) is not chain
