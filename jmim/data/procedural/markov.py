"""A Markov chain whose distribution is known: text without a language.

    T_ij = 1/2 zipf_3(rank of j in an order of i's own) + 1/2 zipf_2(j),
    zipf_a(k) ~ (k + 1)^-a

Peaked, with a tail: from each token a few are likely, and a few are likely
from all; the least likely has a probability of 3e-4. A sequence starts
in the stationary distribution, so every position has the same law, and
entropies, bigrams and likelihoods are exact.
"""

import dataclasses
import functools

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Chain:
  """A stationary Markov chain.

  Attributes:
    initial: [v] float64, its stationary distribution.
    transition: [v, v] float64, rows sum to 1.
  """

  initial: np.ndarray
  transition: np.ndarray

  @property
  def bigrams(self) -> np.ndarray:
    """[v, v] probabilities of two neighbours."""
    return self.initial[:, None] * self.transition

  @property
  def rate(self) -> float:
    """Entropy of a token given the one before, in nats."""
    return float(-(self.bigrams * np.log(self.transition)).sum())

  def entropy(self, length: int) -> float:
    """Of a sequence, in nats: the least possible mean of `nll`."""
    first = -(self.initial * np.log(self.initial)).sum()
    return float(first + (length - 1) * self.rate)

  def nll(self, tokens: np.ndarray) -> np.ndarray:
    """[n] nats of sequences [n, l]."""
    first, rest = np.log(self.initial), np.log(self.transition)
    steps = rest[tokens[:, :-1], tokens[:, 1:]].sum(1)
    return -(first[tokens[:, 0]] + steps)

  def draw(self, rng: np.random.Generator, n: int, length: int) -> np.ndarray:
    """[n, length] int32 sequences; consumes rng."""
    u = rng.random((length, n, 1))
    last = len(self.initial) - 1
    pick = lambda p, v: np.minimum((np.cumsum(p, -1) < v).sum(-1), last)
    tokens = [pick(self.initial, u[0])]
    for level in u[1:]:
      tokens.append(pick(self.transition[tokens[-1]], level))
    return np.stack(tokens, axis=1).astype(np.int32)


@functools.cache
def make(vocabulary: int, seed: int = 0) -> Chain:
  """The chain of a vocabulary and a seed."""
  rng = np.random.default_rng([seed, vocabulary])
  zipf = lambda a: np.arange(1, vocabulary + 1) ** -float(a)
  peak, common = (z / z.sum() for z in (zipf(3), zipf(2)))
  rows = [peak[rng.permutation(vocabulary)] for _ in range(vocabulary)]
  transition = (np.stack(rows) + common) / 2
  # The stationary distribution: left eigenvector of the eigenvalue 1.
  a = np.vstack([transition.T - np.eye(vocabulary), np.ones(vocabulary)])
  b = np.append(np.zeros(vocabulary), 1.0)
  initial = np.linalg.lstsq(a, b, rcond=None)[0]
  return Chain(initial, transition)
