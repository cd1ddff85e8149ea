import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import runtime
from jmim.nn import attention
from jmim.nn import attention_logits
from jmim.nn import posemb

_ON_CPU = ["einsum", "xla"]
B, H, T, S, D = 2, 3, 5, 7, 4


_attend = jax.jit(attention.attend, static_argnames="rt")


def _by(implementation):
  return runtime.Runtime(attention=implementation)


def _reference(q, k, v, bias=None, mask=None):
  """(output, probabilities) in float64, one softmax row at a time."""
  q, k, v = (np.asarray(a, np.float64) for a in (q, k, v))
  out = np.zeros((*q.shape[:3], v.shape[-1]))
  probabilities = np.zeros((*q.shape[:3], k.shape[2]))
  if bias is not None:
    bias = np.broadcast_to(np.asarray(bias, np.float64), probabilities.shape)
  for b, h, t in np.ndindex(*q.shape[:3]):
    logits = k[b, h] @ q[b, h, t] / np.sqrt(q.shape[-1])
    if bias is not None:
      logits = logits + bias[b, h, t]
    if mask is not None:
      logits = np.where(mask[b], logits, -np.inf)
    p = np.exp(logits - logits.max())
    probabilities[b, h, t] = p / p.sum()
    out[b, h, t] = probabilities[b, h, t] @ v[b, h]
  return out, probabilities


@pytest.fixture(scope="module")
def qkv(normal):
  shapes = [(B, H, T, D), (B, H, S, D), (B, H, S, D)]
  return [2 * normal(*s, seed=i) for i, s in enumerate(shapes)]


@pytest.fixture(scope="module")
def key_mask():
  mask = np.random.default_rng(1).random((B, S)) < 0.6
  mask[:, 0], mask[:, 3] = True, False
  return mask


@pytest.mark.parametrize("implementation", _ON_CPU)
@pytest.mark.parametrize(
  ("masked", "bias_shape"),
  [
    (False, None),
    (True, None),
    (True, (B, H, T, S)),
    (False, (T, S)),
    (False, (B, 1, 1, S)),
  ],
)
def test_equals_a_float64_softmax(
  qkv, key_mask, normal, implementation, masked, bias_shape
):
  bias = normal(*bias_shape) if bias_shape else None
  mask = key_mask if masked else None
  found = _attend(*qkv, bias=bias, mask=mask, rt=_by(implementation))
  wanted, _ = _reference(*qkv, bias, mask)
  np.testing.assert_allclose(found, wanted, atol=2e-6)


@pytest.mark.parametrize("implementation", _ON_CPU)
def test_masked_keys_have_no_influence(qkv, key_mask, implementation):
  q, k, v = qkv
  hidden = np.float32(~key_mask[:, None, :, None])
  found, changed = (
    _attend(q, k, v, mask=key_mask, rt=_by(implementation))
    for k, v in ((k, v), (k + 50 * hidden, v - 9 * hidden))
  )
  np.testing.assert_array_equal(found, changed)


def test_large_logits_do_not_overflow(qkv):
  q, k, v = qkv
  found = _attend(1e4 * q, 1e4 * k, v)
  best = np.argmax(_reference(q, k, v)[1], axis=-1)
  wanted = np.take_along_axis(np.asarray(v), best[..., None], axis=2)
  np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_bfloat16_keeps_the_softmax_in_float32(qkv):
  q, k, v = (a.astype(jnp.bfloat16) for a in qkv)
  p = jax.jit(attention.probabilities)(q, k, None, None)
  assert p.dtype == jnp.float32
  # Of the rounded inputs: only the rounding of the inputs may be seen.
  np.testing.assert_allclose(p, _reference(q, k, v)[1], atol=1e-6)
  for implementation in _ON_CPU:
    found = _attend(q, k, v, rt=_by(implementation))
    assert found.dtype == jnp.bfloat16
    error = np.asarray(found, np.float64) - _reference(q, k, v)[0]
    assert np.abs(error).max() < 2 * 2**-8 * np.abs(v.astype(float)).max()


@pytest.mark.parametrize("implementation", _ON_CPU)
def test_fewer_heads_of_keys_serve_their_neighbours(normal, implementation):
  q = normal(B, 6, T, D)
  k, v = normal(B, 2, S, D, seed=1), normal(B, 2, S, D, seed=2)
  found = _attend(q, k, v, rt=_by(implementation))
  wanted, _ = _reference(q, k.repeat(3, 1), v.repeat(3, 1))
  np.testing.assert_allclose(found, wanted, atol=2e-6)


def test_unknown_implementation_is_refused(qkv):
  with pytest.raises(ValueError, match="'fast' not in"):
    attention.attend(*qkv, rt=_by("fast"))


HEADS, WIDTH = 2, 6


@pytest.fixture(scope="module")
def layer(fill, normal):
  """x, variables, and the jitted layer as a function of them."""
  x, module = normal(B, T, WIDTH), attention.SelfAttention(heads=HEADS)
  return x, fill(module, x), jax.jit(module.apply, static_argnames="taps")


def _heads(params, x):
  """q, k, v [b, h, t, d]: qkv columns are (q, k, v), then head, then dim."""
  y = x @ params["qkv"]["kernel"] + params["qkv"]["bias"]
  d = WIDTH // HEADS
  starts = [[i * WIDTH + h * d for h in range(HEADS)] for i in range(3)]
  return [
    np.stack([y[:, :, start : start + d] for start in row], axis=1)
    for row in starts
  ]


def test_layer_and_taps_equal_their_recomputation(layer, normal):
  x, variables, apply = layer
  bias = normal(HEADS, T, T)
  mask = np.array([[1, 1, 1, 0, 1], [1, 1, 1, 1, 1]], bool)
  names = ("attention", "q", "k", "v")
  y, taps = apply(variables, x, bias=bias, mask=mask, taps=names)
  params = variables["params"]
  q, k, v = _heads(params, x)
  out, probabilities = _reference(q, k, v=v, bias=bias, mask=mask)
  merged = np.concatenate([out[:, h] for h in range(HEADS)], axis=-1)
  wanted = merged @ params["proj"]["kernel"] + params["proj"]["bias"]
  np.testing.assert_allclose(y, wanted, atol=2e-6)
  assert set(taps) == set(names)
  for name, array in {"q": q, "k": k, "v": v}.items():
    np.testing.assert_allclose(taps[name], array, atol=1e-6)
  np.testing.assert_allclose(taps["attention"], probabilities, atol=1e-6)
  assert taps["attention"].dtype == jnp.float32


def test_masked_tokens_do_not_reach_the_others(layer):
  x, variables, apply = layer
  mask = np.array([[1, 1, 1, 1, 0]] * B, bool)
  other = x.copy()
  other[:, 4] = 100
  found, _ = apply(variables, x, mask=mask)
  changed, _ = apply(variables, other, mask=mask)
  alone, _ = apply(variables, x[:, :4])
  np.testing.assert_array_equal(found[:, :4], changed[:, :4])
  np.testing.assert_allclose(found[:, :4], alone, atol=1e-6)


def test_without_positions_tokens_are_interchangeable(layer):
  x, variables, apply = layer
  order = np.array([3, 0, 4, 1, 2])
  wanted, taps = apply(variables, x)
  assert taps == {}
  found, _ = apply(variables, x[:, order])
  np.testing.assert_allclose(found, np.asarray(wanted)[:, order], atol=1e-6)


def test_qkv_bias_can_be_left_out(fill, normal):
  module = attention.SelfAttention(heads=HEADS, qkv_bias=False)
  params = fill(module, normal(B, T, WIDTH))["params"]
  assert set(params["qkv"]) == {"kernel"}
  assert set(params["proj"]) == {"kernel", "bias"}


def test_both_implementations_have_the_same_gradient(layer):
  x, variables, _ = layer

  def loss(variables, implementation):
    rt = runtime.Runtime(attention=implementation)
    y, _ = attention.SelfAttention(heads=HEADS, rt=rt).apply(variables, x)
    return (y**2).sum()

  gradient = jax.jit(jax.grad(loss), static_argnums=1)
  ours, theirs = (gradient(variables, name) for name in _ON_CPU)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
    ours,
    theirs,
  )


def test_width_must_divide_by_the_heads(fill, normal):
  with pytest.raises(ValueError, match="width 6 does not divide by 4 heads"):
    fill(attention.SelfAttention(heads=4), normal(B, T, WIDTH))


def test_key_bias_would_not_matter_and_is_not_there(fill, normal):
  x = normal(B, T, WIDTH)
  full, half = (
    attention.SelfAttention(heads=HEADS, qkv_bias=b) for b in (True, "qv")
  )
  params = fill(half, x)["params"]
  q, v = params["q_bias"], params["v_bias"]
  for k in (np.zeros_like(q), normal(WIDTH)):
    qkv = {"kernel": params["qkv"]["kernel"], "bias": np.concatenate([q, k, v])}
    same = full.apply({"params": {"qkv": qkv, "proj": params["proj"]}}, x)[0]
    np.testing.assert_allclose(
      same, half.apply({"params": params}, x)[0], atol=1e-4
    )


def test_cosine_attention_ignores_the_length_of_queries(fill, normal):
  x = normal(B, T, WIDTH)
  module = attention.SelfAttention(heads=HEADS, qkv_bias=False, cosine=True)
  params = fill(module, x)["params"]
  longer = dict(params)
  kernel = params["qkv"]["kernel"].copy()
  kernel[:, :WIDTH] *= 3
  longer["qkv"] = {"kernel": kernel}
  apply = lambda p: module.apply({"params": p}, x)[0]
  np.testing.assert_allclose(apply(params), apply(longer), atol=1e-5)
  # ln 100 is the most it scales by.
  for high in (np.log(100.0), 9.0):
    scale = {"logit_scale": np.full((HEADS, 1, 1), high, np.float32)}
    found = apply(params | scale)
    np.testing.assert_allclose(
      found,
      apply(params | {"logit_scale": scale["logit_scale"] * 2}),
      atol=1e-5,
    )


def test_cross_attention_of_tokens_to_themselves_is_self_attention(
  fill, normal
):
  x = normal(B, T, WIDTH)
  cross, own = (
    attention.CrossAttention(heads=HEADS),
    attention.SelfAttention(heads=HEADS),
  )
  params = fill(cross, x, x)["params"]
  join = lambda n: np.concatenate([params[i][n] for i in "qkv"], -1)
  fused = {
    "qkv": {"kernel": join("kernel"), "bias": join("bias")},
    "proj": params["proj"],
  }
  wanted = own.apply({"params": fused}, x)[0]
  found = cross.apply({"params": params}, x, x)
  np.testing.assert_allclose(found, wanted, atol=1e-5)
  other = cross.apply({"params": params}, x, x, 2 * x)
  assert np.abs(other - found).max() > 1e-2


def _largest(logits, keep=3):
  """All but the `keep` largest of a row become the least float."""
  least = jax.lax.top_k(logits, keep)[0][..., -1:]
  return jnp.where(logits >= least, logits, jnp.finfo(jnp.float32).min)


@pytest.mark.parametrize("rt", [_by("einsum"), _by("xla"), _by("cudnn")])
def test_logits_are_changed_after_bias_and_mask(qkv, key_mask, normal, rt):
  bias = 3 * normal(B, H, T, S)
  found = attention.attend(*qkv, bias=bias, mask=key_mask, edit=_largest, rt=rt)
  q, k, v = qkv
  logits = np.einsum("bhtd,bhsd->bhts", q, k) / np.sqrt(D) + bias
  logits = np.where(key_mask[:, None, None], logits, -np.inf)
  p = np.exp(logits - logits.max(-1, keepdims=True))
  p *= np.argsort(np.argsort(-logits)) < 3  # of the visible ones
  wanted = p / p.sum(-1, keepdims=True) @ v
  np.testing.assert_allclose(found, wanted, atol=2e-6)
  probabilities = attention.probabilities(q, k, bias, key_mask, edit=_largest)
  assert (np.count_nonzero(probabilities, axis=-1) <= 3).all()
  np.testing.assert_allclose(probabilities.sum(-1), 1, atol=1e-6)


def test_no_change_of_logits_is_the_same_program(layer, qkv):
  plain = jax.make_jaxpr(lambda *a: attention.attend(*a))(*qkv)
  given = jax.make_jaxpr(lambda *a: attention.attend(*a, edit=None))(*qkv)
  kept = jax.make_jaxpr(lambda *a: attention.attend(*a, edit=lambda y: y))(*qkv)
  assert str(plain) == str(given) == str(kept)


def test_the_log_says_once_that_einsum_runs(qkv, caplog):
  attention._say_einsum.cache_clear()
  for _ in range(2):
    attention.attend(*qkv, edit=_largest, rt=_by("xla"))
    attention.attend(*qkv, edit=_largest, rt=_by("einsum"))
  (record,) = caplog.records
  assert "runs as 'einsum'" in record.getMessage()
  assert "hardware.attention ('xla')" in record.getMessage()


def test_the_tap_of_attention_has_the_changed_logits(layer):
  x, variables, _ = layer
  module = attention.SelfAttention(heads=HEADS)
  names = ("attention", "v")
  y, taps = module.apply(variables, x, edit=_largest, taps=names)
  assert (np.count_nonzero(taps["attention"], axis=-1) == 3).all()
  seen = np.einsum("bhts,bhsd->bthd", taps["attention"], taps["v"])
  proj = variables["params"]["proj"]
  wanted = seen.reshape(B, T, WIDTH) @ proj["kernel"] + proj["bias"]
  np.testing.assert_allclose(y, wanted, atol=2e-6)


def test_the_tap_of_log_sum_exp_makes_the_probabilities(layer):
  x, variables, apply = layer
  mask = np.array([[1, 1, 1, 0, 1], [1, 1, 1, 1, 1]], bool)
  _, taps = apply(variables, x, mask=mask, taps=("q", "k", "attention", "lse"))
  logits = np.einsum("bhtd,bhsd->bhts", taps["q"], taps["k"]) / 3**0.5
  wanted = np.where(mask[:, None, None], np.exp(logits), 0)
  found = taps["attention"] * np.exp(taps["lse"])[..., None]
  np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_slices_of_a_head_turn_along_axes_of_their_own(fill, normal):
  """Equal shifts of all positions along an axis change nothing."""
  x, widths = normal(B, T, 12), (4, 2)
  kw = dict(heads=2, rotary_widths=widths, qk_norm="rms", proj_bias=False)
  module = attention.SelfAttention(**kw, qkv_bias=False)
  variables = fill(module, x)
  leaves = {"/".join(p) for p in _paths(variables["params"])}
  assert leaves == {
    *("qkv/kernel", "proj/kernel", "q_norm/scale", "k_norm/scale")
  }
  places = np.random.default_rng(0).integers(0, 4, (T, 2))

  def run(places):
    angles = posemb.rotary_axes(places, widths, 100.0)[None]
    return module.apply(variables, x, rotary=angles)[0]

  found = run(places)
  np.testing.assert_allclose(run(places + [5, 2]), found, atol=1e-5)
  for axis in ([1, 2], [2, 1]):
    assert np.abs(run(places * axis) - found).max() > 1e-4


def _paths(tree, path=()):
  for name, part in tree.items():
    yield from (
      _paths(part, (*path, name)) if isinstance(part, dict) else [(*path, name)]
    )


def test_cross_attention_reads_the_first_keys_with_normed_heads(fill, normal):
  """Fewer heads of keys, a prefix per example, and norms of q and k."""
  x, keys, lengths = normal(B, T, 8), normal(B, S, 6, seed=1), np.array([2, 5])
  kw = dict(heads=4, kv_heads=2, qk_norm="rms", proj_bias=False)
  module = attention.CrossAttention(**kw, qkv_bias=False)
  variables = fill(module, x, keys)
  p = variables["params"]
  found = module.apply(
    variables, x, keys, mask=attention_logits.prefix(lengths, S)
  )
  heads = lambda y, name, n: (
    (y @ p[name]["kernel"]).reshape(B, -1, n, 2).swapaxes(1, 2)
  )
  normed = lambda y, name: (
    y / np.sqrt((y * y).mean(-1, keepdims=True) + 1e-6) * p[name]["scale"]
  )
  q = normed(heads(x, "q", 4), "q_norm")
  k = normed(heads(keys, "k", 2), "k_norm")
  v = heads(keys, "v", 2)
  for b, n in enumerate(lengths):
    out, _ = _reference(
      q[b : b + 1],
      k[b : b + 1, :, :n].repeat(2, 1),
      v[b : b + 1, :, :n].repeat(2, 1),
    )
    wanted = out[0].swapaxes(0, 1).reshape(T, 8) @ p["proj"]["kernel"]
    np.testing.assert_allclose(found[b], wanted, atol=1e-5)


def test_attention_is_replaced_by_a_function_that_has_taps(fill, normal):
  x = normal(B, T, 8)
  module = attention.SelfAttention(heads=2, qk_norm="rms")
  variables = fill(module, x)

  def last(q, k, v):
    """Every token reads the last one."""
    return jnp.broadcast_to(v[:, :, -1:], q.shape), {"seen": (q * k).sum(-1)}

  found, taps = module.apply(
    variables, x, instead=last, taps=("seen", "q", "k", "v")
  )
  np.testing.assert_allclose(
    taps["seen"], (taps["q"] * taps["k"]).sum(-1), rtol=1e-6
  )
  p = variables["params"]["proj"]
  value = np.asarray(taps["v"][:, :, -1]).reshape(B, 8)
  wanted = value @ p["kernel"] + p["bias"]
  np.testing.assert_allclose(found[:, 0], wanted, atol=1e-5)
  np.testing.assert_array_equal(found[:, 0], found[:, 1])


@pytest.mark.parametrize("name", ["einsum", "xla"])
def test_probabilities_are_dropped_after_the_softmax(qkv, name):
  q, k, v = qkv
  halved = lambda p: p.at[..., ::2].set(0.0)
  found = attention.attend(*qkv, drop=halved, rt=_by(name))
  p = np.asarray(attention.probabilities(q, k)).copy()
  p[..., ::2] = 0
  np.testing.assert_allclose(found, p @ np.asarray(v), atol=1e-5)
