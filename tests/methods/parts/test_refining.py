"""The ways to sample, with a network that knows the image."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.diffusion import sampler as samplers
from jmim.methods.parts import coarse
from jmim.methods.parts import code_prior
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided
from jmim.methods.parts import refining
from jmim.nn.nets import block_vae

DIMS = block_vae.Dims(
  encoder="4d4,4t1,1",
  encoder_widths="4:4,1:6",
  decoder="1,1u4,1t4,4",
  decoder_widths="4:4,1:6",
)
VAE = coarse.Coarse(dims=DIMS, path="W", channels=1)
NOISE = gaussian.Gaussian(
  times=40, beta_start=1e-3, beta_end=0.2, spacing="stride", variance="large"
)
X0 = np.tanh(np.random.default_rng(0).normal(size=(1, 4, 4, 1))).astype("f4")
KEY = jax.random.key(0)


def oracle(form):
  """The exact noise in x_t if every image is X0."""

  def network(params, u, t, shown):
    del params
    x_t = VAE_OF[form].state(u, shown)
    a, s = NOISE.process.at(t.astype(int)[:, None, None, None])
    shift = shown["shift"] if form == 2 else 0.0
    return (x_t - shift - a * X0) / s

  return network


def ignoring(params, u, t, shown):
  """Some network that looks at x_t alone."""
  del params, shown
  return 0.3 * jnp.sin(3 * u) + 0.1 * t[:, None, None, None] / 40


VAE_OF = {form: dataclasses.replace(VAE, form=form) for form in (1, 2)}


def make(form=1, network=None, points=8, **sampling):
  sampling = dict(sampler="ddim", steps=8) | sampling
  return refining.Refiner(
    coarse=VAE_OF[form],
    prior=code_prior.Prior(),
    noise=NOISE,
    sampling=guided.Guided(**sampling),
    network=network or oracle(form),
    shape=(4, 4, 1),
    points=points,
  )


@pytest.fixture(scope="module")
def weights():
  const = VAE.consts()["vae"]
  return methods.Weights(
    {}, consts={"vae": jax.jit(const.init)(jax.random.key(0))}
  )


def run(refiner, name, weights, batch, key=KEY):
  return jax.jit(getattr(refiner, name))(weights, batch, key)


INDEX = {"index": jnp.arange(3)}


@pytest.mark.parametrize("form", [1, 2])
@pytest.mark.parametrize("sampler", ["ddpm", "ddim"])
@pytest.mark.parametrize("spacing", ["stride", "quadratic"])
def test_with_exact_noise_every_sample_is_the_image(
  form, sampler, spacing, weights
):
  refiner = make(form, sampler=sampler)
  noise = dataclasses.replace(NOISE, spacing=spacing)
  refiner = dataclasses.replace(refiner, noise=noise)
  made = run(refiner, "sample", weights, INDEX)
  np.testing.assert_allclose(made, np.repeat(X0, 3, 0), atol=2e-4)


def posterior(x, eps, c, *, level, z):
  """DiffuseVAE's form 2, step by step: k1, k2 and (1 - k2) c."""
  power, before = level.signal**2, level.to_signal**2
  beta = 1 - power / before
  x0 = (x - c - np.sqrt(1 - power) * eps) / np.sqrt(power)
  x0 = np.clip(x0, -1, 1)
  k1 = beta * np.sqrt(before) / (1 - power)
  k2 = np.sqrt(1 - beta) * (1 - before) / (1 - power)
  return k1 * x0 + k2 * x + (1 - k2) * c + np.sqrt(beta) * z


def ddim(x, eps, c, level):
  """DiffuseVAE's form 2 without noise, as the card has it."""
  power, before = level.signal**2, level.to_signal**2
  x0 = (x - c - np.sqrt(1 - power) * eps) / np.sqrt(power)
  x0, r = np.clip(x0, -1, 1), np.sqrt(1 - before)
  root = np.sqrt(1 - power)
  return np.sqrt(before) * x0 + r * (eps + c / root) + (1 - r / root) * c


@pytest.mark.parametrize("sampler", ["ddpm", "ddim"])
def test_one_step_of_form_2_is_that_of_the_paper(sampler, normal):
  """The plain step of u = x - c, with c added again."""
  refiner = make(2, sampler=sampler)
  table = NOISE.table(refiner.sampling)
  level = type(table.level)(
    *(np.asarray(a)[3] if np.ndim(a) == 1 else a for a in table.level)
  )
  x, eps, c, z = (
    0.5 * normal(2, 4, 4, 1, seed=i).astype(np.float64) for i in range(4)
  )
  level = level._replace(scales=tuple(s[3] for s in table.level.scales))
  out = NOISE.output(eps, x - c, level, channels=1, clip=1.0, reproject=False)
  row = table.out[3]
  u = row[0] * (x - c) + row[2] * out.eps + row[3] * out.x0
  made = u + c + table.std[3] * z
  wanted = (
    posterior(x, eps, c, level=level, z=z)
    if sampler == "ddpm"
    else ddim(x, eps, c, level)
  )
  np.testing.assert_allclose(made, wanted, atol=1e-5)


def test_ddim_with_exact_noise_follows_the_marginals_of_form_2(normal):
  """x_t' = a' x0 + s' eps + c, whatever the steps between."""
  table = NOISE.table(make(2).sampling)
  eps, c = normal(1, 4, 4, 1), normal(1, 4, 4, 1, seed=1)
  level = table.level

  def denoise(u, level):
    t = jnp.full(1, level.time)
    raw = oracle(2)(None, u, t, {"shift": c})
    options = dict(channels=1, clip=1.0, reproject=False)
    return NOISE.output(raw, u, level, **options)

  start = level.signal[0] * X0 + level.noise[0] * eps
  _, seen = samplers.sample(
    table, denoise, jnp.asarray(start, "f4"), callback=samplers.trajectory
  )
  ends = zip(level.to_signal, level.to_noise, seen["x"], strict=True)
  for a, s, u in ends:
    x = VAE_OF[2].state(u, {"shift": c})
    np.testing.assert_allclose(x, a * X0 + s * eps + c, atol=1e-4)
  # At the end, what is left is x0 + c: c is no part of the image.
  np.testing.assert_allclose(seen["x"][-1], X0, atol=1e-4)


def test_without_a_shift_form_2_is_form_1_of_a_network_that_ignores_it(weights):
  """c = 0: a decoder whose image is grey."""
  grey = jax.tree.map(jnp.zeros_like, weights.consts["vae"]["decoder"])
  held = methods.Weights(
    {}, consts={"vae": {**weights.consts["vae"], "decoder": grey}}
  )
  assert not np.any(VAE.decode(held, jnp.ones((1, 6))))
  one, two = (
    run(make(form, ignoring, sampler="ddpm"), "sample", held, INDEX)
    for form in (1, 2)
  )
  np.testing.assert_allclose(one, two, atol=1e-6)
  again = run(make(1, ignoring, sampler="ddpm"), "sample", weights, INDEX)
  np.testing.assert_allclose(one, again, atol=1e-6)


def test_guidance_is_that_of_the_paper_around_the_same_shift(weights):
  """(1 + w) e(c) - w e(0): linear in what stands beside."""

  def network(params, u, t, shown):
    del params, t
    return 0.1 * u + shown["image"]

  plain = make(2, network)
  raw = {}

  def seen(raw_, x, level):
    raw["e"] = raw_
    return NOISE.output(raw_, x, level, channels=1, clip=0.0)

  code = jnp.ones((2, 6))
  shown, none = plain.coarse.guiding(weights, code)
  level = NOISE.table(plain.sampling).level
  first = jax.tree.map(lambda a: jnp.asarray(np.asarray(a)[0]), level)
  u = jnp.ones((2, 4, 4, 1))
  sampling = dataclasses.replace(plain.sampling, guidance=1 + 0.7)
  denoise = sampling.denoiser(
    lambda x, t, s: network(None, x, t, s),
    seen,
    condition=(shown, none),
    end=NOISE.end,
    channels=1,
  )
  denoise(u, first)
  wanted = 1.7 * (0.1 * u + shown["image"]) - 0.7 * 0.1 * u
  np.testing.assert_allclose(raw["e"], wanted, rtol=1e-5, atol=1e-6)


def last_noise(params, u, t, shown):
  """No noise at all: DDIM scales the start."""
  del params, t, shown
  return 0 * u


def test_the_temperature_scales_the_noise_that_sampling_begins_in(weights):
  refiner = make(1, last_noise, clip=0.0)
  one = run(refiner, "sample", weights, INDEX)
  half = run(
    make(1, last_noise, clip=0.0, temperature=0.5), "sample", weights, INDEX
  )
  np.testing.assert_allclose(half, 0.5 * one, rtol=1e-5)


def test_samples_are_of_their_number_and_conditions_of_their_sample(weights):
  refiner = make(1, lambda p, u, t, shown: u - shown["image"])
  several = run(refiner, "sample", weights, INDEX)
  alone = run(refiner, "sample", weights, {"index": jnp.array([2])})
  np.testing.assert_allclose(alone[0], several[2], atol=1e-5)
  code, _ = refiner.codes(weights, INDEX, jax.random.split(KEY)[0])
  given = run(refiner, "sample", weights, INDEX | {"code": code})
  np.testing.assert_allclose(given, several, atol=1e-6)
  c = run(refiner, "condition", weights, INDEX)
  np.testing.assert_allclose(c, VAE.decode(weights, code), atol=1e-6)


def test_codes_vary_under_one_noise(weights):
  """The noise of number 0 for all: what differs is the code."""
  refiner = make(1, last_noise, clip=0.0)
  made = np.asarray(run(refiner, "vary", weights, INDEX))
  np.testing.assert_array_equal(made, made[:1].repeat(3, 0))
  first = run(refiner, "sample", weights, INDEX)
  np.testing.assert_allclose(made[0], first[0], atol=1e-6)
  assert np.abs(first[0] - first[1]).max() > 0.1


def test_interpolation_moves_the_code_or_the_noise_and_begins_alike(weights):
  shares = {"share": jnp.array([0.0, 0.5, 1.0])}
  refiner = make(1, last_noise, clip=0.0)
  made = run(refiner, "interpolate", weights, shares)
  still, moved = np.asarray(made["code"]), np.asarray(made["noise"])
  np.testing.assert_array_equal(still, still[:1].repeat(3, 0))
  np.testing.assert_allclose(moved[0], still[0], atol=1e-6)
  # On the circle: halfway, both ends count alike and the variance stays.
  np.testing.assert_allclose(
    moved[1], (moved[0] + moved[2]) / np.sqrt(2), atol=1e-4
  )
  seen = make(1, lambda p, u, t, shown: u - 0.1 * shown["image"], clip=0.0)
  codes = np.asarray(run(seen, "interpolate", weights, shares)["code"])
  ends = run(seen, "vary", weights, {"index": jnp.arange(2)})
  np.testing.assert_allclose(codes[[0, 2]], ends, atol=1e-5)
  assert np.abs(codes[1] - codes[0]).max() > 1e-6


def test_a_share_is_of_the_number_and_not_of_the_batch(weights):
  refiner = make(
    1, lambda p, u, t, shown: u - 0.1 * shown["image"], clip=0.0, points=3
  )
  numbers = {"index": jnp.arange(4)}
  whole = run(refiner, "interpolate", weights, numbers)
  part = run(refiner, "interpolate", weights, {"index": jnp.arange(1, 3)})
  given = {"share": jnp.array([0.0, 0.5, 1.0, 0.0])}
  want = run(refiner, "interpolate", weights, numbers | given)
  for name in ("code", "noise"):
    np.testing.assert_allclose(whole[name], want[name], atol=1e-6)
    np.testing.assert_allclose(whole[name][1:3], part[name], atol=1e-5)
    assert np.abs(whole[name][1] - whole[name][0]).max() > 1e-6


@pytest.mark.parametrize("form", [1, 2])
def test_restoring_begins_at_the_noised_image(form, weights, normal):
  """A network that finds the noise of that image gives it back."""
  x = np.tanh(normal(2, 4, 4, 1, seed=5))

  def network(params, u, t, shown):
    del params, shown
    a, s = NOISE.process.at(t.astype(int)[:, None, None, None])
    return (u - a * x) / s

  made = run(make(form, network), "restore", weights, {"image": x})
  np.testing.assert_allclose(made["image"], x, atol=2e-4)
  # Nothing denoised: what comes out is the start, noised to the first time.
  still = make(form, last_noise, clip=0.0)
  made = run(still, "restore", weights, {"image": x})["image"]
  level = NOISE.table(still.sampling).level
  start = made * level.signal[0]
  apart = np.asarray(start) - level.signal[0] * x
  assert 0.3 < apart.std() / level.noise[0] < 2.0


def test_its_outputs_have_names():
  names = {"sample", "condition", "restore", "vary", "interpolate"}
  assert set(make().outputs()) == names
