"""The adapter of DifFace on options that the given case leaves out."""

import golden_kit
import jax
import numpy as np
import numpyunet
import pytest

from jmim.convert import table
from jmim.convert.tables import _unet

CONFIG = {
  "image_size": 8,
  "diffusion_steps": 60,
  "timestep_respacing": "7",
  "start_timesteps": 3,
  "eta": 0.8,
  "gamma": 0.3,
  "in_channels": 3,
  "out_channels": 6,
  "learn_sigma": True,
  "use_scale_shift_norm": True,
  "group_norm_groups": 32,
  "group_norm_eps": 1e-5,
  "model_channels": 32,
  "channel_mult": [1, 2],
  "num_res_blocks": [1, 2],
  "attention_resolutions": [4],
  "num_head_channels": 16,
}
STEPS, START = CONFIG["diffusion_steps"], CONFIG["start_timesteps"]


@pytest.fixture(scope="module")
def adapter():
  return golden_kit.adapter("difface")


@pytest.fixture(scope="module")
def case(adapter):
  m, uniform = adapter.build(CONFIG), np.random.default_rng(5).uniform
  shapes, _ = jax.eval_shape(m.init, jax.random.key(0), {})
  trees = golden_kit.weights(shapes, scale=0.1)
  params = table.export_tree(_unet.network(m.net()), trees["main"])
  image = (2, 3, 8, 8)
  inputs = {
    "estimate": uniform(size=image),
    "y0": uniform(size=image),
    "mask": uniform(size=(2, 1, 8, 8)) < 0.5,
    "start_noise": golden_kit.normal(*image, seed=1),
    "ddim_noise": golden_kit.normal(START, *image, seed=2),
    "anc_noise": golden_kit.normal(START, *image, seed=3),
    "train_noise": golden_kit.normal(*image, seed=4),
    "train_t": np.array([0, 41]),
  }
  inputs = {
    k: v if k == "train_t" else v.astype(np.float32) for k, v in inputs.items()
  }
  return golden_kit.Asked(CONFIG, inputs, params)


@pytest.fixture(scope="module")
def network(case):
  """(x, original times) -> (e, v), in numpy."""
  p = {name: np.asarray(x, np.float64) for name, x in case.params.items()}
  words = CONFIG | {"attention_resolutions": [2]}  # factors, as the older code

  def call(x, t):
    raw = numpyunet.unet(words, p, x, np.full(len(x), t))[0]
    return np.split(raw, 2, axis=1)

  return call


@pytest.fixture(scope="module")
def got(adapter, case):
  return {name: np.asarray(x) for name, x in adapter.run(case).items()}


def process():
  """(times, abar, beta) of the seven that are kept."""
  scale = 1000 / STEPS
  power = np.cumprod(1 - np.linspace(1e-4 * scale, 0.02 * scale, STEPS))
  times = np.array([round(i * 59 / 6) for i in range(7)])
  kept = power[times]
  return times, kept, 1 - kept / np.append(1.0, kept[:-1])


def close(a, b):
  np.testing.assert_allclose(a, b, atol=2e-4 * max(1, np.abs(b).max()))


def test_times_by_their_number_keep_both_ends(got):
  times, power, beta = process()
  np.testing.assert_array_equal(got["timestep_map"], times)
  assert times[0] == 0 and times[-1] == STEPS - 1
  close(got["spaced_alphas_cumprod"], power)
  close(got["spaced_betas"], beta)


def pulled(x0, case):
  """x0 towards known pixels, as in both samplers."""
  y = 2 * case.inputs["y0"].astype(float) - 1
  away = (1 - case.inputs["mask"]) * (x0 - y)
  return (x0 - CONFIG["gamma"] * 2 * away).clip(-1, 1)


def test_known_pixels_pull_x0_and_the_noise_stays(got, case, network):
  """DDIM of any eta, a step of 0.6 of the way to known pixels."""
  times, power, _ = process()
  z = 2 * case.inputs["estimate"].astype(float) - 1
  n, noise = START, case.inputs["start_noise"]
  x = np.sqrt(power[n]) * z + np.sqrt(1 - power[n]) * noise
  close(got["x_N"], x)
  for i, extra in zip(
    reversed(range(n)), case.inputs["ddim_noise"], strict=True
  ):
    now, then = power[i], power[i - 1] if i else 1.0
    e, _ = network(x, times[i])
    x0 = ((x - np.sqrt(1 - now) * e) / np.sqrt(now)).clip(-1, 1)
    x0 = pulled(x0, case)
    std = CONFIG["eta"] * np.sqrt((1 - then) / (1 - now) * (1 - now / then))
    x = np.sqrt(then) * x0 + np.sqrt(1 - then - std**2) * e + std * extra
    close(got["ddim_trace"][n - 1 - i], x)
  close(got["restored"], (x / 2 + 0.5).clip(0, 1))


def test_ancestral_steps_have_the_learned_variance(got, case, network):
  """And the posterior's mean is of an x0 that known pixels pulled."""
  times, power, beta = process()
  before = np.append(1.0, power[:-1])
  var = beta * (1 - before) / (1 - power)
  small = np.log(np.append(var[1], var[1:]))
  x = got["x_N"].astype(float)
  for i, extra in zip(
    reversed(range(START)), case.inputs["anc_noise"], strict=True
  ):
    e, v = network(x, times[i])
    x0 = ((x - np.sqrt(1 - power[i]) * e) / np.sqrt(power[i])).clip(-1, 1)
    x0 = pulled(x0, case)
    of_x0 = beta[i] * np.sqrt(before[i]) / (1 - power[i])
    of_x = (1 - before[i]) * np.sqrt(1 - beta[i]) / (1 - power[i])
    share = (v + 1) / 2
    log_var = share * np.log(beta[i]) + (1 - share) * small[i]
    x = of_x0 * x0 + of_x * x + (i > 0) * np.exp(0.5 * log_var) * extra
  close(got["ancestral"], x)


def test_other_schedules_and_losses_are_read(adapter):
  """All times where respacing is empty."""
  more = {"noise_schedule": "cosine", "rescale_learned_sigmas": False}
  m = adapter.build(CONFIG | more | {"timestep_respacing": ""})
  assert m.noise.schedule == "cosine" and not m.rescale
  np.testing.assert_array_equal(adapter.tables(m)["timestep_map"], range(60))
  every = adapter.build(CONFIG | {"timestep_respacing": None})
  assert every.sampling.steps == 60
  fewer = CONFIG | {"learn_sigma": False, "timestep_respacing": 7}
  assert adapter.build(fewer).net().out == 3


def test_known_pixels_may_be_given_as_they_are_diffused(adapter):
  x = np.random.default_rng(0).uniform(size=(1, 3, 4, 4)).astype(np.float32)
  close(adapter.signed(x), adapter.signed(2 * x - 1))


def test_the_bound_counts_as_much_as_there_are_times(got):
  """The loss is the sum of both terms, the second of T / 1000 times L_vb."""
  total = got["train_mse"] + got["train_vb"]
  np.testing.assert_allclose(got["train_loss"], total, rtol=1e-6)
  assert (got["train_vb"] > 0).all()
