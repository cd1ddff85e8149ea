import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import attention
from jmim.nn import attention_logits

B, H, G, T, S, D = 2, 6, 2, 3, 5, 4


def test_a_head_of_keys_serves_neighbouring_heads_of_queries(normal):
  k, v = normal(B, G, S, D), normal(B, G, S, D, seed=1)
  for old, new in zip((k, v), attention_logits.shared(H, k, v), strict=True):
    for h in range(H):
      np.testing.assert_array_equal(new[:, h], old[:, h // (H // G)])
  assert attention_logits.shared(G, k)[0] is k


def test_heads_must_divide(normal):
  with pytest.raises(ValueError, match="6 heads of queries .* by 4 of keys"):
    attention_logits.shared(H, normal(B, 4, S, D))


@pytest.mark.parametrize("groups", [1, G, H])
def test_log_sum_exp_makes_probabilities_of_logits(normal, groups):
  q, k = 3 * normal(B, H, T, D), normal(B, groups, S, D, seed=1)
  bias = normal(H, T, S, seed=2)
  mask = np.array([[1, 1, 1, 0, 1], [0, 1, 1, 1, 1]], bool)
  twice = lambda y: 2 * y
  kw = dict(bias=bias, mask=mask, edit=twice)
  logits = attention_logits.logits(q, k, **kw)
  row = attention_logits.log_sum_exp(q, k, **kw)
  found = np.exp(logits - row[..., None])
  wanted = attention.probabilities(q, k, **kw)
  np.testing.assert_allclose(found, wanted, atol=1e-6)
  spread = k.repeat(H // groups, 1)
  plain = 2 * (np.einsum("bhtd,bhsd->bhts", q, spread) / 2 + bias)
  seen = np.where(mask[:, None, None], plain, -np.inf)
  np.testing.assert_allclose(row, np.log(np.exp(seen).sum(-1)), atol=1e-5)


def test_a_row_of_large_logits_does_not_overflow(normal):
  q, k = 1e4 * normal(1, 1, 2, D), normal(1, 1, S, D, seed=1)
  row = attention_logits.log_sum_exp(q, k)
  best = attention_logits.logits(q, k).max(-1)
  np.testing.assert_allclose(row, best, rtol=1e-6)
  none = attention_logits.log_sum_exp(q, k, mask=np.zeros((1, S), bool))
  assert jnp.isfinite(none).all() and (none < -3e38).all()
