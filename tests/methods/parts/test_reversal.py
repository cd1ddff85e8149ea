import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.diffusion import replace
from jmim.diffusion import replace_chain
from jmim.methods.parts import reversal

K, L = 4, 5
P = replace.Replace(codes=K, times=6, mask_last=0.9)
KEYS = jax.random.split(jax.random.key(0), 3)


def net(shift):
  def predict(x, t):
    assert t.shape == (len(x),)
    logits = jnp.arange(K * L).reshape(L, K) % 3 + 0.1 * shift * jnp.arange(K)
    logits = logits + 0.1 * (x[..., None] == K) + 0.01 * t[:, None, None]
    return replace.predicted(logits)

  return predict


def test_its_fields_are_what_is_asked_of_the_chain():
  part = reversal.Reversal(
    stride=2, guidance=3.0, truncation=0.8, rule="purity", sharpen=0.5
  )
  made = part.sample(KEYS, P, net(1), net(-1), length=L)
  pick, order = replace_chain.own(KEYS, L)

  def predict(x, t):
    each = jnp.full(len(x), t)
    logp = replace_chain.guided(net(1)(x, each), net(-1)(x, each), 3.0)
    return replace_chain.truncated(logp, 0.8)

  start = jnp.full((3, L), K)
  how = dict(stride=2, rule="purity", order=order, sharpen=0.5)
  same = replace_chain.chain(P, predict, pick, start, **how)
  np.testing.assert_array_equal(made, same)


def test_it_may_start_at_what_training_ends_with():
  part = reversal.Reversal(start="prior", precision="f64")
  keys = jax.random.split(jax.random.key(0), 2000)
  starts = []

  def spy(x, t):
    starts.append(x)
    return net(0)(x, t)

  with jax.disable_jit():
    part.sample(keys[:2], P, spy, None, length=L)
  assert (starts[0] <= K).all()
  pick, _ = replace_chain.own(keys, L)
  rows = jnp.broadcast_to(P.prior(), (2000, L, K + 1))
  share = float((pick(P.times, rows) == K).mean())
  np.testing.assert_allclose(share, 0.9, atol=0.01)


@pytest.mark.parametrize(
  ("fields", "process", "told", "text"),
  [
    (dict(sharpen=1.0), {}, True, "sampling.sharpen 1.0"),
    (dict(guidance=2.0), {}, False, "sampling.guidance 2.0 without"),
    ({}, dict(mask_first=0.0, mask_last=0.0), True, "process.mask_last 0"),
    (dict(start="prior", rule="random"), {}, True, "never changes a code"),
  ],
)
def test_mistakes(fields, process, told, text):
  part = reversal.Reversal(**fields)
  with pytest.raises(ValueError, match=text):
    part.check(replace.Replace(codes=K, **process), told)
