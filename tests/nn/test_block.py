import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from jmim.core import runtime
from jmim.nn import attention
from jmim.nn import block
from jmim.nn import dropout

B, T, W, HEADS = 3, 5, 8, 2


def _norm(p, x, eps=1e-6):
  x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps)
  return x * p["scale"] + p["bias"]


def _dense(p, x):
  return x @ p["kernel"] + p["bias"]


def _softmax(x):
  x = np.exp(x - x.max(-1, keepdims=True))
  return x / x.sum(-1, keepdims=True)


def _reference(variables, x, drop, bias, mask):
  """The pre-norm block with LayerScale and drop path, in float64."""
  p = jax.tree.map(lambda a: a.astype(np.float64), variables["params"])
  qkv = _dense(p["attn"]["qkv"], _norm(p["norm1"], x))
  q, k, v = qkv.reshape(B, T, 3, HEADS, -1).transpose(2, 0, 3, 1, 4)
  logits = q @ k.swapaxes(-1, -2) / np.sqrt(W // HEADS) + bias
  probabilities = _softmax(np.where(mask[:, None, None], logits, -np.inf))
  y = (probabilities @ v).swapaxes(1, 2).reshape(B, T, W)
  y = _dense(p["attn"]["proj"], y) * p["ls1"]["gamma"]
  x = x + y * drop[0][:, None, None]
  y = _dense(p["mlp"]["fc1"], _norm(p["norm2"], x))
  y = _dense(p["mlp"]["fc2"], y * (1 + special.erf(y / np.sqrt(2))) / 2)
  return x + y * p["ls2"]["gamma"] * drop[1][:, None, None], probabilities


@pytest.fixture(scope="module")
def case(fill, normal):
  """x, variables and jitted apply of a block with LayerScale."""
  module, x = block.Block(heads=HEADS, layer_scale=0.1), normal(B, T, W)
  variables = fill(module, x, scale=0.5)
  return x, variables, jax.jit(module.apply, static_argnames="taps")


def test_equals_the_pre_norm_block_with_everything_on(case, normal):
  x, variables, apply = case
  drop = np.array([[0, 2, 1], [2, 0, 1]], np.float32)
  bias = normal(HEADS, T, T)
  mask = np.ones((B, T), bool)
  mask[1, 2:] = False
  y, taps = apply(
    variables, x, drop=drop, bias=bias, mask=mask, taps=("block", "attention")
  )
  wanted, probabilities = _reference(
    variables, x, drop=drop, bias=bias, mask=mask
  )
  np.testing.assert_allclose(y, wanted, atol=1e-5)
  np.testing.assert_allclose(taps["attention"], probabilities, atol=1e-5)
  np.testing.assert_array_equal(taps["block"], y)


def test_zero_drop_factors_make_the_identity_per_example(case):
  x, variables, apply = case
  drop = np.array([[0, 1, 0], [0, 1, 0]], np.float32)
  y, taps = apply(variables, x, drop=drop)
  assert taps == {}
  np.testing.assert_array_equal(y[0], x[0])
  np.testing.assert_array_equal(y[2], x[2])
  full, _ = apply(variables, x)
  np.testing.assert_allclose(y[1], full[1], atol=1e-5)
  assert np.abs(y[1] - x[1]).max() > 0.1


def test_zero_layer_scale_makes_the_identity(case):
  x, variables, apply = case
  params = dict(variables["params"])
  params["ls1"] = params["ls2"] = {"gamma": np.zeros(W, np.float32)}
  np.testing.assert_array_equal(apply({"params": params}, x)[0], x)


def test_layer_scale_starts_where_told_or_is_absent(fill, normal):
  x = normal(1, T, W)
  start = block.LayerScale(0.125).init_with_output(jax.random.key(0), x)
  np.testing.assert_array_equal(start[1]["params"]["gamma"], np.full(W, 0.125))
  np.testing.assert_allclose(start[0], x / 8)
  params = fill(block.Block(heads=HEADS), x)["params"]
  assert set(params) == {"norm1", "attn", "norm2", "mlp"}


def test_mlp_ratio_sets_the_hidden_width(fill, normal):
  params = fill(block.Block(heads=HEADS, mlp_ratio=1.5), normal(1, T, W))[
    "params"
  ]
  assert params["mlp"]["fc1"]["kernel"].shape == (W, 12)


def test_drop_path_rates_rise_linearly():
  np.testing.assert_allclose(block.drop_path_rates(0.3, 4), [0, 0.1, 0.2, 0.3])
  np.testing.assert_array_equal(block.drop_path_rates(0.3, 1), [0])


def test_drop_path_scales_are_unbiased_and_independent():
  n, rates = 20_000, np.array([0.0, 0.1, 0.5])
  scales = np.asarray(block.drop_path_scales(jax.random.key(0), rates, n))
  assert scales.shape == (3, 2, n)
  np.testing.assert_array_equal(scales[0], 1)
  for rate, layer in zip(rates[1:], scales[1:], strict=True):
    for branch in layer:
      values = np.unique(branch)
      np.testing.assert_allclose(values, [0, 1 / (1 - rate)], rtol=1e-6)
      sigma = np.sqrt(rate / (1 - rate) / n)
      assert abs(branch.mean() - 1) < 4 * sigma
      assert abs((branch == 0).mean() - rate) < 4 * sigma
  correlation = np.corrcoef(scales[1:].reshape(4, n)) - np.eye(4)
  assert np.abs(correlation).max() < 4 / np.sqrt(n)


def _distance(normed):
  """[b, 1, t, t] minus the squared distances of the rows."""
  gaps = normed[:, :, None] - normed[:, None]
  return -(gaps**2).sum(-1)[:, None]


def test_a_bias_is_made_from_what_attention_reads(case, normal):
  x, variables, apply = case
  bias = normal(HEADS, T, T)
  apply = jax.jit(
    block.Block(heads=HEADS, layer_scale=0.1).apply,
    static_argnames=("taps", "bias_of"),
  )
  names = ("block", "normed", "attention")
  y, taps = apply(variables, x, bias=bias, bias_of=_distance, taps=names)
  normed = _norm(variables["params"]["norm1"], x)
  np.testing.assert_allclose(taps["normed"], normed, atol=1e-5)
  wanted, probabilities = _reference(
    variables,
    x,
    drop=np.ones((2, B)),
    bias=bias + np.asarray(_distance(normed)),
    mask=np.ones((B, T), bool),
  )
  np.testing.assert_allclose(y, wanted, atol=2e-5)
  np.testing.assert_allclose(taps["attention"], probabilities, atol=1e-5)
  np.testing.assert_array_equal(taps["block"], y)


def test_a_made_bias_stays_float32_and_runs_by_einsum(case, caplog):
  """-1e9 in bfloat16 logits of another implementation would be rounded."""
  x, variables, _ = case
  rt = runtime.Runtime(dtype=jnp.bfloat16, attention="xla")
  hide = lambda normed: jnp.zeros((T, T), jnp.float32).at[:, 1].set(-1e9)
  attention._say_einsum.cache_clear()
  module = block.Block(heads=HEADS, layer_scale=0.1, rt=rt)
  _, taps = module.apply(variables, x, bias_of=hide, taps=("attention",))
  assert taps["attention"].dtype == jnp.float32
  np.testing.assert_array_equal(taps["attention"][..., 1], 0)
  assert "'einsum'" in caplog.text


def test_hooks_that_are_not_used_cost_nothing(case):
  x, variables, _ = case

  def program(**hooks):
    module = block.Block(heads=HEADS, layer_scale=0.1)
    return str(jax.make_jaxpr(lambda v: module.apply(v, x, **hooks))(variables))

  same = program(edit=None, bias_of=None, bias=None)
  assert program() == same == program(edit=lambda logits: logits)


def test_dropout_needs_keys_and_is_of_both_branches(normal, fill):
  x = normal(B, T, W)
  net = block.Block(heads=HEADS, dropout=0.5)
  variables = fill(net, x)
  still, _ = net.apply(variables, x)
  plain = block.Block(heads=HEADS)
  np.testing.assert_array_equal(plain.apply(variables, x)[0], still)
  keys = dropout.draw(jax.random.key(0), 0.5, B)["dropout"]
  first, second = (
    net.apply(variables, x, keys=keys, index=i)[0] for i in range(2)
  )
  assert np.abs(first - still).max() > 1e-2
  assert np.abs(first - second).max() > 1e-2
  np.testing.assert_allclose(
    net.apply(variables, x[1:], keys=keys[1:])[0], first[1:], atol=1e-5
  )
