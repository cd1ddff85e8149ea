import dataclasses
import types

import evalkit
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tokenkit
import toys

from jmim.core import errors
from jmim.core import method as methods
from jmim.core import runtime
from jmim.core.settings import data as settings
from jmim.evals.lib import predict
from jmim.methods.mim import mae

SPEC = settings.Data(mean=(0.5,) * 3, std=(0.25,) * 3)


@pytest.fixture
def everything():
  """(method, weights, batch)."""
  method = evalkit.Everything()
  weights = methods.Weights(*method.init(jax.random.key(0), None))
  images = evalkit.images(evalkit.source(5, 0)).astype(np.float32) / 255
  return method, weights, {"image": jnp.asarray(images)}


def test_an_output_or_an_entry_of_it(everything):
  method, weights, batch = everything
  key = jax.random.key(1)
  whole = predict.output(method, "layers")(weights, batch, key)
  entry = predict.output(method, "layers/wide")(weights, batch, key)
  np.testing.assert_array_equal(entry, whole["wide"])
  with pytest.raises(errors.UserError, match="one of first, wide"):
    predict.output(method, "layers/narrow")(weights, batch, key)


def test_shapes_are_found_without_computing(everything):
  method, weights, batch = everything
  names = ("tokens", "layers", "layers/wide")
  found = predict.shapes(method, weights, names=names, batch=5)
  for name in names:
    value = predict.output(method, name)(weights, batch, jax.random.key(0))
    assert jax.tree.map(lambda x: (x.shape, x.dtype), value) == jax.tree.map(
      lambda x: (x.shape, x.dtype), found[name]
    )
  tokens = method.tokens(weights, batch, None)
  assert predict.widths(found) == {
    "tokens": tokens[0].size,
    **{f"layers/{k}": x.shape[1] for k, x in found["layers"].items()},
    "layers/wide": found["layers/wide"].shape[1],
  }


@pytest.mark.parametrize("scan", [False, True])
def test_layers_come_apart_where_the_runtime_does_not_scan(scan):
  rt = runtime.Runtime(scan=scan)

  @dataclasses.dataclass(frozen=True, kw_only=True)
  class Looks(methods.Method):
    def predict(self):
      return {"kind": lambda weights, batch, key: weights}

  params = {"main": {"blocks": {"layers": {"w": jnp.ones((3, 2))}}}}
  weights = methods.Weights(params, {"e": 1}, {"c": 2})
  got = predict.output(Looks(rt=rt), "kind")(weights, {}, None)
  layers = got.params["main"]["blocks"]["layers"]
  assert isinstance(layers, dict if scan else tuple)
  assert got.extra == {"e": 1} and got.consts == {"c": 2}


def test_an_encoder_gives_the_same_either_way():
  method = mae.MAE.tiny()
  batch = {"image": jax.random.normal(jax.random.key(2), (3, 16, 16, 3))}
  init = jax.jit(method.init)
  weights = methods.Weights(*init(jax.random.key(0), batch))
  key = jax.random.key(1)
  got = jax.jit(predict.output(method, "features"))(weights, batch, key)
  want = jax.jit(method.predict()["features"])(weights, batch, key)
  np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_samples_are_pixels_and_tokens_stay(everything):
  method, weights, batch = everything
  key = jax.random.key(0)
  pixels, finite = predict.samples(method, SPEC)(weights, batch, key)
  assert finite.tolist() == [True] * 5
  normalised = method.sample(weights, batch, key)
  assert pixels.dtype == np.uint8
  want = np.clip(np.round((normalised * 0.25 + 0.5) * 255), 0, 255)
  np.testing.assert_allclose(pixels, want, atol=1)
  tokens = tokenkit.Independent()
  weights = methods.Weights(*tokens.init(key, None))
  given = {"index": jnp.arange(4)}
  made, finite = predict.samples(tokens, SPEC)(weights, given, key)
  assert finite.all() and finite.shape == (4,)
  assert made.dtype == jnp.int32 and made.shape == (4, 5)


def test_sampled_clouds_are_in_the_units_of_the_data_set(everything):
  method, weights, batch = everything
  cloud = lambda w, b, k: jnp.ones((5, 7, 3))
  odd = types.SimpleNamespace(
    predict=lambda: {"sample": cloud}, rt=runtime.Runtime()
  )
  spec = dataclasses.replace(SPEC, points_std=(2.0, 2.0, 4.0))
  made, finite = predict.samples(odd, spec)(weights, batch, jax.random.key(0))
  assert finite.all() and made.dtype == jnp.float32
  np.testing.assert_array_equal(made[3, 2], [2.0, 2.0, 4.0])


def test_a_sample_that_is_not_finite_is_told_from_the_others(everything):
  method, weights, batch = everything
  lost = lambda w, b, k: method.sample(w, b, k).at[1, 0, 0, 0].set(jnp.inf)
  odd = types.SimpleNamespace(
    predict=lambda: {"sample": lost}, rt=runtime.Runtime()
  )
  _, finite = predict.samples(odd, SPEC)(weights, batch, jax.random.key(0))
  assert finite.tolist() == [True, False, True, True, True]
  predict.require_finite(finite[2:], "pictures")
  with pytest.raises(errors.UserError, match="1 of 5 pictures"):
    predict.require_finite(finite, "pictures")


def test_conditions_are_the_classes_in_turn_or_one():
  method = evalkit.Everything()
  turns = predict.conditions(method, np.arange(4, 9))
  assert turns["index"].tolist() == [4, 5, 6, 7, 8]
  assert turns["label"].tolist() == [1, 2, 0, 1, 2]
  one = predict.conditions(method, np.arange(3), 2)
  assert one["label"].tolist() == [2, 2, 2]
  assert {x.dtype for x in (*turns.values(), *one.values())} == {
    np.dtype(np.int32)
  }
  assert set(predict.conditions(tokenkit.Independent(), np.arange(3))) == {
    "index"
  }


def test_losses_of_all_players_are_named_as_they_are_logged():
  toy = toys.Adversarial()
  batch = toys.make_batch(toy)
  weights = methods.Weights(*toy.init(jax.random.key(0), batch))
  key = jax.random.key(3)
  values = predict.losses(toy)(weights, batch, key)
  assert set(values) == {"loss/generator", "loss/discriminator", "fake"}
  draws = toy.drawn(key, batch)
  for player in toy.players:
    want = toy.loss(weights, batch, draws, 0, player=player)[0]
    np.testing.assert_allclose(values[f"loss/{player}"], want, rtol=1e-6)
  single = evalkit.Everything()
  weights = methods.Weights(*single.init(key, None))
  batch = {"image": jnp.ones((2, 4, 4, 3))}
  assert set(predict.losses(single)(weights, batch, key)) == {"loss", "double"}
