import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.core import validate
from jmim.methods.discrete import mdm
from jmim.methods.parts import token_network
from jmim.methods.parts import unmasking

TINY = mdm.MDM.tiny()
NET = TINY.network
B = 8


def make(network=None, **fields):
  net = dataclasses.replace(NET, **(network or {}))
  return dataclasses.replace(TINY, network=net, **fields)


@pytest.fixture(scope="module")
def tokens():
  rng = np.random.default_rng(0)
  return jnp.asarray(rng.integers(0, NET.codes, (B, NET.length)), jnp.int32)


def random_params(method, scale=0.2):
  rng = np.random.default_rng(2)
  shapes, _ = jax.eval_shape(method.init, jax.random.key(0), {})
  fill = lambda s: (scale * rng.normal(size=s.shape)).astype(s.dtype)
  return jax.tree.map(fill, shapes)


def random_weights(method, scale=0.2):
  return methods.Weights(random_params(method, scale))


def test_the_head_starts_at_the_uniform_distribution(tokens):
  """So the loss starts at log of the number of tokens, whatever is masked."""
  batch = {"tokens": tokens}
  params, extra = jax.jit(TINY.init)(jax.random.key(0), batch)
  draws = TINY.drawn(jax.random.key(1), batch)
  assert extra == {}
  loss, _ = jax.jit(TINY.loss)(methods.Weights(params), batch, draws, 0)
  assert loss == pytest.approx(np.log(NET.codes))


def test_the_loss_looks_at_masked_tokens_only_and_never_at_their_value():
  """The gradient by a one-hot input would be zero; here: two inputs."""
  params = random_params(TINY)
  a = jnp.zeros((1, NET.length), jnp.int32)
  draws = {"u": jnp.array([0.3]), "scores": jnp.arange(8.0)[None] / 8}
  masked = np.arange(8) < 1 + int(0.3 * 8)
  b = jnp.where(masked, 3, a)
  hidden = [TINY.bound(params, x, draws, True) for x in (a, b)]
  x = jnp.where(masked, NET.mask_id, a)
  logits = NET.logits(params["main"], x, jnp.ones(1))[0, :, : NET.codes]
  logp = np.asarray(jax.nn.log_softmax(logits))
  n = masked.sum()
  for value, bound in zip((0, 3), hidden, strict=True):
    want = -8 / n * logp[masked, value].sum()
    np.testing.assert_allclose(bound, [want], rtol=1e-5)


def test_the_two_objectives_bound_the_same_number():
  """The mean over all masks of size n, summed over n; against both draws."""
  small = make({"length": 4}, schedule="linear", eps=1e-6)
  params, x = random_params(small), jnp.asarray([0, 3, 2, 2])
  masks = np.array(list(itertools.product([0, 1], repeat=4)), bool)[1:]
  n = masks.sum(1)

  @functools.partial(jax.jit, static_argnums=1)
  def bound(draws, agnostic):
    many = jnp.broadcast_to(x, draws["scores"].shape)
    return small.bound(params, many, draws, agnostic)

  # Scores below 1/2 at the masked positions, and u in the middle of size n.
  exact = {"u": (n - 0.5) / 4, "scores": jnp.where(masks, 0.1, 0.9)}
  each = bound(exact, True)
  total = np.mean([each[n == k].mean() for k in range(1, 5)])
  draws = small.drawn(jax.random.key(0), {"tokens": np.zeros(20_000)})
  for agnostic in (True, False):
    assert bound(draws, agnostic).mean() == pytest.approx(total, rel=0.03)


def test_nll_is_the_bound_with_less_noise(tokens):
  weights = random_weights(TINY, 0.05)
  batch, key = {"tokens": tokens}, jax.random.key(0)
  nll = {}
  for n in (1, 64):
    m = dataclasses.replace(TINY, nll_draws=n)
    run = jax.jit(jax.vmap(lambda k, m=m: m.nll(weights, batch, k)))
    nll[n] = np.asarray(run(jax.random.split(key, 24)))
  assert nll[64].std(0).mean() < 0.5 * nll[1].std(0).mean()
  np.testing.assert_allclose(nll[64].mean(), nll[1].mean(), rtol=0.1)


TIMED = {"network": {"timed": True}, "objective": "continuous"}


@pytest.mark.parametrize(
  "fields",
  [
    {"sampling": unmasking.FirstHitting(steps=3, order=2)},
    {"sampling": unmasking.Ancestral(steps=5, precision="f64")},
    {"sampling": unmasking.Ancestral(precision="f32", noise_limit=3.0)},
    TIMED | {"sampling": unmasking.Ancestral()},
  ],
  ids=str,
)
def test_every_sampler_fills_in_a_prompt(fields):
  m = make(**fields)
  m.inputs()
  prompt = np.full((B, NET.length), NET.mask_id)
  prompt[:, 2] = np.arange(B) % NET.codes
  weights, batch = random_weights(m), {"prompt": jnp.asarray(prompt)}
  out = jax.jit(m.generate)(weights, batch, jax.random.key(0))
  tokens, calls = (np.asarray(out[name]) for name in ("tokens", "calls"))
  np.testing.assert_array_equal(tokens[:, 2], prompt[:, 2])
  assert tokens.max() < NET.codes
  limit = m.sampling.steps or NET.length
  assert (calls <= limit).all()
  if isinstance(m.sampling, unmasking.FirstHitting):
    assert (calls == min(limit, NET.length - 1)).all()


def test_a_sample_is_a_function_of_its_index():
  weights, key = random_weights(TINY), jax.random.key(4)
  run = jax.jit(TINY.sample)
  whole = run(weights, {"index": jnp.arange(8)}, key)
  part = run(weights, {"index": jnp.arange(4, 8)}, key)
  np.testing.assert_array_equal(whole[4:], part)
  assert len(np.unique(np.asarray(whole), axis=0)) == 8


@pytest.mark.parametrize(
  "fields, words",
  [
    ({"network": {"timed": True}}, "timed"),
    ({"network": {"heads": 5}}, "heads"),
    ({"sampling": unmasking.Ancestral(noise_limit=3.0)}, "noise_limit"),
  ],
  ids=str,
)
def test_fields_that_do_not_go_together(fields, words):
  with pytest.raises(ValueError, match=words):
    make(**fields).inputs()


def test_flat_keys_of_older_recipes_are_read():
  older = dict(
    type="discrete.mdm",
    codes=32,
    length=16,
    width=64,
    depth=2,
    heads=4,
    mlp_ratio=2.0,
    timed=True,
    schedule="cosine",
    eps=0.01,
    objective="continuous",
    nll_draws=16,
  )
  wanted = mdm.MDM(
    network=token_network.TokenNetwork(
      codes=32,
      length=16,
      width=64,
      depth=2,
      heads=4,
      mlp_ratio=2.0,
      timed=True,
    ),
    schedule="cosine",
    eps=0.01,
    objective="continuous",
    nll_draws=16,
  )
  assert validate.build(mdm.MDM, older, "method") == wanted
  fhs = dict(sampler="fhs", steps=3, order=2, precision="f32")
  assert validate.build(mdm.MDM, older | fhs, "method").sampling == (
    unmasking.FirstHitting(steps=3, order=2, precision="f32")
  )
  chain = dict(
    sampler="ancestral",
    steps=7,
    precision="f64",
    noise_limit=3.0,
    cache_rows=4,
  )
  assert validate.build(mdm.MDM, older | chain, "method").sampling == (
    unmasking.Ancestral(steps=7, precision="f64", noise_limit=3.0, cache_rows=4)
  )
