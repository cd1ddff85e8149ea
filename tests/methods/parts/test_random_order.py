import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.methods.parts import gaussian
from jmim.methods.parts import random_order
from jmim.methods.parts import token_diffusion

N, B = 20, 3
NOISE = gaussian.Gaussian(
  schedule="cosine", times=20, variance="learned", learn_variance=True
)
HEAD = token_diffusion.Head()
ORDER = jax.vmap(lambda k: jax.random.permutation(k, N))(
  jax.random.split(jax.random.key(0), B)
)


def fill(steps, unknown=N, start=0.0, **fields):
  """Token l becomes (call, scale); what the network is shown is recorded."""
  part = random_order.RandomOrder(steps=steps, head_steps=2, **fields)

  def conditions(tokens, masked):
    filled = (tokens[..., 0] > 0).sum(1)
    return (jnp.stack([filled, jnp.full(B, masked)], -1)[:, None].repeat(N, 1),)

  def draw(index, scale, z):
    one = jnp.ones(z.shape[:2])
    return jnp.stack([one, one * index, one * scale, z[..., 0], z[..., 1]], -1)

  tokens = jnp.full((B, N, 5), start)
  return part, *part.fill(conditions, draw, tokens, ORDER, unknown)


@pytest.mark.parametrize("steps", [1, 5, N])
def test_every_token_is_predicted_exactly_once(steps):
  part, tokens, calls = fill(steps)
  np.testing.assert_array_equal(tokens[..., 0], np.ones((B, N)))
  np.testing.assert_array_equal(tokens[..., 1], calls)
  counts = part.counts(N)
  assert len(counts) == steps + 1 and (np.diff(counts) < 0).all()
  for row in np.asarray(calls):
    found = np.bincount(row, minlength=steps)
    np.testing.assert_array_equal(found, -np.diff(counts))
  # A token is predicted from all that were filled in before, and no others.
  before = counts[np.asarray(calls)]
  np.testing.assert_array_equal(tokens[..., 4], before)
  np.testing.assert_array_equal(tokens[..., 3], N - before)


def test_the_end_of_the_order_comes_first():
  _, _, calls = fill(4)
  along = np.take_along_axis(np.asarray(calls), np.asarray(ORDER), 1)
  assert (np.diff(along, axis=1) <= 0).all()


def test_known_tokens_stay():
  _, tokens, calls = fill(3, unknown=7, start=0.25)
  known = np.take_along_axis(np.asarray(calls), np.asarray(ORDER), 1)[:, 7:]
  assert (known == -1).all()
  assert (
    (np.asarray(tokens[..., 0]) == 0.25) == (np.asarray(calls) == -1)
  ).all()


def test_guidance_grows_with_what_is_there():
  part, tokens, calls = fill(5, guidance=3.0)
  counts = np.maximum(part.counts(N)[1:], 1)
  scales = 1 + 2 * (N - counts) / N
  np.testing.assert_allclose(
    tokens[..., 2], scales[np.asarray(calls)], rtol=1e-6
  )
  assert 2.85 < scales[-1] < 3
  _, tokens, _ = fill(5, guidance=3.0, guidance_schedule="constant")
  assert (tokens[..., 2] == 3).all()


def test_the_temperature_is_of_every_step():
  part = random_order.RandomOrder(head_steps=4)
  warm = dataclasses.replace(part, temperature=0.5)
  a, b = part.table(NOISE), warm.table(NOISE)
  np.testing.assert_array_equal(b.std, a.std / 2)
  assert len(a) == 4 and a.std[-1] == 0 and a.learned


def test_mistakes():
  part = random_order.RandomOrder(steps=N + 1, head_steps=4)
  with pytest.raises(ValueError, match="steps 21, but there are 20 tokens"):
    part.check(N, NOISE, 0.1, HEAD)
  with pytest.raises(ValueError, match="head_steps 21 of noise.times 20"):
    dataclasses.replace(part, steps=2, head_steps=21).check(N, NOISE, 0.1, HEAD)
  guided = dataclasses.replace(part, steps=2, guidance=2.0)
  guided.check(N, NOISE, 0.1, HEAD)
  for drop in (0.0, None):
    with pytest.raises(ValueError, match="sampling.guidance=2.0"):
      guided.check(N, NOISE, drop, HEAD)
  with pytest.raises(ValueError, match="guidance=2.0 with sequence.drop=0"):
    guided.check(N, NOISE, 0.0, HEAD, key="sequence.drop")
  cold = dataclasses.replace(part, steps=2, temperature=0.5, sampler="ddim")
  with pytest.raises(ValueError, match="temperature=0.5 with a sampler"):
    cold.check(N, NOISE, 0.1, HEAD)
  of_v = field.replace(HEAD, prediction=dict(kind="v"))
  with pytest.raises(ValueError, match="head.prediction.kind='v' with noise"):
    cold.check(N, NOISE, 0.1, of_v)


def test_a_token_may_be_walked_without_noise():
  part = random_order.RandomOrder(head_steps=4, sampler="ddim")
  table = part.table(NOISE)
  assert not table.stochastic and len(table) == 4
