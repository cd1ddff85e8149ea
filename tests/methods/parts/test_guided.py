import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.diffusion import sampler
from jmim.methods.parts import flow
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided

NOISE = gaussian.Gaussian(times=12, beta_start=1e-3, beta_end=0.4)
GUIDED = guided.Guided(steps=4, guidance=3.0)
KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
COND, NULL = RNG.normal(size=(2, 2, 3, 3, 4)).astype(np.float32)


def network(x, t, label):
  """Depends on everything; label 9 stands for none."""
  scale = jnp.where(label == 9, 0.0, label + 1.0)[:, None, None, None]
  return 0.3 * jnp.tanh(x) + 0.1 * scale + 0.01 * t[:, None, None, None]


def sample(sampling=GUIDED, index=(0, 1, 2), label=(0, 1, 2)):
  label, index = jnp.asarray(label), jnp.asarray(index)
  return np.asarray(
    sampling.sample(
      NOISE,
      network,
      condition=(label, jnp.full_like(label, 9)),
      shape=(2, 2, 3),
      batch={"index": index, "label": label},
      key=KEY,
    )
  )


@pytest.mark.parametrize("sampler, eta", [("ddim", 0.0), ("ddim", 1.0)])
def test_a_sample_does_not_depend_on_the_batch_it_is_made_in(sampler, eta):
  sampling = dataclasses.replace(GUIDED, sampler=sampler, eta=eta)
  alone = sample(sampling, index=(2,), label=(2,))
  np.testing.assert_allclose(sample(sampling)[2:], alone, atol=1e-6)
  turned = sample(sampling, index=(2, 0, 1), label=(2, 0, 1))
  np.testing.assert_allclose(sample(sampling)[[2, 0, 1]], turned, atol=1e-6)


def test_a_walk_makes_the_calls_and_sees_what_a_network_adds():
  """Of both conditions, the one that is told first; its result is returned."""

  def seen(x, t, label):
    return network(x, t, label), 10.0 * label

  def walk(table, make, x, noise):
    keep = lambda level, new, out: (new, out.aux)
    return sampler.sample(table, make(seen), x, noise, keep)

  label = jnp.arange(3)
  common = dict(shape=(2, 2, 3), batch={"index": label}, key=KEY)
  for scale, told in ((3.0, [0, 10, 20, 90, 90, 90]), (1.0, [0, 10, 20])):
    sampling = dataclasses.replace(GUIDED, guidance=scale)
    none = jnp.full_like(label, 9)
    found, aux = sampling.sample(
      NOISE, network, condition=(label, none), walk=walk, **common
    )
    np.testing.assert_allclose(found, sample(sampling), atol=1e-6)
    np.testing.assert_array_equal(aux, [told] * 4)


def test_a_sample_can_begin_at_data_that_is_noised():
  """SDEdit, with a network that knows the noise: the data comes back."""
  x = RNG.normal(size=(2, 2, 2, 3)).astype(np.float32)
  a, s = NOISE.process.signal, NOISE.process.noise

  def knows(y, t, label):
    at = t.astype(int)[:, None, None, None]
    return (y - jnp.asarray(a)[at] * x) / jnp.asarray(s)[at]

  plain = guided.Guided(steps=4, clip=0.0)
  options = dict(condition=(None, None), shape=(2, 2, 3), batch={"image": x})
  edit = lambda **kw: plain.sample(NOISE, knows, key=KEY, **options, **kw)
  np.testing.assert_allclose(edit(of=x, share=0.5), x, atol=1e-4)
  # It walks the end of the path.
  near, far = NOISE.table(plain, 0.5), NOISE.table(plain)
  assert len(near) == 2 and len(far) == 4 == len(NOISE.table(plain, 1.0))
  np.testing.assert_array_equal(near.level.time, far.level.time[2:])
  zero = lambda y, t, label: 0 * y
  begun = plain.sample(NOISE, zero, key=KEY, of=x, share=0.25, **options)
  fresh = plain.sample(NOISE, zero, key=KEY, of=0 * x, share=0.25, **options)
  # Without noise to take away x0 = x / a: linear in what it began with.
  np.testing.assert_allclose(begun - fresh, x, atol=1e-5)


def test_guidance_moves_samples_and_1_is_the_conditional_network_alone():
  one, three = sample(dataclasses.replace(GUIDED, guidance=1.0)), sample()
  assert np.abs(one - three).max() > 0.01
  never = dataclasses.replace(GUIDED, guidance_interval=(2.0, 3.0))
  np.testing.assert_allclose(sample(never), one, atol=1e-5)


def test_guidance_is_of_the_first_channels_and_of_some_times_only():
  part = dataclasses.replace(GUIDED, guidance_channels=1)
  found = part.combine(COND, NULL, 0.5, channels=4)
  np.testing.assert_allclose(found[..., 1:], COND[..., 1:])
  np.testing.assert_allclose(
    found[..., 0], (3 * COND - 2 * NULL)[..., 0], atol=1e-5
  )
  late = dataclasses.replace(GUIDED, guidance_interval=(0.3, 1.0))
  np.testing.assert_allclose(
    late.combine(COND, NULL, 0.2, channels=4), COND, atol=1e-6
  )


def test_rescaled_guidance_has_the_deviation_of_the_condition():
  rescaled = dataclasses.replace(GUIDED, guidance_rescale=1.0)
  found = np.asarray(rescaled.combine(COND, NULL, 0.5, channels=3))
  axes = (1, 2, 3)
  np.testing.assert_allclose(
    found[..., :3].std(axes), COND[..., :3].std(axes), rtol=1e-5
  )
  # What is not diffused (a variance) is not rescaled.
  np.testing.assert_allclose(
    found[..., 3], (3 * COND - 2 * NULL)[..., 3], atol=1e-5
  )


def test_guidance_can_grow_and_then_is_1_at_noise():
  grown = dataclasses.replace(GUIDED, guidance_power=2.0)
  at = lambda time: grown.combine(COND, NULL, time, channels=4)
  np.testing.assert_allclose(at(1.0), COND, atol=1e-6)
  np.testing.assert_allclose(at(0.0), 3 * COND - 2 * NULL, atol=1e-5)
  scale = 1 + (1 - np.cos(np.pi * 0.7**2))
  np.testing.assert_allclose(at(0.3), NULL + scale * (COND - NULL), atol=1e-5)


@pytest.mark.parametrize("time", ["signal", "noise"])
def test_guidance_grows_towards_data_whatever_the_time_counts(time):
  """On straight paths 1 = data or 1 = noise; an interval is of that time."""
  grown = dataclasses.replace(
    GUIDED, sampler="euler", guidance_power=1.0, clip=0.0
  )
  process = flow.Flow(time=time)
  told = lambda x, t, label: jnp.zeros_like(x) + label[:, None, None, None]
  steps = lambda level, x, out: (x, out.x0)

  def walk(table, make, x, noise):
    denoise = make(told)
    clean = lambda x, level: denoise(0 * x, level)
    return sampler.sample(table, clean, x, callback=steps)[1]

  def seen(sampling):
    options = dict(condition=(jnp.ones(1), jnp.zeros(1)), shape=(1, 1, 1))
    found = sampling.sample(
      process,
      told,
      batch={"index": jnp.zeros(1, int)},
      key=KEY,
      walk=walk,
      **options,
    )
    return np.ravel(found)

  found = seen(grown)
  # At x = 0, x0 is the share of noise times the velocity.
  noise = np.array([1.0, 0.75, 0.5, 0.25])
  scale = 1 + (1 - np.cos(np.pi * (1 - noise)))
  signed = scale if time == "signal" else -scale
  np.testing.assert_allclose(found, noise * signed, atol=1e-5)
  late = dataclasses.replace(
    grown, guidance_power=0.0, guidance_interval=(0.6, 1.0)
  )
  on = noise <= 0.4 if time == "signal" else noise >= 0.6
  found = np.abs(seen(late))
  np.testing.assert_allclose(found, noise * np.where(on, 3.0, 1.0), atol=1e-5)


def test_an_interval_has_two_ends():
  with pytest.raises(ValueError, match="two times"):
    dataclasses.replace(GUIDED, guidance_interval=(0.1,)).check()


@pytest.mark.parametrize("scale", [0.0, 2.0])
def test_guidance_by_what_was_never_trained_is_refused(scale):
  some = dataclasses.replace(GUIDED, guidance=scale)
  some.check(0.1)
  some.check()  # nothing to guide by
  dataclasses.replace(GUIDED, guidance=1.0).check(0.0)
  with pytest.raises(ValueError, match="labels.drop=0"):
    some.check(0.0)


def test_the_noise_that_sampling_begins_with_can_be_changed():
  """Without any predicted noise DDIM scales its start."""
  plain = guided.Guided(steps=4, clip=0.0)
  still = lambda x, t, label: 0 * x
  options = dict(condition=(None, None), shape=(2, 2, 3), key=KEY)
  run = lambda **kw: plain.sample(
    NOISE, still, batch={"index": jnp.arange(2)}, **options, **kw
  )
  np.testing.assert_allclose(run(start=lambda n: 0.5 * n), run() / 2, rtol=1e-5)
  cold = dataclasses.replace(plain, temperature=0.5).sample(
    NOISE, still, batch={"index": jnp.arange(2)}, **options
  )
  np.testing.assert_allclose(cold, run() / 2, rtol=1e-5)
  x = RNG.normal(size=(2, 2, 2, 3)).astype(np.float32)
  quiet = run(start=lambda n: 0 * n, of=x)  # the data as the path has it first
  np.testing.assert_allclose(quiet, x, rtol=1e-4)


def test_conditions_of_unequal_length_are_two_passes_and_equal_ones_are_one():
  """The network reads the mean of what it is told, however much that is."""
  calls = []

  def told(x, t, tokens):
    calls.append(len(x))
    return (
      network(x, t, jnp.zeros(len(x))) + tokens.mean(1)[:, None, None, None]
    )

  long = jnp.asarray(RNG.normal(size=(3, 4)), jnp.float32)
  none = jnp.stack([long[:, 0]] * 4, 1)

  def made(null):
    calls.clear()
    options = dict(condition=(long, null), shape=(2, 2, 3), key=KEY)
    out = GUIDED.sample(NOISE, told, batch={"image": long}, **options)
    return np.asarray(out), set(calls)

  one, sizes = made(none)
  assert sizes == {6}
  two, sizes = made(none[:, :1])
  assert sizes == {3}
  np.testing.assert_allclose(two, one, atol=1e-5)


@pytest.mark.parametrize("clean", [0.0, 1.0])
def test_guidance_falls_on_the_way_from_noise(clean):
  cond, null = jnp.ones((1, 2, 2, 3)), jnp.zeros((1, 2, 2, 3))
  part = guided.Guided(guidance=5.0, guidance_fall=9.0)
  at = lambda way: part.combine(
    cond, null, time=abs(1 - clean - way), channels=3, clean=clean
  )
  found = [float(at(way)[0, 0, 0, 0]) for way in (0.0, 1 / 18, 0.5)]
  np.testing.assert_allclose(found, [5, 3, 1], rtol=1e-6)
  with pytest.raises(ValueError, match="guidance_fall with"):
    guided.Guided(guidance_fall=9.0, guidance_power=1.0).check()
