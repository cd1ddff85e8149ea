r"""What is drawn by argmax(log p + G) when the noise G is cut at a limit M.

Zheng et al. 2025, section 4. With classes sorted p_1 <= .. <= p_K, tail sums
S_i = p_i + .. + p_K and a = exp(-M),

    beta_i = [exp((K - i + 1 - S_i/p_i) a)
              - exp((K - i + 1 - S_i/p_{i-1}) a)] / S_i      (second 0 for i=1)
    p'_n   = p_n (beta_1 + .. + beta_n)

As beta >= 0, p'_n/p_n grows with p_n: a lower temperature. All of it is
float64 numpy; nothing here is sampled.
"""

import numpy as np


def gumbel_max(bits: int) -> float:
  """Largest Gumbel number made of uniform multiples of 2^-bits.

  float32: 24 in PyTorch (16.6355), 23 in JAX; float64: 53 (36.7368).
  """
  return float(-np.log(-np.log1p(-(2.0**-bits))))


def trunc_probs(probs: np.ndarray, limit: float) -> np.ndarray:
  """[k] probabilities of the classes drawn with noise up to `limit`.

  Args:
    probs: [k] nonnegative, not all 0; normalised here.
    limit: M.
  """
  probs = np.asarray(probs, np.float64) / np.sum(probs, dtype=np.float64)
  rank = np.argsort(probs, kind="stable")
  p, k = probs[rank], len(probs)
  tail = np.cumsum(p[::-1])[::-1]
  left, a = k - np.arange(k), np.exp(-limit)
  with np.errstate(divide="ignore", invalid="ignore"):
    upper = (left - tail / p) * a
    gap = -a * tail * (1 / np.concatenate([[0.0], p[:-1]]) - 1 / p)
    # exp(x) - exp(y) = -exp(x) expm1(y - x): the two agree in 16 digits where
    # M is large, and both are tiny where it is small.
    beta = np.where(p > 0, -np.exp(upper) * np.expm1(gap) / tail, 0.0)
  found = np.empty(k)
  found[rank] = p * np.cumsum(beta)
  return found


def entropy(probs: np.ndarray) -> float:
  """-sum p log p in nats; 0 log 0 = 0."""
  p = np.asarray(probs, np.float64)
  return float(-np.sum(p * np.log(np.where(p > 0, p, 1.0))))


def step(
  probs: np.ndarray, unmask: float, limit: float
) -> tuple[float, np.ndarray]:
  """One reverse step of one position: (probability to unmask, its tokens).

  Args:
    probs: [k] of the tokens.
    unmask: probability to unmask, without a limit.
    limit: of the noise.

  Returns:
    The probability with the limit, and [k], given that it unmasks.
  """
  both = np.append(np.asarray(probs, np.float64) * unmask, 1 - unmask)
  tokens = trunc_probs(both, limit)[:-1]
  total = tokens.sum()
  return float(total), tokens / total if total else tokens


def chain(probs: np.ndarray, steps: int, limit: float) -> np.ndarray:
  """[k] law of the token that a position ends with after N uniform steps."""
  probs = np.asarray(probs, np.float64)
  found, masked = np.zeros(len(probs)), 1.0
  for left in range(steps, 0, -1):  # from time left/N to (left - 1)/N
    unmask, tokens = step(probs, 1 / left, limit)
    found += masked * unmask * tokens
    masked *= 1 - unmask
  return found
