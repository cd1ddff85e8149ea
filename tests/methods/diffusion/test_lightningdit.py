import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import discovery
from jmim.core import field
from jmim.core import method as methods
from jmim.core import tree as trees
from jmim.diffusion import sampler

LIGHTNING = discovery.find("diffusion.lightningdit")


@pytest.fixture(scope="module")
def given(fill):
  """(method, shaken parameters, batch)."""
  m, rng = LIGHTNING.tiny(), np.random.default_rng(0)
  image = rng.normal(size=(2, 8, 8, 3)).astype(np.float32)
  batch = {"image": jnp.asarray(image), "label": jnp.asarray([0, 2])}
  return m, jax.device_put(fill(m, batch, scale=0.2)[0]), batch


def test_the_velocity_is_zero_at_the_start(given):
  m, _, batch = given
  params, _ = jax.jit(m.init)(jax.random.key(0), batch)
  v = jax.jit(m.network)(params, batch["image"], jnp.ones(2), batch["label"])
  np.testing.assert_array_equal(v, 0)


def test_each_option_is_in_the_parameters(given):
  m, params, batch = given
  names = set(trees.named(params))
  some = lambda **kw: set(
    trees.named(
      jax.eval_shape(
        dataclasses.replace(m, **kw).init, jax.random.key(0), batch
      )[0]
    )
  )
  assert {n for n in names if "norm" in n} - some(norm="layer") == {
    "main/blocks/layers/norm1/scale",
    "main/blocks/layers/norm2/scale",
    "main/norm/scale",
  }
  assert any("mlp/fc1" in n for n in some(swiglu=False))
  assert not any("q_norm" in n for n in some(qk_norm=False))
  flat = dataclasses.replace(m, rotary=False)
  x, u = batch["image"], jnp.full(2, 0.5)
  turned, plain = (n.network(params, x, u, batch["label"]) for n in (m, flat))
  # Scales of 0.2 make all attention nearly even: the change is small.
  assert np.abs(turned - plain).max() > 1e-4 * np.abs(plain).max()


def test_without_shifts_a_block_has_four_parts_of_six(given):
  m, _, batch = given
  bare = dataclasses.replace(m, adaln_shift=False)
  shapes = lambda m: {
    n: x.shape
    for n, x in trees.named(
      jax.eval_shape(m.init, jax.random.key(0), batch)[0]
    ).items()
    if "modulation" in n and n.endswith("kernel")
  }
  whole, four = shapes(m), shapes(bare)
  changed = {n for n in whole if whole[n] != four[n]}
  # The last layer keeps its shift and scale.
  assert len(changed) == 1 and len(whole) == 2
  (name,) = changed
  assert (whole[name][-1], four[name][-1]) == (6 * 32, 4 * 32)


def test_without_a_shift_steps_are_even_and_a_constant_velocity_is_exact(given):
  m, _, _ = given
  even = field.replace(m, noise={"shift": 1.0}, sampling={"steps": 7})
  table = even.noise.table(even.sampling)
  times = np.append(table.level.time, table.level.to_signal[-1])
  np.testing.assert_allclose(times, np.linspace(0, 1, 8), atol=1e-6)
  # x = eps + u v for every shift and number of steps.
  v, eps = np.random.default_rng(0).normal(size=(2, 1, 2, 2, 3))
  for shift, steps in ((1.0, 3), (0.3, 5)):
    one = field.replace(m, noise={"shift": shift}, sampling={"steps": steps})
    output = lambda x, level, one=one: one.noise.output(
      jnp.asarray(v), x, level, channels=3, clip=0.0
    )
    made, _ = sampler.sample(
      one.noise.table(one.sampling), output, jnp.asarray(eps)
    )
    np.testing.assert_allclose(made, eps + v, rtol=1e-4, atol=1e-5)


def test_the_loss_knows_no_guidance(given):
  m, params, batch = given
  draws = m.drawn(jax.random.key(1), batch)
  guided = field.replace(
    m, sampling={"guidance": 9.0, "guidance_interval": (0.5, 0.6)}
  )
  one, other = (
    x.loss(methods.Weights(params), batch, draws, 0)[0] for x in (m, guided)
  )
  assert one == other


def test_guidance_acts_from_its_start_only(given):
  m, params, batch = given
  guided = lambda start: field.replace(
    m, sampling={"guidance": 4.0, "guidance_interval": (start, 1.0)}
  )
  late, early = guided(1.1), guided(0.0)
  key = jax.random.key(0)
  draw = lambda m: m.sample(methods.Weights(params), batch, key)
  plain = draw(m)
  np.testing.assert_allclose(draw(late), plain, atol=1e-5)
  assert np.abs(draw(early) - plain).max() > 1e-2


def test_times_follow_their_distribution(given):
  m, _, _ = given
  batch = {"image": jnp.zeros((4096, 1))}
  draw = lambda m: np.sort(m.drawn(jax.random.key(0), batch)["t"])
  even = draw(field.replace(m, noise={"uniform": True}))
  np.testing.assert_allclose(even, np.linspace(0, 1, 4096), atol=0.03)
  middle = draw(m)
  normal = np.log(middle / (1 - middle))
  assert abs(normal.mean()) < 0.05 and abs(normal.std() - 1) < 0.05


def test_the_direction_loss_sees_no_length(given):
  m, params, batch = given
  draws = m.drawn(jax.random.key(1), batch)
  terms = m.terms(methods.Weights(params), batch, draws)
  scaled = jax.tree.map(lambda a: a, params)
  scaled["main"]["pred"] = jax.tree.map(lambda a: 3 * a, params["main"]["pred"])
  again = m.terms(methods.Weights(scaled), batch, draws)
  np.testing.assert_allclose(again["cos"], terms["cos"], atol=1e-5)
  assert not np.allclose(again["mse"], terms["mse"])
