"""The procedure that joins both stages."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toydiffusion

from jmim.core import procedure as procedures
from jmim.methods.edit import dubbing

P = dubbing.Dubbing.tiny()
MODELS = toydiffusion.models(P)
BATCH = toydiffusion.batch_of(P.inputs(MODELS), 2)


def draws_of(p):
  return procedures.drawn(p, jax.random.key(0), MODELS, BATCH)


def made(p, models=MODELS, batch=BATCH, seed=0):
  @jax.jit
  def run(batch):
    draws = procedures.drawn(p, jax.random.key(seed), models, batch)
    return p.apply(models, {}, batch, draws)

  return run(batch)


def test_what_is_said_is_what_is_shown():
  found = made(dataclasses.replace(P, shuffled=False))
  renderer = MODELS["renderer"]
  shown = {"image": BATCH["frames"], "index": BATCH["index"]}
  output = lambda model: jax.jit(
    lambda b: model.output("codes", b, jax.random.key(1))
  )
  codes = output(renderer)(shown)
  np.testing.assert_allclose(found["codes"], codes, atol=1e-5)
  told = {"sound": BATCH["sound"], "codes": codes}
  said = output(MODELS["speech"])(told)
  np.testing.assert_allclose(found["spoken"], said, atol=1e-5)
  assert found["video"].shape == BATCH["frames"].shape
  assert not np.asarray(found["outside"]).any()


def test_one_shot_knows_one_code():
  one = dataclasses.replace(P, shots="one", render=False)
  other = dict(BATCH, frames=jnp.asarray(BATCH["frames"]).at[:, 1:].mul(-1))
  a, b = (made(one, batch=x)["spoken"] for x in (BATCH, other))
  np.testing.assert_array_equal(a, b)
  codes = made(one)["codes"]
  known = jnp.broadcast_to(codes[:, :1], codes.shape)
  told = {"sound": P.sound(BATCH, draws_of(one)), "codes": known}
  said = jax.jit(
    lambda b: MODELS["speech"].output("codes", b, jax.random.key(1))
  )(told)
  np.testing.assert_allclose(made(one)["spoken"], said, atol=1e-5)


def test_shuffled_sounds_are_those_of_other_frames():
  draws = draws_of(P)
  found = np.asarray(P.sound(BATCH, draws))
  sound = np.asarray(BATCH["sound"])
  for i, order in enumerate(np.asarray(draws["order"])):
    assert sorted(order) == [0, 1, 2, 3]
    for at, of in enumerate(order):
      np.testing.assert_array_equal(
        found[i, :, 2 * at : 2 * at + 2], sound[i, :, 2 * of : 2 * of + 2]
      )
  plain = dataclasses.replace(P, shuffled=False)
  np.testing.assert_array_equal(plain.sound(BATCH, draws), sound)


def test_without_speech_codes_are_made_and_what_is_kept_is_passed_on():
  alone = dataclasses.replace(
    P,
    speech=procedures.Needs(),
    render=False,
    kept=(("mouth", 4, 2),),
  )
  models = {"renderer": MODELS["renderer"]}
  assert alone.models().keys() == {"renderer"} and alone.pictures() == ()
  assert alone.inputs(models).keys() == {"frames", "mouth"}
  mouth = jnp.arange(16.0).reshape(2, 4, 2)
  found = made(alone, models, {**BATCH, "mouth": mouth})
  assert found.keys() == {"codes", "mouth"}
  np.testing.assert_array_equal(found["mouth"], mouth)


def test_models_must_offer_codes_of_one_width():
  P.check(MODELS)
  speech = MODELS["speech"]
  wide = dataclasses.replace(speech.method, width=5)
  other = dict(MODELS, speech=dataclasses.replace(speech, method=wide))
  with pytest.raises(ValueError, match="12 numbers, speech.path makes 5"):
    P.check(other)
  with pytest.raises(ValueError, match="renderer is a model without"):
    P.check({"renderer": speech, "speech": speech})
