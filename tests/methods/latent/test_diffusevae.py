import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.diffusion import respace
from jmim.methods.latent import diffusevae

B = 3
TINY = diffusevae.DiffuseVAE.tiny()
PLAIN = field.replace(
  TINY,
  dims=dict(scale_shift=False),
  coarse=dict(form=1, code=False, drop=0.0),
  prior=dict(path=""),
)


@pytest.fixture(scope="module")
def batch(normal):
  return {"image": np.tanh(normal(B, 8, 8, 3))}


@pytest.fixture(scope="module")
def consts():
  made = TINY.consts()
  init = lambda key: {name: const.init(key) for name, const in made.items()}
  return jax.jit(init)(jax.random.key(1))


def filled(method, batch, fill):
  return {"main": fill(method, batch, scale=0.1)[0]["main"]}


@pytest.fixture(scope="module")
def weights(batch, consts, fill):
  return methods.Weights(filled(TINY, batch, fill), consts=consts)


def test_the_loss_starts_at_the_size_of_the_noise(batch, consts):
  params, _ = jax.jit(TINY.init)(jax.random.key(0), batch)
  draws = TINY.drawn(jax.random.key(1), batch)
  held = methods.Weights(params, consts=consts)
  loss, _ = jax.jit(lambda d: TINY.loss(held, batch, d, 0))(draws)
  np.testing.assert_allclose(loss, (draws["noise"] ** 2).mean(), rtol=1e-5)


@pytest.mark.parametrize("form", [1, 2])
def test_the_network_sees_the_noised_image_beside_its_condition(
  form, batch, consts, normal
):
  """Marginals: mean a x + c (form 2), variance s^2."""
  method = field.replace(PLAIN, coarse=dict(form=form))
  draws = method.drawn(jax.random.key(1), batch)
  held = methods.Weights({}, consts=consts)
  shown = method.coarse.in_training(held, batch["image"], draws)
  u, a, s = method.noise.add(batch["image"], draws["t"], draws["noise"])
  x_t = method.coarse.state(u, shown)
  mean = a * batch["image"] + (shown["image"] if form == 2 else 0)
  np.testing.assert_allclose((x_t - mean) / s, draws["noise"], atol=1e-4)
  np.testing.assert_allclose(a**2 + s**2, 1.0, rtol=1e-5)


def test_one_coin_is_shared_by_the_batch_and_drops_code_and_image(
  weights, batch
):
  assert "condition_drop" in TINY.shared
  draws = TINY.drawn(jax.random.key(1), batch)
  loss = jax.jit(lambda d, b: TINY.loss(weights, b, d, 0)[0])
  other = {"image": batch["image"][::-1]}  # other conditions, other data
  dropped = draws | {"condition_drop": jnp.float32(0.0)}
  kept = draws | {"condition_drop": jnp.float32(0.5)}
  assert loss(dropped, batch) != loss(kept, batch)
  # Without the condition the posterior's noise is of no account.
  moved = {"posterior": draws["posterior"] + 1}
  assert loss(dropped | moved, batch) == loss(dropped, batch)
  assert loss(kept | moved, batch) != loss(kept, batch)
  assert loss(kept, other) != loss(kept, batch)
  assert "condition_drop" not in PLAIN.drawn(jax.random.key(1), batch)


def test_the_code_reaches_every_pixel_through_the_time(weights, batch):
  u, t = jnp.asarray(batch["image"]), jnp.full(B, 7)
  shown, none = TINY.coarse.guiding(weights, jnp.ones((B, 6)))
  net = jax.jit(lambda s: TINY.network(weights.params, u, t, s))
  first, moved = net(shown), net(shown | {"code": -shown["code"]})
  assert np.abs(first - moved).max() > 1e-5
  assert np.abs(first - net(none)).max() > 1e-5


def test_dropout_comes_from_the_draws(batch, consts, fill):
  method = field.replace(PLAIN, dims={"dropout": 0.5})
  held = methods.Weights(filled(method, batch, fill), consts=consts)
  draws = method.drawn(jax.random.key(1), batch)
  loss = jax.jit(lambda d: method.loss(held, batch, d, 0)[0])
  assert loss(draws) == loss(draws)
  assert loss(draws) != loss(draws | {"dropout": draws["dropout"] + 1})
  errors = jax.jit(method.errors)(held, batch, jax.random.key(1))["eps"]
  plain = field.replace(method, dims={"dropout": 0.0})
  again = jax.jit(plain.errors)(held, batch, jax.random.key(1))["eps"]
  np.testing.assert_allclose(errors, again, rtol=1e-5)


@pytest.mark.parametrize("spacing, steps", [("stride", 4), ("quadratic", 6)])
def test_a_path_keeps_the_signal_of_the_times_it_visits(spacing, steps):
  method = field.replace(
    diffusevae.DiffuseVAE(),
    noise=dict(spacing=spacing, times=40),
    sampling=dict(steps=steps),
  )
  visited = respace.visited(spacing, 40, steps)
  level = method.noise.table(method.sampling).level
  power = method.noise.process.power[visited]
  np.testing.assert_allclose(np.asarray(level.signal) ** 2, power, rtol=1e-6)
  np.testing.assert_array_equal(level.time, visited)


def test_the_large_variance_is_beta_and_the_last_step_adds_none():
  tables = {
    kind: (m := field.replace(TINY, noise=dict(variance=kind))).noise.table(
      m.sampling
    )
    for kind in ("large", "small")
  }
  power = TINY.noise.process.respaced(respace.visited("stride", 20, 4)[::-1])
  large, small = tables["large"].std ** 2, tables["small"].std ** 2
  np.testing.assert_allclose(large[:-1], power.beta[::-1][:-1], rtol=1e-6)
  assert large[-1] == small[-1] == 0 and (small[:-1] < large[:-1]).all()


@pytest.mark.parametrize(
  "change, said",
  [
    (dict(size=16), "coarse.dims.encoder goes from side 8"),
    (dict(dims=dict(scale_shift=False)), "coarse.code=True without dims.scale"),
    (
      dict(coarse=dict(drop=0.0), sampling=dict(guidance=1.5)),
      "guidance=1.5 with coarse.drop=0",
    ),
    (dict(sampling=dict(steps=6)), "no integer stride gives 6 of 20"),
    (dict(sampling=dict(steps=21)), "21 sampling steps of 20"),
    (dict(noise=dict(learn_variance=True)), "predicts none"),
  ],
)
def test_fields_that_do_not_go_together_are_named(change, said):
  with pytest.raises(ValueError, match=said):
    field.replace(TINY, **change).inputs()


def test_what_is_read_is_in_minus_1_to_1():
  assert TINY.inputs()["image"].range == (-1.0, 1.0)
  plain = dataclasses.replace(
    TINY, prior=dataclasses.replace(TINY.prior, path="")
  )
  assert set(plain.consts()) == {"vae"}
  assert set(TINY.consts()) == {"vae", "prior"}
