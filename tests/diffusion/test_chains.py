import chainnet
import numpy as np

from jmim.data.procedural import markov
from jmim.diffusion import chains

V, L, MASK = 3, 4, 3
CHAIN = markov.make(V)


def test_conditionals_are_those_of_all_sequences():
  every, p = chainnet.sequences(CHAIN, L)
  x = np.array([[MASK] * L, [2, MASK, MASK, 1], [MASK, 0, MASK, MASK]])
  logp = chains.conditionals(CHAIN.initial, CHAIN.transition, x, MASK)
  found = np.exp(logp - np.log(np.exp(logp).sum(-1, keepdims=True)))
  for row, tokens in zip(found, x, strict=True):
    for at in np.flatnonzero(tokens == MASK):
      fits = ((every == tokens) | (tokens == MASK)).all(1)
      wanted = np.bincount(every[fits, at], p[fits], minlength=V)
      np.testing.assert_allclose(row[at], wanted / wanted.sum(), atol=1e-6)


def test_long_sequences_do_not_underflow():
  x = np.full((1, 500), V)
  logp = chains.conditionals(CHAIN.initial, CHAIN.transition, x, V)
  assert np.isfinite(logp).all()
