import numpy as np
import pytest

from jmim.metrics import latents


def test_the_std_of_samples_of_gaussian_posteriors():
  rng = np.random.default_rng(0)
  mean, log_var = rng.normal(1.0, 2.0, (2, 60, 4, 4, 3))
  seen = latents.Moments()
  for i in range(0, 60, 7):  # in parts
    part = np.concatenate([mean[i : i + 7], log_var[i : i + 7]], -1)
    seen.add(part.astype(np.float32), gaussian=True)
  # var z = E var + var mean, over all numbers.
  want = np.sqrt(np.exp(log_var).mean() + mean.var())
  assert seen.n == mean.size and seen.std == pytest.approx(want, rel=1e-5)


def test_without_variances_it_is_the_std_of_the_numbers():
  x = np.random.default_rng(1).normal(-3.0, 0.5, (20, 2, 2, 4))
  seen = latents.Moments()
  seen.add(x, gaussian=False)
  assert seen.std == pytest.approx(x.std())
  assert str(seen) == f"latents: std {x.std():.5g}, scale {1 / x.std():.5g}"


def test_log_variances_are_clipped_as_the_posterior_is_sampled():
  seen = latents.Moments()
  seen.add(np.array([[[[0.0, 1000.0]]]]), gaussian=True)
  assert seen.std == pytest.approx(np.exp(10.0))


def test_channels_have_their_own_mean_and_unbiased_deviation():
  rng = np.random.default_rng(2)
  mean = rng.normal((3.0, -1.0), (2.0, 0.5), (30, 4, 4, 2))
  log_var = rng.normal(0.0, 1.0, mean.shape)
  seen = latents.Moments()
  seen.add(np.concatenate([mean, log_var], -1), gaussian=True)
  n = 30 * 16
  np.testing.assert_allclose(seen.channels[0], mean.mean((0, 1, 2)))
  var = mean.var((0, 1, 2)) + np.exp(log_var).mean((0, 1, 2))
  np.testing.assert_allclose(seen.channels[1] ** 2, var * n / (n - 1))
  assert seen.dead == []
  plain = latents.Moments()
  plain.add(mean, gaussian=False)
  wanted = mean.reshape(-1, 2).std(0, ddof=1)
  np.testing.assert_allclose(plain.channels[1], wanted)


def test_channels_of_clips_are_those_of_their_frames():
  x = np.random.default_rng(4).normal((3.0, -1.0), size=(5, 3, 4, 4, 2))
  clips, frames = latents.Moments(), latents.Moments()
  clips.add(x, gaussian=False)
  frames.add(x.reshape(15, 4, 4, 2), gaussian=False)
  np.testing.assert_allclose(clips.channels, frames.channels)
  assert clips.n == frames.n


def test_channels_that_never_change_are_named():
  x = np.random.default_rng(3).normal(size=(4, 2, 2, 3))
  x[..., 1] = 0.1
  seen = latents.Moments()
  seen.add(x, gaussian=False)
  assert seen.dead == [1]


def test_codes_are_counted():
  seen = latents.Codes(np.zeros(5, int))
  seen.add(np.array([[0, 3], [3, 3]]), gaussian=False)
  seen.add(np.array([[4, 0]]), gaussian=False)
  assert seen.counts.tolist() == [2, 0, 0, 3, 1]
  assert str(seen) == "codes: 3 of 5 used"
