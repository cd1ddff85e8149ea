import jax
import jax.numpy as jnp
import numpy as np
import pytest
import walks

from jmim.diffusion import multistep
from jmim.diffusion import sampler
from jmim.diffusion import solvers
from jmim.diffusion import targets


@pytest.mark.parametrize("name", ["ddpm", "ddim", "dpmpp_2m"])
def test_a_path_can_be_walked_in_parts(name):
  make = lambda p: solvers.make(name, p, eta=0.5)
  whole = make(walks.PATH)
  z = walks.noise_of(whole)
  wanted, record = sampler.sample(
    whole, walks.network, x=walks.START, noise=z, callback=sampler.trajectory
  )
  half, _ = sampler.sample(
    make(walks.PATH.part(0, 5)), walks.network, walks.START, z[:5]
  )
  np.testing.assert_allclose(half, record["x"][4], atol=1e-5)
  if whole.memory == 1:  # a multi-step sampler starts over where it was cut
    rest, _ = sampler.sample(
      make(walks.PATH.part(5)), walks.network, half, z[5:]
    )
    # Two programs, whose roundings differ; the values go beyond 100.
    np.testing.assert_allclose(rest, wanted, rtol=2e-6, atol=1e-5)


@pytest.mark.parametrize("name", ["ddim", "ddpm"])
def test_a_table_can_be_cut(name):
  table = solvers.make(name, walks.PATH)
  z = walks.noise_of(table)
  x = walks.START
  for start, stop in ((0, 5), (5, 6), (6, len(table))):
    part = table.part(start, stop)
    assert len(part) == stop - start
    x, _ = sampler.sample(part, walks.network, x, z[start:stop])
  np.testing.assert_allclose(x, walks.run(table), rtol=2e-6, atol=1e-5)


@pytest.mark.parametrize("name", ["dpmpp_2m", "heun"])
def test_a_sampler_that_remembers_is_not_cut(name):
  with pytest.raises(ValueError, match="remembers"):
    solvers.make(name, walks.PATH).part(0, 2)


def test_a_still_table_adds_no_noise():
  """As with noise of 0, and none is asked for."""
  table = solvers.make("ddim", walks.PATH, eta=1.0)
  assert table.stochastic and not table.still().stochastic
  zero = np.zeros_like(walks.noise_of(table))
  wanted, _ = sampler.sample(table, walks.network, walks.START, zero)
  found, _ = sampler.sample(table.still(), walks.network, walks.START)
  np.testing.assert_allclose(found, wanted, rtol=2e-6, atol=1e-5)


def test_noise_may_be_a_function_of_the_call():
  table = solvers.ddpm(walks.PATH)
  z = jnp.asarray(walks.noise_of(table))
  found, _ = sampler.sample(table, walks.network, walks.START, lambda i: z[i])
  np.testing.assert_allclose(found, walks.run(table), atol=1e-6)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_what_is_drawn_is_what_the_sampler_asks_for(eta):
  table = solvers.make("ddim", walks.PATH, eta=eta)
  keys = lambda name: jax.random.fold_in(jax.random.key(0), len(name))
  drawn = table.draw(keys, (2, 3))
  start = jax.random.normal(keys("start"), (2, 3))
  np.testing.assert_array_equal(drawn.pop("start"), start)
  if eta:
    noise = drawn.pop("noise")
    assert noise.shape == (len(table), 2, 3) and np.ptp(noise, 0).all()
  assert not drawn


def test_missing_or_wrong_noise_is_refused():
  table = solvers.ddpm(walks.PATH)
  with pytest.raises(ValueError, match="needs noise"):
    sampler.sample(table, walks.network, walks.START)
  with pytest.raises(ValueError, match="noise of 3 calls for 12"):
    sampler.sample(table, walks.network, walks.START, walks.noise_of(table)[:3])


def test_noise_is_recovered_from_a_path():
  table = solvers.ddim(walks.PATH, eta=1.0)
  path = walks.RNG.normal(size=(13, *walks.SHAPE)).astype(np.float32)
  z = sampler.noises(table, walks.network, path)
  found, record = sampler.sample(
    table, walks.network, x=path[0], noise=z, callback=sampler.trajectory
  )
  np.testing.assert_allclose(record["x"][:-1], path[1:-1], atol=2e-3)
  with pytest.raises(ValueError, match="one call"):
    sampler.noises(multistep.dpmpp_2m(walks.PATH), walks.network, path)


def test_callbacks_see_levels_and_may_change_the_state():
  def callback(level, x, out):
    return x * 0.5, (level.time, level.to_noise, out.x0.mean())

  table = solvers.ddim(walks.PATH)
  x, (times, to_noise, means) = sampler.sample(
    table, walks.oracle, walks.START, callback=callback
  )
  np.testing.assert_allclose(times, walks.PATH.time[:-1])
  np.testing.assert_allclose(to_noise, walks.PATH.noise[1:], rtol=1e-6)
  np.testing.assert_allclose(means, [walks.X0.mean()] * 12, rtol=1e-4)
  np.testing.assert_allclose(x, walks.X0 / 2, atol=1e-5)


def test_records_may_be_added_up_on_the_way():
  table = solvers.ddpm(walks.PATH)
  run = lambda **more: sampler.sample(
    table,
    walks.network,
    x=walks.START,
    noise=walks.noise_of(table),
    callback=sampler.trajectory,
    **more,
  )
  (end, each), (same, total) = run(), run(summed=True)
  np.testing.assert_allclose(same, end, rtol=1e-6, atol=1e-6)
  for name in ("x", "x0"):
    assert total[name].shape == end.shape
    np.testing.assert_allclose(
      total[name], each[name].sum(0), rtol=1e-4, atol=1e-3
    )


def test_sampling_is_differentiable():
  def last(scale):
    denoise = lambda x, level: targets.output(
      "x0", scale * walks.X0, x=x, a=level.signal, s=level.noise
    )
    return sampler.sample(multistep.dpmpp_2m(walks.PATH), denoise, walks.START)[
      0
    ].sum()

  np.testing.assert_allclose(jax.grad(last)(1.0), walks.X0.sum(), rtol=1e-4)
