import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import randomness
from jmim.methods.parts import flow
from jmim.methods.parts import guided

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (4, 3, 3, 2)).astype(np.float32)
TIMES = ("signal", "noise")


def draws_of(noise, shape=X.shape):
  return noise.draw(randomness.Keys(jax.random.key(0)), shape)


@pytest.mark.parametrize("time", TIMES)
def test_paths_are_straight_and_the_velocity_is_their_slope(time):
  noise = flow.Flow(time=time)
  draws = draws_of(noise)
  x_t, a, s = noise.add(X, draws["t"], draws["noise"])
  np.testing.assert_allclose(a + s, 1.0, rtol=1e-6)
  step = 1e-2
  later, _, _ = noise.add(X, draws["t"] + step, draws["noise"])
  slope = noise.velocity(X, draws["noise"])
  np.testing.assert_allclose((later - x_t) / step, slope, atol=1e-3)
  # At the end of the data, the data.
  end = jnp.full(4, noise.clean)
  np.testing.assert_allclose(noise.add(X, end, draws["noise"])[0], X, atol=1e-6)


def test_the_two_directions_are_each_other_mirrored():
  there, back = (flow.Flow(time=t) for t in TIMES)
  draws = draws_of(there)
  other = 1 - draws["t"]
  np.testing.assert_allclose(
    there.add(X, draws["t"], draws["noise"])[0],
    back.add(X, other, draws["noise"])[0],
    atol=1e-6,
  )
  np.testing.assert_allclose(
    there.velocity(X, draws["noise"]), -back.velocity(X, draws["noise"])
  )


def test_times_are_logit_normal_or_uniform():
  for uniform, inner in ((False, 0.683), (True, 0.462)):
    # Within sigmoid(-1) .. sigmoid(1): one deviation, or their distance.
    t = np.asarray(draws_of(flow.Flow(uniform=uniform), (4000, 2))["t"])
    share = np.mean(np.abs(t - 0.5) < 1 / (1 + np.exp(-1.0)) - 0.5)
    np.testing.assert_allclose(share, inner, atol=0.03)


def test_only_the_first_channels_are_the_velocity():
  noise, draws = flow.Flow(spare=True), draws_of(flow.Flow())
  v = noise.velocity(X, draws["noise"])
  raw = jnp.concatenate([v, 9 * jnp.ones_like(v)], -1)
  np.testing.assert_array_equal(noise.errors(raw, X, draws)["flow"], 0.0)
  assert noise.outputs == 2


def test_errors_are_one_number_per_clip():
  clips = np.stack([X, 2 * X], 1)  # [b, t, h, w, c]
  noise, draws = flow.Flow(), draws_of(flow.Flow(), clips.shape)
  off = np.arange(4, dtype=np.float32)[:, None, None, None, None]
  raw = noise.velocity(clips, draws["noise"]) + off
  found = noise.errors(raw, clips, draws)["flow"]
  np.testing.assert_allclose(found, [0, 1, 4, 9], rtol=1e-4, atol=1e-10)


def test_samplers_that_need_a_posterior_are_refused():
  with pytest.raises(ValueError, match="straight paths"):
    flow.Flow().check(guided.Guided(sampler="ddpm"))
  flow.Flow().check(guided.Guided(sampler="euler"))


def test_a_share_of_the_path_ends_at_the_data():
  sampling = guided.Guided(sampler="euler", steps=8)
  whole = flow.Flow().table(sampling)
  part = flow.Flow().table(sampling, 0.25)
  assert len(part) == 2
  np.testing.assert_array_equal(part.level.signal, whole.level.signal[6:])
  np.testing.assert_array_equal(part.level.to_noise, whole.level.to_noise[6:])


def test_a_sampler_may_walk_between_linear_quadratic_times():
  noise = flow.Flow(grid="linear_quadratic")
  sampling = guided.Guided(sampler="euler", steps=19)
  noise.check(sampling)
  times = noise.levels(19).time
  assert len(times) == 20 and (np.asarray(times)[:10] <= 0.05 + 1e-9).all()
  with pytest.raises(ValueError, match=r"sampling.steps 20 .* odd"):
    noise.check(guided.Guided(sampler="euler", steps=20))
  np.testing.assert_allclose(flow.Flow().levels(4).time, np.arange(5) / 4)


@pytest.mark.parametrize("k", [0.25, 3.0])
def test_training_times_can_be_shifted(k):
  t = draws_of(flow.Flow(), (4000, 1))["t"]
  moved = draws_of(flow.Flow(drawn_shift=k), (4000, 1))["t"]
  np.testing.assert_allclose(moved, t / (t + k * (1 - t)), rtol=1e-6)
  np.testing.assert_allclose(np.median(moved), 1 / (1 + k), atol=0.02)


def test_errors_are_means_over_all_but_the_batch():
  clips = RNG.normal(size=(3, 2, 4, 4, 3)).astype(np.float32)
  noise, raw = flow.Flow(), RNG.normal(size=clips.shape)
  draws = draws_of(noise, clips.shape)
  found = noise.errors(raw, clips, draws)["flow"]
  gap = raw - (clips - draws["noise"])
  np.testing.assert_allclose(found, (gap**2).mean((1, 2, 3, 4)), rtol=1e-5)


def test_training_times_can_be_dense_at_both_ends():
  keys = randomness.Keys(jax.random.key(0))
  t = np.asarray(flow.Flow(ends=5.0).draw(keys, (20000, 1))["t"])
  counts = np.histogram(t, 5, (0, 1))[0] / len(t)
  edges = np.sinh(5 * (np.linspace(0, 1, 6) - 0.5)) / (2 * np.sinh(2.5))
  np.testing.assert_allclose(counts, np.diff(edges), atol=0.01)
  assert counts[0] > 3 * counts[2]
  both = flow.Flow(ends=5.0, uniform=True)
  with pytest.raises(ValueError, match="noise.ends 5.0 with noise.uniform"):
    both.check(guided.Guided(sampler="euler"))
