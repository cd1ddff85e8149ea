import dataclasses

import jax
import numpy as np

from jmim.core import method as methods
from jmim.core import tree as trees
from jmim.methods.distill import mr_mae
from jmim.methods.parts import teacher
from jmim.methods.supervised import mcmae

TINY = mcmae.MCMAE.tiny()
KEY = jax.random.key(0)


def batch(n=2):
  rng = np.random.default_rng(0)
  image = rng.normal(size=(n, 16, 16, 3)).astype(np.float32)
  return {"image": image, "label": np.arange(n, dtype=np.int32)}


def test_it_starts_from_a_pre_trained_encoder():
  """All that it has but the head and trained positions is there."""
  none = teacher.Teacher(family="none")
  host = dataclasses.replace(
    mr_mae.MRMAE.tiny(),
    dims=TINY.dims,
    teacher=none,
    second=none,
    visible="random",
  )
  shapes = lambda m: {
    n: x.shape
    for n, x in trees.named(jax.eval_shape(m.init, KEY, batch())[0]).items()
  }
  mine, theirs = shapes(TINY), shapes(host)
  only = {n for n in mine if theirs.get(n) != mine[n]}
  assert only == {n for n in mine if "/head/" in n} | {"main/encoder/pos_embed"}
  left = {
    n.split("/")[2] for n in theirs.keys() - mine.keys() if "encoder" in n
  }
  assert left == {"shortcut1", "shortcut2", "norm"}


def test_logits_are_those_of_the_mean_of_all_tokens():
  params, _ = jax.jit(TINY.init)(KEY, batch())
  main = params["main"]
  main["head"]["head"]["kernel"] = jax.random.normal(KEY, (32, 6))
  run = jax.jit(lambda x: TINY.logits(params, x))
  x = batch()["image"]
  z = TINY.encoder.apply({"params": main["encoder"]}, x)["latent"]
  assert z.shape == (2, 16, 32)
  v = np.asarray(z).mean(1)
  unit = v - v.mean(-1, keepdims=True)
  unit = unit / np.sqrt(v.var(-1, keepdims=True) + 1e-6)
  expected = unit @ np.asarray(main["head"]["head"]["kernel"])
  np.testing.assert_allclose(run(x), expected, atol=1e-4)


def test_positions_are_trained_and_drop_path_reaches_all_stages():
  m = dataclasses.replace(TINY, drop_path=0.5)
  params, _ = jax.jit(m.init)(KEY, batch(16))
  draws = m.drawn(KEY, batch(16))
  assert draws["drop"].shape == (16, 3, 2)
  # Rates 0, 0.25, 0.5 of the three stages' blocks.
  values = [set(np.unique(draws["drop"][:, i])) for i in range(3)]
  expected = [{1.0}, {0.0, 1 / 0.75}, {0.0, 2.0}]
  for found, wanted in zip(values, expected, strict=True):
    np.testing.assert_allclose(sorted(found), sorted(wanted), rtol=1e-6)
  params["main"]["head"]["head"]["kernel"] = jax.random.normal(KEY, (32, 6))
  loss = lambda p: m.loss(methods.Weights(p), batch(16), draws, 0)[0]
  grads = jax.jit(jax.grad(loss))(params)["main"]["encoder"]
  assert np.any(grads["pos_embed"])
