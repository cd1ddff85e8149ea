import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import randomness
from jmim.diffusion import targets
from jmim.methods.parts import query

QUERY = query.Query()
B, D = 3, 5


def two(x, t, part=QUERY):
  """E[e' | e_s] of one number that is 1 or -1, equally likely."""
  a, s = part.process.at(t.astype(int))
  return jnp.tanh(a[:, None] * x / s[:, None] ** 2)


def test_the_vector_has_unit_variance_whatever_its_length(normal):
  found = QUERY.scaled(7 * normal(B, D))
  np.testing.assert_allclose((found**2).mean(-1), 1, rtol=1e-5)


def test_times_are_noisy_enough_and_the_last_is_pure_noise(normal):
  power = QUERY.process.power
  assert power[QUERY.first] <= 0.5 < power[QUERY.first - 1]
  assert field.replace(QUERY, signal=1.0).first == 0
  keys = randomness.Keys(jax.random.key(0))
  drawn = QUERY.draw(keys, (4096, 1))
  t = np.asarray(drawn["query_t"])
  assert t.min() >= QUERY.first and t.max() == QUERY.times - 1
  e, noise = normal(2, B, D)
  last = jnp.full(B, QUERY.times - 1)
  np.testing.assert_allclose(QUERY.add(e, last, noise), noise, atol=1e-6)


def test_without_noise_the_noisy_vector_is_the_vector(normal):
  """a_s = 1: as near to it as a schedule can be."""
  e, noise = normal(2, B, D)
  clean = field.replace(QUERY, schedule="linear", beta_start=1e-14)
  found = clean.add(e, jnp.zeros(B, int), noise)
  np.testing.assert_allclose(found, e, atol=1e-5)
  np.testing.assert_array_equal(targets.noised(e, noise, 1.0, 0.0), e)


def test_noise_is_added_by_hand(normal):
  e, noise = normal(2, B, D)
  t = jnp.array([400, 700, 900])
  power = QUERY.process.power[[400, 700, 900], None]
  hand = np.sqrt(power) * e + np.sqrt(1 - power) * noise
  np.testing.assert_allclose(QUERY.add(e, t, noise), hand, atol=1e-6)


def test_the_least_error_is_that_of_the_mean_of_two_gaussians():
  """What is learnt, the least squared error, is E[e' | e_s] = tanh(a e_s/n^2).

  A table over e_s is fitted to vectors and noise as training draws them.
  """
  n, rng = 200_000, np.random.default_rng(0)
  e = QUERY.scaled(jnp.asarray(rng.choice([-0.3, 5.0], (n, 1)) - 0.1))
  t = jnp.full(n, QUERY.first + 100)
  x = QUERY.add(e, t, jnp.asarray(rng.normal(size=(n, 1)), jnp.float32))
  edges = np.linspace(-2, 2, 21)
  at = np.digitize(np.asarray(x[:, 0]), edges)
  mean = lambda of: np.bincount(at, np.asarray(of)[:, 0]) / np.bincount(at)
  fitted, exact = mean(e), mean(two(x, t))
  inner = slice(1, -1)
  np.testing.assert_allclose(fitted[inner], exact[inner], atol=0.03)
  assert np.ptp(exact[inner]) > 0.5


@pytest.mark.parametrize("steps", [1, 40])
def test_the_walk_ends_at_the_mean_in_one_step_and_at_a_vector_in_many(steps):
  part = field.replace(QUERY, steps=steps)
  x = jnp.linspace(-2, 2, 8)[:, None]
  found = part.walk(functools.partial(two, part=part), x)
  if steps == 1:
    np.testing.assert_allclose(found, 0, atol=1e-6)
  else:
    # As far as it is trained: the last step leaves some of the mean.
    np.testing.assert_array_equal(np.sign(found), np.sign(x))
    assert np.abs(found).min() > 0.3 and np.abs(found).max() < 1.001


def test_steps_visit_trained_times_from_the_last_on():
  for steps in (1, 7):
    time = field.replace(QUERY, steps=steps).path.time
    assert len(time) == steps + 1 and time[0] == QUERY.times - 1
    assert (time[:-1] >= QUERY.first).all() and time[-1] == 0


def test_predictions_are_means_over_noises_that_all_examples_share(normal):
  table = jnp.asarray(normal(B, D))
  denoise = lambda x, t: table + jnp.tanh(x)
  key = jax.random.key(3)
  of = lambda n: field.replace(QUERY, noises=n).predicted(denoise, (B, D), key)
  unit = lambda x: x / np.linalg.norm(x, axis=-1, keepdims=True)
  np.testing.assert_allclose(of(0), unit(np.asarray(table)), atol=1e-6)
  noise = np.asarray(jax.random.normal(key, (4, 1, D)))
  hand = unit((np.asarray(table) + np.tanh(noise)).mean(0))
  np.testing.assert_allclose(of(4), hand, atol=1e-5)


def test_errors_of_candidates_by_hand(normal):
  """The image says `seen`; what is denoised is drawn to it."""
  part = field.replace(QUERY, trials=3)
  seen, candidates = normal(B, D), normal(B, 4, D, seed=1)
  denoise = lambda x, t: 0.5 * seen + 0.1 * x + 1e-3 * t[:, None]
  key = jax.random.key(5)
  found = jax.jit(lambda c: part.errors(denoise, c, key))(candidates)
  noise = np.asarray(jax.random.normal(key, (3, D)))
  first, hand = part.first, 0.0
  for i in range(3):
    t = first + int((i + 0.5) * (1000 - first) / 3)
    power = part.process.power[t]
    x = power**0.5 * candidates + (1 - power) ** 0.5 * noise[i]
    made = 0.5 * seen[:, None] + 0.1 * x + 1e-3 * t
    hand += ((made - candidates) ** 2).mean(-1) / 3
  np.testing.assert_allclose(found, hand, rtol=1e-5)


@pytest.mark.parametrize(
  "change, key",
  [({"steps": 600}, "q.steps 600"), ({"trials": 800}, "q.trials 800")],
)
def test_more_steps_than_trained_times_are_refused(change, key):
  QUERY.check("q.")
  with pytest.raises(ValueError, match=key):
    field.replace(QUERY, signal=0.2, **change).check("q.")
