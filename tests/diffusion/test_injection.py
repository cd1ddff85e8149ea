"""Offsets inside a denoiser; a toy network whose middle can be moved."""

import functools

import innerkit
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.diffusion import injection
from jmim.diffusion import jacobian
from jmim.diffusion import sampler
from jmim.diffusion import schedule
from jmim.diffusion import solvers

B, STEPS = 3, 4
SOURCE = innerkit.SOURCE
TOLD = jnp.array([0, 1, 3])
X = innerkit.normal(B, *innerkit.SHAPE)
OFFSET = innerkit.normal(STEPS, *innerkit.H, seed=1)
TABLE = solvers.ddim(SOURCE.levels(STEPS, "leading"))


def opened(symmetric=True):
  return injection.Opened(
    source=SOURCE, inside=innerkit.INSIDE, told=TOLD, symmetric=symmetric
  )


NOISY = solvers.ddim(SOURCE.levels(STEPS, "leading"), 0.7)


@functools.partial(jax.jit, static_argnames="symmetric")
def sampled(x, offset, noise=None, symmetric=True):
  """The end of a walk, with noise where it is given."""
  table = TABLE if noise is None else NOISY
  denoise = opened(symmetric).denoise(offset)
  return injection.walk(table, denoise, x, noise).end


@jax.jit
def ddim(x, noise=None):
  """DDIM without anything of this module."""
  table = TABLE if noise is None else NOISY
  return sampler.sample(table, SOURCE.denoise(TOLD), x, noise)[0]


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("noisy", [False, True])
def test_offset_0_is_plain_ddim_bit_for_bit(symmetric, noisy):
  """Operation by operation: compilers contract products and sums at will."""
  noise = innerkit.normal(STEPS, *X.shape, seed=2) if noisy else None
  with jax.disable_jit():
    found = sampled(X, 0 * OFFSET, noise, symmetric=symmetric)
    wanted = ddim(X, noise)
  np.testing.assert_array_equal(found, wanted)
  found, moved = (
    sampled(X, k * OFFSET, noise, symmetric=symmetric) for k in (0, 1)
  )
  np.testing.assert_allclose(found, wanted, atol=1e-5)
  assert float(jnp.abs(moved - found).max()) > 1e-2


def test_offset_0_is_plain_ddim_bit_for_bit_as_one_program():
  np.testing.assert_array_equal(sampled(X, 0 * OFFSET), ddim(X))


def test_an_asymmetric_step_moves_the_data_alone():
  """The same by hand, from both predictions."""
  level = jacobian.level_of(TABLE, 0)
  t = jnp.full(B, level.time)
  raw = lambda offset: innerkit.INSIDE(X, t, TOLD, offset)[0]
  moved, still = raw(OFFSET[0]), raw(None)
  assert float(jnp.abs(moved - still).max()) > 0.01
  a, s = level.signal, level.noise
  x0 = (X - s * moved) / a
  for symmetric, eps in ((True, moved), (False, still)):
    out = opened(symmetric).denoise(OFFSET)(X, level)
    np.testing.assert_allclose(out.x0, x0, atol=1e-5)
    np.testing.assert_allclose(out.eps, eps, atol=1e-6)
    h = innerkit.INSIDE(X, t, TOLD, None)[1]
    np.testing.assert_allclose(out.aux, h, atol=1e-6)


def test_each_step_has_its_own_offset_and_each_example_too():
  per_example = jnp.zeros((STEPS, B, *innerkit.H)).at[2, 1].set(OFFSET[2])
  end = sampled(X, per_example) - sampled(X, 0 * per_example)
  same = np.abs(np.asarray(end)).reshape(B, -1).max(1)
  assert same[0] == same[2] == 0 and same[1] > 1e-3
  run = lambda d: injection.walk(TABLE, opened().denoise(d), X)
  late = jnp.zeros_like(OFFSET).at[2].set(OFFSET[2])
  still, moved = run(None), run(late)
  np.testing.assert_array_equal(moved.states[:3], still.states[:3])
  assert float(jnp.abs(moved.states[3] - still.states[3]).max()) > 1e-3
  np.testing.assert_array_equal(still.states[0], X)


def test_the_response_is_of_the_noise_and_its_jacobian_of_the_offset():
  level = jacobian.level_of(TABLE, 1)
  mask = injection.box(innerkit.SHAPE, (0, 0, 0.5, 0.5))
  f = opened().response(X, level, mask)
  there = jnp.zeros((B, *innerkit.H))
  t = jnp.full(B, level.time)
  wanted = mask * innerkit.INSIDE(X, t, TOLD, None)[0]
  np.testing.assert_allclose(f(there), wanted, atol=1e-6)
  whole = np.asarray(jacobian.whole(f, there))
  # A cell of h reaches the four pixels of its own cell alone.
  by_cell = whole.reshape(B, 4, 4, 3, 2, 2, 5)
  assert np.abs(by_cell[:, :2, :2, :, 0, 0]).max() > 0.01
  assert not by_cell[:, 2:].any() and not by_cell[..., 1, :].any()


def test_power_iteration_is_the_svd_of_the_explicit_jacobian():
  f = opened().response(X, jacobian.level_of(TABLE, 1))
  there = jnp.zeros((B, *innerkit.H))
  whole = np.asarray(jacobian.whole(f, there), np.float64)
  probe = innerkit.normal(B, 5, *innerkit.H, seed=4)
  found = jax.jit(lambda p: jacobian.triplets(f, there, p, 300))(probe)
  for i in range(B):
    _, values, right = np.linalg.svd(whole[i])
    np.testing.assert_allclose(found.values[i, :3], values[:3], rtol=1e-4)
    u = np.asarray(found.right[i, :3]).reshape(3, -1)
    turned = np.abs((u * right[:3]).sum(1))
    np.testing.assert_allclose(turned, 1, atol=1e-3)


@pytest.mark.parametrize(
  "steps, wanted",
  [(4, [38, 30, 20, 10, 0]), (3, [38, 26, 13, 0]), (40, [38, 39, 38])],
)
def test_the_way_back_ends_before_the_last_time(steps, wanted):
  levels = injection.backward(SOURCE.schedule, steps)
  assert len(levels) == steps
  assert levels.time[: len(wanted)].astype(int).tolist() == wanted
  np.testing.assert_array_equal(
    levels.signal, SOURCE.schedule.signal[levels.time.astype(int)]
  )


def test_ddim_there_and_back_is_nearer_with_more_steps():
  z = 0.5 * innerkit.normal(B, *innerkit.SHAPE, seed=5)
  source = innerkit.source(steps=1000)
  model = injection.Opened(source=source, inside=innerkit.INSIDE, told=TOLD)
  errors = []
  for steps in (5, 20, 80):
    levels = injection.backward(source.schedule, steps)
    x, h = injection.inverted(model, levels, z)
    assert h.shape == (steps, B, *innerkit.H)
    table = solvers.ddim(source.levels(steps, "leading"))
    back = injection.walk(table, model.denoise(), x)
    errors.append(float(jnp.abs(back.end - z).mean()))
  assert errors[0] > 2 * errors[1] > 4 * errors[2]


def test_h_of_the_way_back_is_in_the_order_of_sampling():
  levels = injection.backward(SOURCE.schedule, STEPS)
  _, h = injection.inverted(opened(), levels, X)
  first = innerkit.INSIDE(X, jnp.zeros(B), TOLD, None)[1]
  np.testing.assert_allclose(h[-1], first, atol=1e-6)


@pytest.mark.parametrize("eta", [0.4, 1.0])
def test_noises_lead_through_states_that_are_drawn_by_themselves(eta):
  table = solvers.ddim(SOURCE.levels(STEPS, "leading"), eta)
  noise = innerkit.normal(STEPS, B, *innerkit.SHAPE, seed=6)
  x, zs = injection.friendly(table, opened(), X, noise)
  assert not np.asarray(zs[-1]).any()  # into clean data none is added
  found = injection.walk(table, opened().denoise(), x, zs)
  a, s = (
    np.asarray(v).reshape(-1, 1, 1, 1, 1)
    for v in (table.level.signal, table.level.noise)
  )
  np.testing.assert_allclose(found.states, a * X + s * noise, atol=2e-4)
  # The last state is the model's own estimate of the data.
  out = opened().denoise()(found.states[-1], jacobian.level_of(table, -1))
  np.testing.assert_allclose(found.end, out.x0, atol=1e-5)


def test_eta_of_each_step():
  levels = SOURCE.levels(STEPS, "leading")
  mixed = solvers.ddim(levels, np.array([1.0, 0.0, 0.5, 1.0]))
  for i, eta in enumerate((1.0, 0.0, 0.5, 1.0)):
    one = solvers.ddim(levels, eta)
    assert mixed.std[i] == one.std[i]
    np.testing.assert_array_equal(mixed.out[i], one.out[i])
  assert not solvers.ddim(levels, np.zeros(STEPS)).stochastic
  # By hand, of the card: sqrt((1 - a') / (1 - a) (1 - a / a')).
  a = schedule.make("linear", 40, 1e-3, 0.2).power[[30, 20]]
  wanted = np.sqrt((1 - a[1]) / (1 - a[0]) * (1 - a[0] / a[1]))
  np.testing.assert_allclose(mixed.std[0], wanted, rtol=1e-9)


def test_signs_are_those_of_the_first_entry_and_of_the_first_step():
  u = np.random.default_rng(0).normal(size=(6, 3, 2, 2))
  whole = injection.pointed(u, by_step=False)
  assert (whole[:, 0, 0, 0] > 0).all()
  np.testing.assert_array_equal(np.abs(whole), np.abs(u))
  sign = np.sign(u[:, 0, 0, 0])
  np.testing.assert_array_equal(whole, u * sign[:, None, None, None])
  steps = injection.pointed(jnp.asarray(u), by_step=True)
  assert (steps[:, 0, 0, 0] > 0).all()
  assert ((steps * steps[:, :1]).sum((2, 3)) >= 0).all()
  np.testing.assert_allclose(np.abs(steps), np.abs(u), rtol=1e-6)


def test_strengths_are_innermost():
  made = injection.scaled(jnp.array([[1.0], [10.0]]), (-1.0, 2.0))
  assert made.ravel().tolist() == [-1, 2, -10, 20]
  assert injection.scaled(jnp.ones((2, 3)), ()).shape == (0, 3)


def test_a_box_counts_pixels_by_their_centres():
  found = injection.box((4, 4, 3), (0.0, 0.5, 0.5, 1.0))[..., 0]
  assert found.sum() == 4 and found[:2, 2:].all()
  assert injection.box((4, 2, 3), (0, 0, 1, 1)).shape == (4, 2, 1)
  with pytest.raises(ValueError, match="holds no pixel of 4 x 4"):
    injection.box((4, 4, 3), (0.5, 0.5, 0.55, 0.55))
  with pytest.raises(ValueError, match="top, left, bottom and right"):
    injection.box((4, 4, 3), (0.5, 0.5))


def test_what_is_apart_is_orthogonal_to_all_others():
  rng = np.random.default_rng(0)
  n, others = rng.normal(size=(2, 3, 4)), rng.normal(size=(3, 3, 4))
  found = injection.apart(n, others)
  products = found.reshape(2, -1) @ others.reshape(3, -1).T
  np.testing.assert_allclose(products, 0, atol=1e-12)
  # Of one other, as the card has it; and what depends on others adds nothing.
  one, other = n[0].ravel(), others[0].ravel()
  wanted = one - one @ other / (other @ other) * other
  np.testing.assert_allclose(
    injection.apart(n[:1], others[:1])[0].ravel(), wanted
  )
  twice = np.concatenate([others, 2 * others[:1]])
  np.testing.assert_allclose(injection.apart(n, twice), found, atol=1e-10)
