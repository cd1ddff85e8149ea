"""Stage two of DiGIT, against the sentences of its card."""

import jax
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.discrete import digit
from jmim.methods.discrete import digit_pixels
from jmim.methods.parts import rendering

NAR = digit_pixels.DiGITPixels.tiny()
AR = field.replace(NAR, render=rendering.NextCode())
N, M = NAR.semantic.length, NAR.pixels.length
K, V, B = NAR.semantic.vocabulary, NAR.pixels.vocabulary, 4
IMAGES = dict(
  semantic=dict(read="images", vectors=dict(size=12, patch=6)),
  pixels=dict(kind="patches", read="images", path="table.npz", patch=4),
)


def weights_of(method):
  rng = np.random.default_rng(0)
  shapes, _ = jax.eval_shape(method.init, jax.random.key(0), {})
  fill = lambda s: (0.3 * rng.normal(size=s.shape)).astype(s.dtype)
  consts = {
    n: jax.jit(c.init)(jax.random.key(i))
    for i, (n, c) in enumerate(method.consts().items())
  }
  return methods.Weights(jax.tree.map(fill, shapes), {}, consts)


@pytest.fixture(scope="module")
def batch():
  rng = np.random.default_rng(1)
  draw = lambda k, n: rng.integers(0, k, (B, n)).astype(np.int32)
  return {"semantic_codes": draw(K, N), "tokens": draw(V, M)}


def log_p(method, weights, prefix, ids):
  ids = np.concatenate([method.prefix(prefix), ids], axis=1)
  params = {"params": weights.params["main"]}
  out = method.net.apply(params, ids, skip=N)
  return np.asarray(jax.nn.log_softmax(out["logits"]))


def test_ids_of_both_kinds_do_not_meet():
  assert (NAR.net.rows, NAR.net.outputs) == (5 + V + 5 + K, 5 + V)
  prefix = np.asarray(NAR.prefix(np.arange(K)))
  assert prefix.min() == 5 + V + 5 and prefix.max() == NAR.net.rows - 1
  assert (NAR.net.prefix, NAR.net.length) == (N, 1 + M)
  assert not NAR.net.post and AR.net.one_way and not NAR.net.one_way


def test_ar_scores_pixels_and_the_end_never_the_prefix(batch):
  weights = weights_of(AR)
  loss, aux = jax.jit(AR.loss)(weights, batch, {}, 0)
  end = np.full((B, 1), 2)
  ids = np.concatenate([end, 5 + batch["tokens"]], 1)
  target = np.concatenate([5 + batch["tokens"], end], 1)
  logp = log_p(AR, weights, batch["semantic_codes"], ids)
  assert logp.shape == (B, 1 + M, 5 + V)
  own = np.take_along_axis(logp, target[..., None], -1)
  cost = -0.9 * own.mean() - 0.1 * logp.mean()
  np.testing.assert_allclose(loss, cost, rtol=1e-5)
  np.testing.assert_allclose(aux["nll"], -own.mean(), rtol=1e-5)


def test_ar_is_causal_over_everything(batch):
  weights = weights_of(AR)
  ids = np.pad(5 + batch["tokens"], ((0, 0), (1, 0)), constant_values=2)
  other = ids.copy()
  other[:, 4:] = 5 + (ids[:, 4:] - 4) % V
  run = lambda prefix, ids: log_p(AR, weights, prefix, ids)
  a, b = run(batch["semantic_codes"], ids), run(batch["semantic_codes"], other)
  np.testing.assert_allclose(a[:, :4], b[:, :4], atol=1e-5)
  assert np.abs(a[:, 4:] - b[:, 4:]).max() > 1e-2
  told = run((batch["semantic_codes"] + 1) % K, ids)
  assert (np.abs(a - told).max((1, 2)) > 1e-3).all()


def test_nar_scores_what_is_hidden_in_the_whole_batch(batch):
  weights = weights_of(NAR)
  draws = NAR.drawn(jax.random.key(0), batch)
  assert draws.pop("dropout").shape == (B, 2)
  loss, aux = jax.jit(NAR.loss)(weights, batch, draws, 0)
  hidden = np.asarray(NAR.render.masks.masked(draws))
  ids = np.where(hidden, 3, 5 + batch["tokens"])
  ids = np.pad(ids, ((0, 0), (1, 0)), constant_values=2)
  logp = log_p(NAR, weights, batch["semantic_codes"], ids)[:, 1:]
  own = np.take_along_axis(logp, 5 + batch["tokens"][..., None], -1)[..., 0]
  cost = -0.9 * own - 0.1 * logp.mean(-1)
  np.testing.assert_allclose(loss, cost[hidden].mean(), rtol=1e-5)
  right = logp.argmax(-1) == 5 + batch["tokens"]
  np.testing.assert_allclose(
    aux["token_accuracy"], right[hidden].mean(), atol=1e-6
  )
  # What is hidden is not read.
  changed = np.where(hidden, (batch["tokens"] + 1) % V, batch["tokens"])
  task = NAR.render.task(changed, draws)
  np.testing.assert_array_equal(task.ids, ids)
  np.testing.assert_array_equal(task.scored[:, 0], False)


def test_between_one_and_all_are_hidden_two_in_pi_on_average():
  masks = NAR.render.masks
  u = np.linspace(0, 1, 20001)[:-1].astype(np.float32)
  scores = np.random.default_rng(0).random((len(u), 256), np.float32)
  count = np.asarray(masks.masked({"r": u, "scores": scores})).sum(1)
  assert (count.min(), count.max()) == (1, 256)
  np.testing.assert_allclose(count.mean(), 256 * 2 / np.pi, rtol=0.01)
  theirs = np.minimum(
    np.floor(256 * np.cos(np.pi / 2 * u.astype(float))) + 1, 256
  )
  np.testing.assert_allclose(count, theirs, atol=1)
  assert (count != theirs).mean() < 1e-3


@pytest.mark.parametrize("cache", [True, False])
def test_ar_samples_follow_their_prefix(batch, cache):
  """Each code is the likeliest given those before, with or without a cache."""
  method = field.replace(AR, render=dict(sampling=dict(top_k=1, cache=cache)))
  weights = weights_of(method)
  made = jax.jit(method.generate)(weights, batch, jax.random.key(0))
  tokens = np.asarray(made["tokens"])
  np.testing.assert_array_equal(made["semantic_codes"], batch["semantic_codes"])
  ids = np.pad(5 + tokens, ((0, 0), (1, 0)), constant_values=2)
  logp = log_p(method, weights, batch["semantic_codes"], ids)[:, :-1, 5:]
  np.testing.assert_array_equal(logp.argmax(-1), tokens)


def test_nar_samples_are_codes_and_depend_on_their_number(batch):
  weights, made = weights_of(NAR), jax.jit(NAR.generate)
  given = {"semantic_codes": batch["semantic_codes"], "index": np.arange(B)}
  whole = np.asarray(made(weights, given, jax.random.key(0))["tokens"])
  assert whole.shape == (B, M) and 0 <= whole.min() and whole.max() < V
  back = {n: x[::-1] for n, x in given.items()}
  again = made(weights, back, jax.random.key(0))["tokens"]
  np.testing.assert_array_equal(again[::-1], whole)
  assert NAR.sample_reads() == ("semantic_codes",)


def test_a_run_of_stage_one_says_what_is_rendered():
  one = field.replace(
    digit.DiGIT.tiny(),
    semantic=dict(vocabulary=K, vectors=dict(size=8)),
  )
  method = field.replace(
    NAR,
    prior=dict(
      path="run",
      classes=3,
      lm=dict(dims=dict(width=32, depth=2, heads=4)),
      sampling=dict(top_k=5),
    ),
  )
  weights = weights_of(method)
  shapes = jax.eval_shape(one.init, jax.random.key(0), {})[0]["main"]
  prior = weights.consts["prior"]
  assert jax.tree.map(np.shape, prior) == jax.tree.map(
    lambda s: s.shape, shapes
  )
  assert method.sample_reads() == () and "label" in method.inputs()
  batch = {"label": np.arange(B) % 3, "index": np.arange(B)}
  made = method.generate(weights, batch, jax.random.key(0))
  keys = digit_pixels._numbered(jax.random.key(0), "semantic", batch)
  frozen = methods.Weights({"main": prior})
  codes = one.sampling.sample(
    keys, one.net, frozen.params["main"], one.first(batch), codes=(5, K)
  )
  np.testing.assert_array_equal(made["semantic_codes"], codes)


def test_both_kinds_of_codes_are_of_one_image():
  method = field.replace(NAR, **IMAGES)
  weights = weights_of(method)
  keys = {name: const.key for name, const in method.consts().items()}
  assert keys == {
    "codebook": "method.semantic.codebook",
    "tokenizer": "method.pixels.path",
  }
  image = np.random.default_rng(0).normal(size=(2, 12, 12, 3)).astype("f4")
  batch = {"image": image}
  found = method.codes(weights, batch, None)
  assert found["semantic_codes"].shape == (2, 4) and found["tokens"].shape == (
    2,
    9,
  )
  assert method.n_codes == {"tokens": V, "semantic_codes": K}
  draws = method.drawn(jax.random.key(0), batch)
  loss, _ = method.loss(weights, batch, draws, 0)
  stored, _ = NAR.loss(weights, found, draws, 0)
  np.testing.assert_allclose(loss, stored, rtol=1e-6)
  made = method.rendered(weights, batch, jax.random.key(0))
  assert made.shape == image.shape
  rows = made.reshape(2, 3, 4, 3, 4, 3).swapaxes(2, 3).reshape(-1, 48)
  table = np.asarray(weights.consts["tokenizer"]["codes"])
  assert np.abs(rows[:, None] - table).max(-1).min(1).max() < 1e-6


def test_mistakes():
  with pytest.raises(ValueError, match=r"render.masks.schedule 'cos' is none"):
    field.replace(NAR, render=dict(masks=dict(schedule="cos"))).inputs()
  with pytest.raises(ValueError, match=r"render.sampling.schedule 'no'"):
    field.replace(NAR, render=dict(sampling=dict(schedule="no"))).inputs()
  for part in ("semantic", "pixels"):
    with pytest.raises(ValueError, match="both are of one image, or both"):
      field.replace(NAR, **{part: IMAGES[part]}).inputs()
