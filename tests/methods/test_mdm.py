import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.methods.discrete import mdm

TINY = mdm.MDM.tiny()
B = 8


@pytest.fixture(scope="module")
def tokens():
  rng = np.random.default_rng(0)
  return jnp.asarray(rng.integers(0, TINY.codes, (B, TINY.length)), jnp.int32)


def random_params(method, scale=0.2):
  rng = np.random.default_rng(2)
  shapes, _ = jax.eval_shape(method.init, jax.random.key(0), {})
  fill = lambda s: (scale * rng.normal(size=s.shape)).astype(s.dtype)
  return jax.tree.map(fill, shapes)


def loss(method, params, tokens, draws):
  batch = {"tokens": tokens}
  return method.loss("main", params, {}, {}, batch, draws, 0)[0]


def test_the_head_starts_at_the_uniform_distribution(tokens):
  """So the loss starts at log of the number of tokens, whatever is masked."""
  batch = {"tokens": tokens}
  params, extra = TINY.init(jax.random.key(0), batch)
  draws = TINY.draw(jax.random.key(1), batch, 0)
  assert extra == {}
  assert loss(TINY, params, tokens, draws) == pytest.approx(np.log(TINY.codes))


def test_the_loss_looks_at_masked_tokens_only_and_never_at_their_value():
  """The gradient by a one-hot input would be zero; here: two inputs."""
  params = random_params(TINY)
  a = jnp.zeros((1, TINY.length), jnp.int32)
  draws = {"u": jnp.array([0.3]), "scores": jnp.arange(8.0)[None] / 8}
  masked = np.arange(8) < 1 + int(0.3 * 8)
  b = jnp.where(masked, 3, a)
  hidden = [
    TINY.bound(params, x, draws["u"], draws["scores"], True) for x in (a, b)
  ]
  x = jnp.where(masked, TINY.mask_id, a)
  logits = TINY.logits(params, x, jnp.ones(1))[0, :, : TINY.codes]
  logp = np.asarray(jax.nn.log_softmax(logits))
  n = masked.sum()
  for value, got in zip((0, 3), hidden, strict=True):
    want = -8 / n * logp[masked, value].sum()
    np.testing.assert_allclose(got, [want], rtol=1e-5)


def test_the_two_objectives_bound_the_same_number():
  """The mean over all masks of size n, summed over n; against both draws."""
  small = dataclasses.replace(TINY, length=4, schedule="linear", eps=1e-6)
  params, x = random_params(small), jnp.asarray([0, 3, 2, 2])
  masks = np.array(list(itertools.product([0, 1], repeat=4)), bool)[1:]
  n = masks.sum(1)

  @functools.partial(jax.jit, static_argnums=2)
  def bound(u, scores, agnostic):
    many = jnp.broadcast_to(x, scores.shape)
    return small.bound(params, many, u, scores, agnostic)

  # Scores below 1/2 at the masked positions, and u in the middle of size n.
  each = bound((n - 0.5) / 4, jnp.where(masks, 0.1, 0.9), True)
  total = np.mean([each[n == k].mean() for k in range(1, 5)])
  found = small.draw(jax.random.key(0), {"tokens": np.zeros(20_000)}, 0)
  for agnostic in (True, False):
    mean = bound(found["u"], found["scores"], agnostic).mean()
    assert mean == pytest.approx(total, rel=0.03)


def test_nll_is_the_bound_with_less_noise(tokens):
  params = random_params(TINY, 0.05)
  batch, key = {"tokens": tokens}, jax.random.key(0)
  nll = {}
  for n in (1, 64):
    m = dataclasses.replace(TINY, nll_draws=n)
    run = jax.jit(jax.vmap(lambda k, m=m: m.nll(params, {}, {}, batch, k)))
    nll[n] = np.asarray(run(jax.random.split(key, 24)))
  assert nll[64].std(0).mean() < 0.5 * nll[1].std(0).mean()
  np.testing.assert_allclose(nll[64].mean(), nll[1].mean(), rtol=0.1)


@pytest.mark.parametrize(
  "fields",
  [
    {"sampler": "fhs", "steps": 3, "order": 2},
    {"sampler": "ancestral", "steps": 5, "precision": "f64"},
    {"sampler": "ancestral", "precision": "f32", "noise_limit": 3.0},
    {"timed": True, "objective": "continuous", "sampler": "ancestral"},
  ],
  ids=str,
)
def test_every_sampler_fills_in_a_prompt(fields):
  m = dataclasses.replace(TINY, **fields)
  m.inputs()
  prompt = np.full((B, m.length), m.mask_id)
  prompt[:, 2] = np.arange(B) % m.codes
  params, batch = random_params(m), {"prompt": jnp.asarray(prompt)}
  out = jax.jit(m.generate)(params, {}, {}, batch, jax.random.key(0))
  found = np.asarray(out["tokens"])
  np.testing.assert_array_equal(found[:, 2], prompt[:, 2])
  assert found.max() < m.codes
  limit = m.steps or m.length
  assert (np.asarray(out["calls"]) <= limit).all()
  if m.sampler == "fhs":
    assert (np.asarray(out["calls"]) == min(limit, m.length - 1)).all()


def test_a_sample_is_a_function_of_its_index():
  params, key = random_params(TINY), jax.random.key(4)
  run = jax.jit(TINY.sample)
  whole = run(params, {}, {}, {"index": jnp.arange(8)}, key)
  part = run(params, {}, {}, {"index": jnp.arange(4, 8)}, key)
  np.testing.assert_array_equal(whole[4:], part)
  assert len(np.unique(np.asarray(whole), axis=0)) == 8


def test_the_time_reaches_a_timed_network_only():
  x, t = jnp.zeros((2, TINY.length), jnp.int32), jnp.array([0.1, 0.9])
  for timed in (False, True):
    m = dataclasses.replace(TINY, timed=timed, objective="continuous")
    logits = m.logits(random_params(m), x, t)
    assert bool(jnp.allclose(logits[0], logits[1])) != timed


@pytest.mark.parametrize(
  "fields",
  [
    {"timed": True},
    {"heads": 5},
    {"noise_limit": 3.0},
    {"sampler": "ancestral", "noise_limit": 3.0},
    {"sampler": "ancestral", "order": 2},
  ],
  ids=str,
)
def test_fields_that_do_not_go_together(fields):
  with pytest.raises(ValueError, match=next(iter(fields)) + "|noise_limit"):
    dataclasses.replace(TINY, **fields).inputs()
