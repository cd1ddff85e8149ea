import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.discrete import vq_diffusion

TINY = field.replace(vq_diffusion.VQDiffusion.tiny(), network=dict(depth=1))
N, K, T, B = TINY.codes.length, TINY.codes.vocabulary, TINY.process.times, 6
TEXT = field.replace(
  TINY,
  network=dict(mlp="linear"),
  condition=dict(
    kind="text", classes=0, tokens=2, width=5, learn_null=True, drop=0.5
  ),
)


def filled(method, batch):
  rng = np.random.default_rng(0)
  shapes, _ = jax.eval_shape(method.init, jax.random.key(0), batch)
  fill = lambda s: (0.3 * rng.normal(size=s.shape)).astype(s.dtype)
  extra = method.importance.extra(T)
  return methods.Weights(jax.tree.map(fill, shapes), extra)


@pytest.fixture(scope="module")
def batch():
  rng = np.random.default_rng(1)
  tokens = rng.integers(0, K, (B, N)).astype(np.int32)
  return {"tokens": tokens, "label": np.arange(B) % 3}


@pytest.fixture(scope="module")
def weights(batch):
  return filled(TINY, batch)


def test_the_loss_is_that_of_its_parts(weights, batch):
  draws = TINY.drawn(jax.random.key(0), batch)
  assert draws["code"].max() < K and draws["drop"].shape == (B,)
  loss, aux = jax.jit(TINY.loss)(weights, batch, draws, 0)
  t = np.floor(np.asarray(draws["time"]) * T).astype(int)
  x = TINY.noise.noised(batch["tokens"], t, draws["u"], draws["code"])
  told = jnp.where(draws["drop"] < 0.2, 3, batch["label"])
  logp = TINY.predicted(weights.params, x, t, told)
  main, total = TINY.bound.terms(TINY.noise, logp, batch["tokens"], x, t)
  np.testing.assert_allclose(loss, T * total.mean() / N, rtol=1e-5)
  np.testing.assert_allclose(aux["bound"], T * main.mean() / N, rtol=1e-5)
  np.testing.assert_array_equal(aux["seen"], np.bincount(t, minlength=T))
  moved = TINY.after(weights, aux, 0)
  np.testing.assert_array_equal(moved["seen"], aux["seen"])
  seen = aux["seen"] > 0
  assert ((moved["history"] > 0) == seen).all()


def test_times_follow_the_history_and_their_terms_are_weighed(weights, batch):
  history = jnp.zeros(T).at[3].set(1e8)
  extra = {"history": history, "seen": jnp.full(T, 11.0)}
  known = dataclasses.replace(weights, extra=extra)
  draws = TINY.drawn(jax.random.key(0), batch)
  _, aux = TINY.loss(known, batch, draws, 0)
  assert aux["seen"][3] == B
  draws |= {"time": jnp.full(B, 0.5)}  # time 3 in both
  (a, _), (b, _) = (TINY.loss(w, batch, draws, 0) for w in (weights, known))
  np.testing.assert_allclose(a, T * b, rtol=1e-3)


def test_guidance_is_that_of_the_mean_of_classes(weights, batch):
  """And changes the samples; none of them is [MASK]."""
  label = {"label": batch["label"], "index": np.arange(B)}
  run = lambda m: jax.jit(m.generate)(weights, label, jax.random.key(3))
  made = run(TINY)
  assert made["tokens"].max() < K and made["order"].max() <= T - 1
  guided = run(field.replace(TINY, sampling=dict(guidance=9.0)))
  assert (guided["tokens"] != made["tokens"]).any()
  back = jax.jit(TINY.generate)(
    weights,
    {"label": batch["label"][::-1], "index": np.arange(B)[::-1]},
    jax.random.key(3),
  )
  np.testing.assert_array_equal(back["tokens"][::-1], made["tokens"])


def test_the_bound_is_above_what_random_codes_have(weights, batch):
  """On average; log K nats per code are their entropy."""
  method = field.replace(TINY, bound=dict(draws=4 * T))
  nats = jax.jit(method.nll)(weights, batch, jax.random.key(0))
  assert nats.shape == (B,) and nats.mean() / N > np.log(K)


def test_texts_are_read_and_their_null_is_learned(batch):
  context = jax.random.normal(jax.random.key(0), (B, 2, 5))
  own = {"tokens": batch["tokens"], "context": context}
  assert set(TEXT.inputs()) == {"tokens", "context"}
  assert TEXT.sample_reads() == ("context",) and TINY.sample_reads() == ()
  weights = filled(TEXT, own)
  draws = TEXT.drawn(jax.random.key(0), own)

  def loss(params):
    return TEXT.loss(methods.Weights(params, weights.extra), own, draws, 0)[0]

  grads = jax.jit(jax.grad(loss))(weights.params)["main"]
  assert all((g != 0).any() for g in jax.tree.leaves(grads))
  made = jax.jit(
    field.replace(TEXT, sampling=dict(guidance=3.0, stride=3)).sample
  )(weights, own, jax.random.key(1))
  assert made.shape == (B, N) and made.max() < K


def test_without_a_text_samples_are_those_of_the_prompt(batch):
  asked = field.replace(TEXT, condition=dict(prompt="P"))
  assert asked.sample_reads() == () and "condition.prompt" in field.asked(
    vq_diffusion.VQDiffusion
  )
  one = np.random.default_rng(2).normal(size=(2, 5)).astype(np.float32)
  context = jnp.broadcast_to(one, (B, 2, 5))
  weights = filled(TEXT, {"tokens": batch["tokens"], "context": context})
  weights = dataclasses.replace(weights, consts={"prompt": {"context": one}})
  sample = jax.jit(asked.sample)
  numbered = {"index": jnp.arange(B)}
  made = sample(weights, numbered, jax.random.key(1))
  told = sample(weights, numbered | {"context": context}, jax.random.key(1))
  np.testing.assert_array_equal(made, told)
  other = numbered | {"context": -context}
  assert (made != sample(weights, other, jax.random.key(1))).any()


def test_grey_values_are_sampled_as_images_and_reconstructed():
  levels = field.replace(
    TINY,
    codes=dict(kind="levels", read="images", channels=1),
    condition=dict(kind="none", classes=0, drop=0.0),
    sampling=dict(rule="purity", stride=2),
  )
  image = jax.random.uniform(
    jax.random.key(0), (2, 3, 3, 1), minval=-1, maxval=1
  )
  weights = filled(levels, {"image": image})
  made = jax.jit(levels.sample)(weights, {"image": image}, jax.random.key(1))
  assert made.shape == (2, 3, 3, 1) and np.abs(made).max() <= 1
  seen = levels.reconstruct(weights, {"image": image}, jax.random.key(1))
  assert seen["image"].shape == seen["mask"].shape == (2, 3, 3, 1)
  assert set(np.unique(seen["mask"])) <= {0, 1}
  assert "reconstruct" in levels.predict() and "nll" in levels.predict()
  assert levels.nll_dims == 9


def test_mistakes():
  wrong = field.replace(TINY, network=dict(tables=(1, 1)))
  with pytest.raises(ValueError, match="network.tables"):
    wrong.inputs()
  with pytest.raises(ValueError, match="kept and masked"):
    field.replace(TINY, process=dict(mask_last=0.0)).inputs()
