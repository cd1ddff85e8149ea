import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import logits

B, H, T = 2, 2, 6


@pytest.mark.parametrize("keep", [1, 3, 5])
def test_rows_have_the_strongest_and_the_free(normal, keep):
  x = normal(B, H, T, T)
  p = jax.nn.softmax(logits.strongest(jnp.asarray(x), keep, free=1))
  np.testing.assert_allclose(p.sum(-1), 1, rtol=1e-6)
  np.testing.assert_array_equal((p[:, :, 0] > 0).all(-1), True)
  rank = np.argsort(np.argsort(-x[..., 1:]))
  np.testing.assert_array_equal(p[:, :, 1:, 1:] > 0, (rank < keep)[:, :, 1:])
  assert (p[..., 0] > 0).all()


def test_all_keys_or_off_is_no_change(normal):
  x = jnp.asarray(normal(B, H, T, T))
  for free, keep, on in ((0, T, True), (1, T - 1, True), (1, 1, False)):
    found = logits.strongest(x, keep, free=free, on=jnp.asarray(on))
    np.testing.assert_array_equal(found, x)


def test_equal_logits_all_stay():
  x = jnp.asarray([[[[3.0, 1.0, 1.0, 0.0]]]])
  found = logits.strongest(x, 2)[0, 0, 0]
  np.testing.assert_array_equal(found, [3, 1, 1, logits.HIDDEN])


def test_only_what_is_left_gets_a_gradient(normal):
  x = jnp.asarray(normal(B, H, T, T))
  gradient = jax.grad(lambda x: logits.strongest(x, 2).clip(-9).sum())(x)
  np.testing.assert_array_equal(gradient.sum(-1), 2)
