import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.parts import teacher
from jmim.methods.text import captioner
from jmim.nn import sizes

KEY = jax.random.key(0)
M = captioner.Captioner.tiny()
LM = M.network.language(M.text.size)


@pytest.fixture(scope="module")
def made():
  rng = np.random.default_rng(0)
  image = jnp.asarray(rng.normal(size=(3, 8, 8, 3)), jnp.float32)
  batch = {"image": image, "label": jnp.array([0, 1, 2])}
  params, extra = M.init(KEY, batch)
  loud = jax.tree.map(lambda x: 4 * x, params["main"]["lm"])
  return batch, methods.Weights({"main": {**params["main"], "lm": loud}}, extra)


def test_the_likeliest_words_are_those_of_whole_passes(made):
  batch, w = made
  p, net = w.params["main"], M.often(w)
  said = np.asarray(jax.jit(lambda w: M.said(w, batch, KEY))(w))
  v = net.sees(batch["image"])
  for i in range(3):
    before = [1]
    for token in said[i]:
      z = net.latent(v[i : i + 1], jnp.array([before]))
      scores = LM.apply({"params": p["lm"]}, z[0, -1], method="scores")
      best = int(scores.argmax())
      if best in (0, 2):
        assert token == 0
        break
      assert token == best
      before.append(best)


def test_features_are_those_that_tokens_were_drawn_from(made):
  batch, w = made
  out = jax.jit(lambda w, k: M.generated(w, batch, k))(w, KEY)
  tokens = out["generated_tokens"]
  assert tokens.shape == (3, 5) and out["generated"].shape == (3, 5, 16)
  p, net = w.params["main"], M.often(w)
  v = net.sees(batch["image"])
  told = jnp.concatenate([jnp.ones((3, 1), jnp.int32), tokens[:, :-1]], 1)
  z = net.latent(v, told)
  np.testing.assert_allclose(out["generated"], z, atol=1e-5)
  # Of a nearly greedy model each token is the likeliest of its feature.
  cold = field.replace(M, temperature=1e-3)
  out = cold.generated(w, batch, KEY)
  scores = LM.apply({"params": p["lm"]}, out["generated"], method="scores")
  np.testing.assert_array_equal(scores.argmax(-1), out["generated_tokens"])


def test_what_is_drawn_depends_on_the_key_of_the_example(made):
  batch, w = made
  keys = jax.random.split(KEY, 3)
  whole = M.generated(w, batch, keys)["generated_tokens"]
  last = jax.tree.map(lambda x: x[2:], batch)
  alone = M.generated(w, last, keys[2:])["generated_tokens"]
  np.testing.assert_array_equal(whole[2:], alone)


def test_its_eye_is_a_teacher(made):
  """What ThinkDiff's other variant reads of a run of it."""
  batch, w = made
  dims = sizes.Dims(variant="Ti/4", width=16, depth=1, heads=2)
  part = teacher.Teacher(family="dino", dims=dims, norm=True)
  net = part.net((2, 2), (0.5,) * 3, (0.5,) * 3)
  out = net.read(w.params["main"]["vision"], batch["image"], layer=-1)
  seen = M.network.vision(8).apply(
    {"params": w.params["main"]["vision"]}, batch["image"]
  )
  np.testing.assert_allclose(out["cls"], seen["latent"][:, 0], atol=1e-5)
  np.testing.assert_allclose(out["patches"], seen["latent"][:, 1:], atol=1e-5)
