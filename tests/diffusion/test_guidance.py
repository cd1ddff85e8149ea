import jax.numpy as jnp
import numpy as np
import pytest
import walks

from jmim.diffusion import guidance
from jmim.diffusion import sampler
from jmim.diffusion import solvers

COND, NULL = walks.RNG.normal(size=(2, 3, 4, 4, 5)).astype(np.float32)


@pytest.mark.parametrize("eps", [0.0, 1.0])
def test_inpainting_keeps_what_is_known(eps):
  mask = np.zeros((1, 4, 4, 1), np.float32)
  mask[:, :2] = 1
  noise = eps * walks.RNG.normal(size=walks.SHAPE).astype(np.float32)
  table = solvers.ddim(walks.PATH, eta=1.0)

  def callback(level, x, out):
    x, _ = guidance.inpaint(walks.X0, mask, noise)(level, x, out)
    return x, (x, level.to_signal, level.to_noise)

  found, (seen, a, s) = sampler.sample(
    table,
    walks.network,
    x=walks.START,
    noise=walks.noise_of(table),
    callback=callback,
  )
  np.testing.assert_allclose(found[:, :2], walks.X0[:, :2], atol=1e-6)
  known = (
    a.reshape(-1, 1, 1, 1, 1) * walks.X0 + s.reshape(-1, 1, 1, 1, 1) * noise
  )
  np.testing.assert_allclose(seen[:, :, :2], known[:, :, :2], atol=1e-6)
  free = walks.run(table)
  assert np.abs(found[:, 2:] - free[:, 2:]).max() > 1e-3


def test_guidance_1_is_conditional_and_0_is_null():
  np.testing.assert_allclose(guidance.combine(COND, NULL, 1.0), COND, atol=1e-6)
  np.testing.assert_array_equal(guidance.combine(COND, NULL, 0.0), NULL)
  np.testing.assert_allclose(
    guidance.combine(COND, NULL, 3.0), 3 * COND - 2 * NULL, atol=1e-5
  )


def test_guidance_of_the_first_channels_leaves_the_others():
  found = guidance.combine(COND, NULL, 3.0, channels=3)
  np.testing.assert_allclose(found[..., 3:], COND[..., 3:])
  whole = guidance.combine(COND, NULL, 3.0)
  np.testing.assert_allclose(found[..., :3], whole[..., :3])
  null_half = guidance.combine(COND, NULL, 3.0, channels=3, rest=NULL)
  np.testing.assert_allclose(null_half[..., 3:], NULL[..., 3:])


def test_guidance_that_falls_to_1():
  time = np.asarray([0.0, 1 / 18, 1 / 9, 0.5, 1.0])
  found = guidance.falling(5.0, time, 9.0)
  np.testing.assert_allclose(found, [5, 3, 1, 1, 1], atol=1e-6)


@pytest.mark.parametrize("clean", [0.0, 1.0])
def test_a_schedule_grows_towards_data_between_two_times(clean):
  plain = dict(power=1.0, fall=0.0, between=(0.0, 1.0), clean=clean)
  at = lambda time, **kw: float(guidance.scheduled(3.0, time, **(plain | kw)))
  np.testing.assert_allclose([at(clean), at(1 - clean)], [3, 1], atol=1e-6)
  assert 1 < at(abs(clean - 0.7)) < at(abs(clean - 0.3)) < 3
  assert at(0.7, power=0.0) == 3
  off = dict(power=0.0, between=(0.5, 1.0))
  assert (at(0.4, **off), at(0.6, **off)) == (1, 3)


def test_guidance_interval_and_rescale():
  times = np.array([0.0, 100.0, 500.0, 600.0])
  np.testing.assert_array_equal(
    guidance.interval(3.0, times, 100, 500), [1, 3, 3, 1]
  )
  guided = guidance.combine(COND, NULL, 7.0)
  np.testing.assert_array_equal(guidance.rescale(guided, COND, 0.0), guided)
  full = guidance.rescale(guided, COND, 1.0)
  np.testing.assert_allclose(
    full.std((1, 2, 3)), COND.std((1, 2, 3)), rtol=1e-5
  )


def test_guidance_that_grows_from_noise_to_data():
  times = np.linspace(0, 1, 5)
  found = guidance.power_cosine(3.0, times, 1.0)
  wanted = 2 + np.cos(np.pi * times)
  np.testing.assert_allclose(found, wanted, atol=1e-6)
  late = np.asarray(guidance.power_cosine(3.0, times, 4.0))
  np.testing.assert_allclose(late[[0, -1]], [3, 1], atol=1e-6)
  assert (late[1:-1] < found[1:-1]).all() and (np.diff(late) < 0).all()


def test_both_predictions_are_made_by_one_call():
  """What a network gives beside them is handed on, of both."""
  x, t = jnp.ones((2, 3)), jnp.arange(2.0)
  plain = lambda x, t, c: x * c[:, None] + t[:, None]
  more = lambda x, t, c: (plain(x, t, c), 10 * c)
  label, none = jnp.asarray([1.0, 2.0]), jnp.zeros(2)
  for network, wanted in ((plain, None), (more, [10.0, 20.0, 0.0, 0.0])):
    cond, null, aux = guidance.twice(network, x, t=t, cond=label, null=none)
    np.testing.assert_array_equal(cond, plain(x, t, label))
    np.testing.assert_array_equal(null, plain(x, t, none))
    assert aux is None if wanted is None else list(aux) == wanted
