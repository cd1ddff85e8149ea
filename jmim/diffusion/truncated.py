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
  """Largest Gumbel number -log(-log u) of uniform multiples u of 2^-bits.

  float32: 24 in PyTorch (16.6355), 23 in JAX; float64: 53 (36.7368).
  """
  return float(-np.log(-np.log1p(-(2.0**-bits))))


def trunc_probs(probs: np.ndarray, limit: float) -> np.ndarray:
  """[k] probabilities of the classes drawn with noise up to `limit`.

  Args:
    probs: [k] nonnegative, not all 0; normalised here.
    limit: largest Gumbel number M.
  """
  probs = np.asarray(probs, np.float64) / np.sum(probs, dtype=np.float64)
  rank = np.argsort(probs, kind="stable")
  p = probs[rank]
  k = len(p)
  tail = np.cumsum(p[::-1])[::-1]  # S_i
  count = k - np.arange(k)  # K - i + 1
  a = np.exp(-limit)
  with np.errstate(divide="ignore", invalid="ignore"):
    # The exponents of beta_i: x, and y - x, which is -inf for i = 1.
    x = (count - tail / p) * a
    y_less_x = -a * tail * (1 / np.concatenate([[0.0], p[:-1]]) - 1 / p)
    # exp(x) - exp(y) = -exp(x) expm1(y - x): the two agree in 16 digits where
    # M is large, and both are tiny where it is small.
    beta = np.where(p > 0, -np.exp(x) * np.expm1(y_less_x) / tail, 0.0)
  law = np.empty(k)
  law[rank] = p * np.cumsum(beta)
  return law


def entropy(probs: np.ndarray) -> float:
  """-sum p log p in nats; 0 log 0 = 0."""
  p = np.asarray(probs, np.float64)
  return float(-np.sum(p * np.log(np.where(p > 0, p, 1.0))))


def step(
  probs: np.ndarray, unmask: float, limit: float
) -> tuple[float, np.ndarray]:
  """One reverse step of one position, drawn with noise up to `limit`.

  Args:
    probs: [k] probabilities of the tokens.
    unmask: probability to unmask, without a limit.
    limit: largest Gumbel number.

  Returns:
    The probability to unmask, and [k] those of the tokens if it does.
  """
  both = np.append(np.asarray(probs, np.float64) * unmask, 1 - unmask)
  tokens = trunc_probs(both, limit)[:-1]
  total = tokens.sum()
  return float(total), tokens / total if total else tokens


def chain(probs: np.ndarray, steps: int, limit: float) -> np.ndarray:
  """[k] law of the token that a position ends with after N uniform steps.

  Args:
    probs: [k] probabilities of the tokens, the same in every step.
    steps: number N of steps.
    limit: largest Gumbel number.
  """
  probs = np.asarray(probs, np.float64)
  law = np.zeros(len(probs))
  masked = 1.0
  # From time n/N to (n - 1)/N, m(t) = t: unmasked with probability 1/n.
  for n in range(steps, 0, -1):
    unmask, tokens = step(probs, 1 / n, limit)
    law += masked * unmask * tokens
    masked *= 1 - unmask
  return law
