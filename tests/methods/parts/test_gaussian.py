import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import randomness
from jmim.diffusion import targets
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided

TIMES = 10
PLAIN = gaussian.Gaussian(times=TIMES, beta_start=1e-3, beta_end=0.3)
LEARNED = gaussian.Gaussian(
  times=TIMES,
  beta_start=1e-3,
  beta_end=0.3,
  learn_variance=True,
  variance="learned",
)
RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (4, 3, 3, 2)).astype(np.float32)


def draws_of(noise, x=X, seed=0):
  return noise.draw(randomness.Keys(jax.random.key(seed)), x.shape)


def test_times_are_all_of_them_alike_and_noise_is_normal():
  big = np.zeros((5000, 2))
  draws = draws_of(PLAIN, big)
  shares = np.bincount(draws["t"], minlength=TIMES) / 5000
  np.testing.assert_allclose(shares, 1 / TIMES, atol=0.02)
  np.testing.assert_allclose(draws["noise"].std(), 1.0, atol=0.03)


def test_data_and_noise_are_mixed_with_unit_power():
  draws = draws_of(PLAIN)
  x_t, a, s = PLAIN.add(X, draws["t"], draws["noise"])
  np.testing.assert_allclose(a**2 + s**2, 1.0, rtol=1e-6)
  np.testing.assert_allclose(x_t, a * X + s * draws["noise"], atol=1e-6)
  np.testing.assert_allclose(
    a.ravel(), PLAIN.process.signal[draws["t"]], rtol=1e-6
  )


def test_the_true_noise_has_no_error_and_the_bound_is_least_with_it():
  draws = draws_of(LEARNED) | {"t": jnp.array([1, 3, 6, 9])}
  v = -jnp.ones_like(X)  # the posterior's own variance
  right = LEARNED.errors(jnp.concatenate([draws["noise"], v], -1), X, draws)
  np.testing.assert_allclose(right["mse"], 0.0)
  np.testing.assert_allclose(right["vb"], 0.0, atol=1e-5)
  off = jnp.concatenate([draws["noise"] + 0.3, v], -1)
  assert (LEARNED.errors(off, X, draws)["vb"] > 1e-4).all()
  assert set(PLAIN.errors(draws["noise"], X, draws)) == {"mse"}


def test_the_bound_teaches_the_variance_only():
  draws = draws_of(LEARNED)
  raw = jnp.asarray(RNG.normal(size=(*X.shape[:3], 4)), jnp.float32)
  grad = jax.grad(lambda r: LEARNED.errors(r, X, draws)["vb"].sum())(raw)
  assert not np.asarray(grad[..., :2]).any()
  assert np.asarray(grad[..., 2:]).any()


def test_outputs_are_one_per_channel_and_one_for_the_variance():
  assert (PLAIN.outputs, LEARNED.outputs) == (1, 2)
  assert PLAIN.end == TIMES and PLAIN.clean == 0


def test_what_does_not_go_together_is_refused():
  sampling = guided.Guided(steps=5)
  LEARNED.check(sampling)
  with pytest.raises(ValueError, match="predicts none"):
    LEARNED.check(sampling, learns=False)
  with pytest.raises(ValueError, match="without noise.learn_variance"):
    gaussian.Gaussian(variance="learned").check(sampling)
  with pytest.raises(ValueError, match="sampling steps"):
    PLAIN.check(guided.Guided(steps=TIMES + 1))


@pytest.mark.parametrize(
  "fields",
  [
    {"zero_snr": True},
    {"beta_end": 1.0},  # pure noise without being asked for
    {"times": 1000, "beta_end": 0.5},  # the signal is 0 in float32
  ],
)
def test_noise_predicted_in_pure_noise_is_refused_and_v_is_not(fields):
  noise = dataclasses.replace(PLAIN, **fields)
  for sampler in ("ddim", "ddpm", "dpmpp_2m"):
    sampling = guided.Guided(steps=5, sampler=sampler)
    with pytest.raises(ValueError, match="divides by zero"):
      noise.check(sampling)
    for kind in ("v", "x0", "velocity"):
      noise.check(sampling, kind=kind)


@pytest.mark.parametrize("kind", ["v", "x0", "velocity"])
@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "unipc"])
def test_from_pure_noise_the_right_prediction_leads_to_the_data(kind, sampler):
  """A network that knows the data (0.5 everywhere) and sees zero SNR."""
  noise = dataclasses.replace(PLAIN, zero_snr=True)
  sampling = guided.Guided(steps=5, sampler=sampler)
  data = jnp.full((3, 3, 2), 0.5)
  signal, power = noise.process.signal, noise.process.noise

  def network(x, t, condition):
    a, s = (v[t.astype(int)].reshape(-1, 1, 1, 1) for v in (signal, power))
    return targets.target(kind, data, eps=(x - a * data) / s, a=a, s=s)

  with jax.disable_jit():
    made = sampling.sample(
      noise,
      network,
      condition=(None, None),
      shape=data.shape,
      batch={"index": jnp.arange(2)},
      key=jax.random.key(0),
      kind=kind,
    )
  np.testing.assert_allclose(made, jnp.stack([data] * 2), atol=1e-4)


def test_schedules_and_samplers_without_numbers_are_refused():
  sampling = guided.Guided(steps=5)
  with pytest.raises(ValueError, match="outside"):
    dataclasses.replace(PLAIN, beta_end=1.5).check(sampling)
  with pytest.raises(ValueError, match="no noise at all"):
    dataclasses.replace(PLAIN, beta_start=1e-20).check(sampling, kind="x0")
  zero = dataclasses.replace(PLAIN, zero_snr=True)
  for name in ("heun", "dpmpp_2s"):
    with pytest.raises(ValueError, match=f"'{name}' cannot walk"):
      zero.check(guided.Guided(steps=5, sampler=name), kind="v")


@pytest.mark.parametrize("reproject", [True, False])
def test_noise_follows_a_clipped_image_or_stays(reproject):
  noise = gaussian.Gaussian(times=10, beta_start=1e-3, beta_end=0.4)
  level = noise.table(guided.Guided(steps=5)).level
  first = jax.tree.map(lambda a: float(np.asarray(a)[0]), level)
  x, eps = jnp.full((1, 1, 1, 1), 3.0), jnp.full((1, 1, 1, 1), 0.5)
  options = {"channels": 1, "clip": 1.0, "reproject": reproject}
  out = noise.output(eps, x, first, **options)
  implied = (3.0 - first.signal) / first.noise
  assert out.x0.item() == 1.0
  wanted = implied if reproject else 0.5
  np.testing.assert_allclose(out.eps.item(), wanted, rtol=1e-5)
