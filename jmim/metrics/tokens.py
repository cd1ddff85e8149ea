"""Statistics of sequences of tokens: entropies, bigrams, distances of them."""

import numpy as np


def unigrams(tokens: np.ndarray, vocabulary: int) -> np.ndarray:
  """[v] shares of the tokens of [n, l]."""
  counts = np.bincount(tokens.ravel(), minlength=vocabulary)
  return counts / counts.sum()


def bigrams(tokens: np.ndarray, vocabulary: int) -> np.ndarray:
  """[v, v] shares of the neighbours of [n, l], l >= 2."""
  pairs = tokens[:, :-1].astype(np.int64) * vocabulary + tokens[:, 1:]
  counts = np.bincount(pairs.ravel(), minlength=vocabulary**2)
  return (counts / counts.sum()).reshape(vocabulary, vocabulary)


def entropy(shares: np.ndarray) -> float:
  """-sum p log p in nats, over all entries."""
  p = shares[shares > 0]
  return float(-(p * np.log(p)).sum())


def sentence_entropy(tokens: np.ndarray) -> np.ndarray:
  """[n] nats: entropy of the histogram of each row of [n, l].

  Low where a sequence repeats itself; at most log l. What papers on masked
  diffusion report beside the generative perplexity.
  """
  length = tokens.shape[1]
  rows = np.sort(tokens, axis=1)
  # Runs of equal tokens; each of length c counts -c/l log(c/l).
  new = np.ones(rows.shape, bool)
  new[:, 1:] = rows[:, 1:] != rows[:, :-1]
  starts = np.flatnonzero(new)
  c = np.diff(np.append(starts, rows.size)) / length
  return np.bincount(starts // length, -c * np.log(c), minlength=len(rows))


def total_variation(p: np.ndarray, q: np.ndarray) -> float:
  """Half of sum |p - q|, of shares of one shape; 0 .. 1."""
  return float(np.abs(p - q).sum() / 2)


def sampling_error(p: np.ndarray, n: int, samples: int = 1) -> float:
  """Expected total variation between p and n independent draws from it.

  With samples=2, between two such sets of draws. |difference| of a share is
  about normal: E = sqrt(2/pi) of its std.
  """
  std = np.sqrt(samples * p * (1 - p) / n)
  return float(np.sqrt(2 / np.pi) * std.sum() / 2)
