import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.text import clip

TINY = clip.CLIP.tiny()
B = 4


def batch(seed=0):
  rng = np.random.default_rng(seed)
  tokens = np.full((B, 6), 0)
  tokens[:, 0], tokens[:, 3] = 1, 2
  tokens[:, 1:3] = rng.integers(3, 11, (B, 2))
  image = rng.normal(size=(B, 8, 8, 3))
  return {"image": jnp.asarray(image, jnp.float32), "tokens": jnp.array(tokens)}


@pytest.fixture(scope="module")
def weights():
  params, extra = jax.jit(TINY.init)(jax.random.key(0), batch())
  assert extra == {}
  return methods.Weights(params)


def test_the_loss_is_the_cross_entropy_of_scaled_cosines_both_ways(weights):
  data, outputs = batch(), TINY.predict()
  u, v = (
    np.asarray(outputs[n](weights, data, None)) for n in ("features", "text")
  )
  for x in (u, v):
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1, rtol=1e-5)
  plain = dataclasses.replace(TINY, alike=False)
  loss, aux = plain.loss(weights, data, {}, 0)
  logits = u @ v.T / 0.07
  nats = [np.log(np.exp(x).sum(1)) - np.diag(x) for x in (logits, logits.T)]
  np.testing.assert_allclose(loss, np.mean(nats), rtol=1e-4)
  np.testing.assert_allclose(aux["scale"], 1 / 0.07, rtol=1e-5)
  right = (logits.argmax(1) == np.arange(B)).mean()
  np.testing.assert_allclose(aux["image_to_text"], right)


def test_the_scale_has_a_limit_from_beyond_which_it_comes_back(weights):
  main = weights.params["main"] | {"log_scale": jnp.float32(np.log(300))}

  def loss(log_scale):
    changed = {"main": main | {"log_scale": log_scale}}
    return TINY.loss(methods.Weights(changed), batch(), {}, 0)

  (_, aux), slope = jax.value_and_grad(loss, has_aux=True)(main["log_scale"])
  np.testing.assert_allclose(aux["scale"], 100, rtol=1e-5)
  assert slope > 0


def test_pairs_of_one_text_are_no_negatives_of_each_other(weights):
  data = batch()
  data["tokens"] = data["tokens"].at[1].set(data["tokens"][0])
  alike, _ = TINY.loss(weights, data, {}, 0)
  plain, _ = dataclasses.replace(TINY, alike=False).loss(weights, data, {}, 0)
  # The other of two equal texts is as good as the right one.
  assert plain > alike + 0.03


def test_a_tower_of_texts_may_be_frozen(weights):
  frozen = field.replace(TINY, text=dict(path="R"))
  params, _ = jax.jit(frozen.init)(jax.random.key(0), batch())
  assert set(params["main"]) == {"image", "projection", "log_scale"}
  const = frozen.consts()["text"]
  assert (const.path, const.key) == ("R", "method.text.path")
  own = weights.params["main"]["text"]
  words = frozen.predict()["text"]
  given = methods.Weights(params, {}, {"text": own})
  np.testing.assert_allclose(
    words(given, batch(), None),
    TINY.predict()["text"](weights, batch(), None),
    atol=1e-6,
  )


def test_towers_need_a_space_to_meet_in():
  with pytest.raises(ValueError, match="text.projection 0"):
    field.replace(TINY, text=dict(projection=0)).inputs()
  with pytest.raises(ValueError, match="patch"):
    dataclasses.replace(TINY, size=9).inputs()


def test_the_default_is_vit_l_14():
  made = clip.CLIP()
  spec = {
    n: jax.ShapeDtypeStruct((2, *x.shape), x.dtype)
    for n, x in made.inputs().items()
  }
  shapes, _ = jax.eval_shape(made.init, jax.random.key(0), spec)
  # OpenAI's ViT-L/14 has as many parameters.
  assert sum(x.size for x in jax.tree.leaves(shapes)) == 427_616_513
