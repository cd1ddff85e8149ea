import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toydiffusion

from jmim.diffusion import model
from jmim.diffusion import sampler
from jmim.diffusion import schedule
from jmim.diffusion import solvers

TOY = toydiffusion.make()


def test_images_are_what_is_diffused_where_nothing_else_is_said(normal):
  toy = toydiffusion.pixels()
  x = normal(2, 4, 4, 2)
  assert toy.image == toy.shape == (4, 4, 2)
  np.testing.assert_array_equal(toy.encode(x), x)
  np.testing.assert_array_equal(toy.decode(x), x)
  assert toy.tell({}) == (None, None) and not toy.random


def test_one_pass_where_one_is_enough(normal):
  x, label = normal(2, 4, 4, 3), np.array([0, 2])
  seen = []

  def network(x, t, told):
    seen.append(len(x))
    return TOY.network(x, t, told)

  toy = model.dataclasses.replace(TOY, network=network)
  told, nothing = toy.tell({"label": jnp.asarray(label)})
  level = next(iter_levels(toy))
  cond, null, both, each = (
    toy.denoise(told, nothing, scale=s)(x, level).eps
    for s in (1.0, 0.0, 3.0, jnp.full((2, 1, 1, 1), 3.0))
  )
  assert seen == [2, 2, 4, 4]
  np.testing.assert_allclose(both, null + 3 * (cond - null), atol=1e-5)
  np.testing.assert_array_equal(both, each)


def iter_levels(toy):
  table = solvers.ddim(toy.levels(5))
  for i in range(len(table)):
    yield jax.tree.map(lambda x, i=i: jnp.float32(x[i]), table.level)


def test_the_noise_at_a_time_is_that_of_the_sampler(normal):
  x, told = normal(2, 4, 4, 3), jnp.array([1, 0])
  for level in iter_levels(TOY):
    found = TOY.eps(x, jnp.full(2, int(level.time)), told)
    wanted = TOY.denoise(told)(x, level).eps
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_noising_is_that_of_the_schedule(normal):
  z, eps, t = normal(2, 4, 4, 3), normal(2, 4, 4, 3, seed=1), jnp.array([0, 9])
  found, process = TOY.noised(z, t, eps), TOY.schedule
  for i, time in enumerate([0, 9]):
    want = process.signal[time] * z[i] + process.noise[time] * eps[i]
    np.testing.assert_allclose(found[i], want, atol=1e-6)


def test_paths_are_the_models_own_or_those_asked_for():
  own = TOY.levels(5)
  np.testing.assert_array_equal(own.time, [19, 14, 10, 5, 0, 0])
  assert own.noise[-1] == 0
  late = TOY.levels(5, "offset")
  np.testing.assert_array_equal(late.time[:-1], [17, 13, 9, 5, 1])
  assert late.noise[-1] > 0
  flow = model.Diffuser(
    shape=(2, 2, 1),
    schedule=None,
    network=lambda x, t, told: x,
    path=lambda n: schedule.straight(n),
  )
  assert len(flow.levels(3)) == 3
  with pytest.raises(ValueError, match="spacing 'even'"):
    flow.levels(3, "even")
  with pytest.raises(ValueError, match="no discrete|without discrete"):
    flow.require("times")


def test_what_it_cannot_is_said():
  TOY.require("encode", "decode", "times")
  blind = model.dataclasses.replace(TOY, can=("encode",))
  with pytest.raises(ValueError, match="cannot decode"):
    blind.require("encode", "decode")
  with pytest.raises(ValueError, match="target is a model that cannot decode"):
    blind.require("decode", of="target")


def test_how_many_classes_it_is_told():
  assert TOY.classes == 3
  assert toydiffusion.make(classes=0).classes == 0


def test_what_is_told_of_a_changed_batch():
  batch = {"label": jnp.array([0, 1])}
  np.testing.assert_array_equal(TOY.told(batch), [0, 1])
  np.testing.assert_array_equal(
    TOY.told(batch, label=batch["label"] + 1), [1, 2]
  )


def test_clipping_is_of_the_data(normal):
  x = 30 * normal(2, 4, 4, 3)
  level = next(iter_levels(TOY))
  out = TOY.denoise(jnp.array([0, 1]), clip=1.0)(x, level)
  assert np.abs(out.x0).max() <= 1.0
  assert isinstance(level, sampler.Level)


def test_guidance_that_does_nothing_or_by_noise_is_named():
  none, some = toydiffusion.make(classes=0), toydiffusion.make()
  for scale in (2.0, (1.0, 2.0)):
    some.check_guidance(scale, "scale", "source")
    with pytest.raises(ValueError, match="scale=.* of source that is"):
      none.check_guidance(scale, "scale", "source")
  none.check_guidance((1.0, 1.0), "scale", "source")
  none.check_guidance(0.0, "scale", "source", unused=0.0)
  always = dataclasses.replace(some, guides=False)
  always.check_guidance(1.0, "scale", "source", unused=0.0)
  for scale in (0.0, (1.0, 2.0)):
    with pytest.raises(ValueError, match="scale=.* of source .*drop=0"):
      always.check_guidance(scale, "scale", "source", unused=0.0)
