import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import attention
from jmim.nn import linear_attention

MEANS = ("linear", "causal", "bidirectional")
B, H, T, D = 2, 3, 10, 4


def qkv(normal, s=T, e=D):
  return (
    normal(B, H, T, D, seed=1),
    normal(B, H, s, D, seed=2),
    normal(B, H, s, e, seed=3),
  )


def matrix(q, k, **options):
  """[b, h, t, s] weights of the values, one of which is 1 at a time."""
  s = k.shape[2]
  eye = jnp.broadcast_to(jnp.eye(s), (*k.shape[:2], s, s))
  return np.asarray(linear_attention.attend(q, k, eye, **options))


def features(q, k):
  return [np.where(x > 0, x + 1, np.exp(np.minimum(x, 0))) for x in (q, k)]


def test_weights_are_those_of_the_formula(normal):
  q, k, _ = qkv(normal)
  fq, fk = features(q, k)
  pairs = np.einsum("bhtd,bhsd->bhts", fq, fk)
  linear = pairs / (pairs.sum(-1, keepdims=True) + 1e-4 * T)
  np.testing.assert_allclose(matrix(q, k), linear, rtol=1e-5)
  seen = np.arange(1, T + 1)[:, None]
  past = np.tril(pairs)
  causal = past / (past.sum(-1, keepdims=True) + 1e-4 * seen)
  np.testing.assert_allclose(matrix(q, k, form="causal"), causal, rtol=1e-5)
  twice = pairs + np.eye(T) * pairs  # one's own weight comes from both sides
  both = twice / (twice.sum(-1, keepdims=True) + 1e-4 * (T + 1))
  found = matrix(q, k, form="bidirectional")
  np.testing.assert_allclose(found, both, rtol=1e-5)
  found = matrix(q, k, form="unnormalised", tokens=8)
  np.testing.assert_allclose(found, pairs / (8 * D), rtol=1e-5)


@pytest.mark.parametrize("form", MEANS)
def test_rows_sum_to_one_but_for_the_epsilon(normal, form):
  q, k, v = qkv(normal)
  rows = matrix(q, k, form=form).sum(-1)
  fq, fk = features(q, k)
  least = np.einsum("bhtd,bhsd->bhts", fq, fk).min()
  assert (rows < 1).all() and (rows > 1 - 1e-4 / least).all()
  # A value that all tokens have is what comes out.
  same = np.broadcast_to(v[:, :, :1], v.shape)
  found = linear_attention.attend(q, k, same, form=form)
  np.testing.assert_allclose(found, rows[..., None] * same, rtol=1e-5)


def test_tokens_are_a_set_and_twice_the_tokens_change_nothing(normal):
  q, k, v = qkv(normal)
  order = np.random.default_rng(0).permutation(T)
  attend = linear_attention.attend
  y = attend(q, k, v)
  turned = attend(*(x[:, :, order] for x in (q, k, v)))
  np.testing.assert_allclose(turned, y[:, :, order], atol=1e-6)
  twice = attend(*(np.concatenate([x, x], axis=2) for x in (q, k, v)))
  np.testing.assert_allclose(twice[:, :, :T], y, atol=1e-6)
  # Without the denominator the output grows with their number, ...
  options = dict(form="unnormalised", tokens=T)
  y = attend(q, k, v, **options)
  every = [np.concatenate([x, x], axis=2) for x in (q, k, v)]
  twice = attend(*every, **options)
  np.testing.assert_allclose(twice[:, :, :T], 2 * y, rtol=1e-5, atol=1e-6)
  # ... and with an order a token sees only those up to its own.
  y, v[:, :, 6] = attend(q, k, v, form="causal"), 9.0
  moved = np.abs(attend(q, k, v, form="causal") - y).max((0, 1, 3))
  assert (moved[:6] == 0).all() and (moved[6:] > 0.01).all()


@pytest.mark.parametrize("form", [*MEANS, "unnormalised"])
@pytest.mark.parametrize("chunk", [3, 5])
def test_chunks_give_what_all_at_once_gives(normal, form, chunk):
  q, k, v = qkv(normal, e=5)
  whole = linear_attention.attend(q, k, v, form=form, tokens=T)
  found = linear_attention.attend(q, k, v, form=form, tokens=T, chunk=chunk)
  np.testing.assert_allclose(found, whole, rtol=1e-5, atol=1e-6)


def test_a_context_of_another_length_is_divided_by_the_queries(normal):
  q, k, v = qkv(normal, s=7)
  rows = matrix(q, k).sum(-1)
  np.testing.assert_allclose(rows, 7 / T, rtol=1e-3)
  whole = linear_attention.attend(q, k, v)
  found = linear_attention.attend(q, k, v, chunk=4)
  np.testing.assert_allclose(found, whole, rtol=1e-5, atol=1e-6)
  with pytest.raises(ValueError, match="10 queries and 7 keys"):
    linear_attention.attend(q, k, v, form="causal")


def test_sums_stay_in_float16_however_many_the_tokens():
  q = jnp.full((1, 1, 4096, 16), 8.0, jnp.float16)
  found = linear_attention.attend(q, q, 10 * q)
  assert found.dtype == jnp.float16
  np.testing.assert_allclose(found, 80.0, rtol=1e-2)


def module(form="linear", mid=0, **options):
  return linear_attention.LinearAttention(
    heads=2, form=form, mid=mid, **options
  )


def test_softmax_is_the_attention_of_the_host(fill, normal):
  x, keys = normal(2, 6, 8), normal(2, 5, 7, seed=1)
  host = attention.CrossAttention(heads=2, qkv_bias=False)
  variables = fill(host, x, keys)
  found = module("softmax").apply(variables, x, keys)
  np.testing.assert_allclose(found, host.apply(variables, x, keys), atol=1e-5)
  # The names that a host's parameters are laid over by.
  mine = jax.eval_shape(module().init, jax.random.key(0), x, keys)["params"]
  theirs = jax.tree.map(jnp.shape, variables["params"])
  assert {n: jax.tree.map(jnp.shape, mine[n]) for n in theirs} == theirs


def test_bottlenecks(fill, normal):
  x = normal(2, 6, 8)
  shapes = lambda m: jax.eval_shape(m.init, jax.random.key(0), x)["params"]
  assert shapes(module(mid=3))["q_features"]["fc1"]["kernel"].shape == (8, 3)
  assert set(shapes(module("plain"))) == {"q", "k", "v", "proj"}
  assert set(shapes(module(mid=-1))) == {"q", "k", "v", "proj"}
  # F(x) = x doubles what q and k are made of; without F it is not.
  variables = fill(module(mid=-1), x)
  params = variables["params"]
  doubled = params | {n: jax.tree.map(lambda w: 2 * w, params[n]) for n in "qk"}
  found = module("plain").apply({"params": doubled}, x)
  np.testing.assert_allclose(
    module(mid=-1).apply(variables, x), found, atol=1e-5
  )
  # At the start F is torch's: uniform within 1 / sqrt(fan-in).
  made = jax.jit(module().init)(jax.random.key(0), x)["params"]["k_features"]
  for leaf in jax.tree.leaves({n: made[n] for n in ("fc1", "fc2")}):
    assert 0.2 < np.abs(leaf).max() <= 8**-0.5


def test_other_forms_are_refused(normal):
  with pytest.raises(ValueError, match="'mamba'"):
    module("mamba").init(jax.random.key(0), normal(1, 2, 4))
