import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import cross_dit

W, HEAD = 16, 4


@pytest.fixture(scope="module")
def inputs(normal):
  return {
    "x": normal(2, 5, W),
    "cond": normal(2, 7, seed=1),
    "told": normal(2, 3, W, seed=2),
  }


def block(**more):
  given = {"inner": 8, "head": HEAD, "hidden": 12, **more}
  return cross_dit.CrossBlock(**given)


def call(module, variables, inputs, **changes):
  i = inputs | changes
  return module.apply(variables, i["x"], cond=i["cond"], told=i["told"])


@pytest.mark.parametrize(
  "ratio, width", [(1, W), (0.5, 8), (0.51, 8), (0.6, 16), (1.2, 24)]
)
def test_inner_widths_are_of_an_even_number_of_heads(ratio, width):
  assert cross_dit.inner_width(W, ratio, HEAD) == width


def test_all_of_an_odd_number_of_heads_stays_as_it_is():
  assert cross_dit.inner_width(12, 1, HEAD) == 12
  assert cross_dit.inner_width(12, 0.99, HEAD) == 16


@pytest.mark.parametrize(
  "ratio, gated, width",
  [(4.0, True, 48), (4.0, False, 64), (1.7, True, 32), (0.1, False, 16)],
)
def test_hidden_widths_are_rounded_up(ratio, gated, width):
  assert cross_dit.hidden_width(W, ratio, 16, gated) == width


@pytest.mark.parametrize("experts", [0, 2])
def test_at_first_only_the_text_is_added(inputs, experts):
  """The gates are zero; cross-attention has none."""
  module = block(experts=experts, capacity=1.0)
  i = inputs
  variables = jax.jit(module.init)(
    jax.random.key(0), i["x"], cond=i["cond"], told=i["told"]
  )
  y = call(module, variables, i)
  np.testing.assert_array_equal(
    y, call(module, variables, i, cond=3 * i["cond"])
  )
  p = variables["params"]
  x = i["x"] - i["x"].mean(-1, keepdims=True)
  normed = x / np.sqrt(x.var(-1, keepdims=True) + 1e-6) * p["norm2"]["scale"]
  cross = cross_dit.WideAttention(inner=W, head=HEAD)
  added = cross.apply({"params": p["cross"]}, normed, i["told"])
  np.testing.assert_allclose(y, i["x"] + added, atol=1e-6)
  assert np.abs(added).max() > 1e-4


def test_captions_act_by_cross_attention_and_by_the_condition(inputs, fill):
  i, module = inputs, block()
  variables = fill(module, i["x"], cond=i["cond"], told=i["told"])
  y = call(module, variables, i)
  assert np.abs(y - call(module, variables, i, told=-i["told"])).max() > 1e-3
  assert np.abs(y - call(module, variables, i, cond=-i["cond"])).max() > 1e-3
  p = variables["params"]
  p["cross"]["proj"]["kernel"][:] = 0
  y = call(module, variables, i)
  np.testing.assert_array_equal(y, call(module, variables, i, told=-i["told"]))


def by_hand(p, x, told, heads):
  """softmax(LN(q) LN(k)^T / sqrt(d)) v, q and k normed over all heads."""

  def whole(a):
    a = a - a.mean(-1, keepdims=True)
    return a / np.sqrt(a.var(-1, keepdims=True) + 1e-6)

  split = lambda a: a.reshape(*a.shape[:2], heads, -1).transpose(0, 2, 1, 3)
  q = split(whole(x @ p["q"]["kernel"]))
  k = split(whole(told @ p["k"]["kernel"]))
  v = split(told @ p["v"]["kernel"])
  logits = q @ k.transpose(0, 1, 3, 2) / q.shape[-1] ** 0.5
  a = np.exp(logits)
  y = (a / a.sum(-1, keepdims=True)) @ v
  y = y.transpose(0, 2, 1, 3).reshape(*x.shape[:2], -1)
  return y @ p["proj"]["kernel"]


def test_attention_norms_queries_and_keys_over_all_heads(inputs, fill):
  module = cross_dit.WideAttention(inner=8, head=HEAD)
  x, told = inputs["x"], inputs["told"]
  variables = fill(module, x, told)
  want = by_hand(variables["params"], x, told, heads=2)
  np.testing.assert_allclose(module.apply(variables, x, told), want, atol=1e-5)


def test_attention_to_itself_is_that_to_others(inputs, fill):
  module, x = cross_dit.WideAttention(inner=8, head=HEAD), inputs["x"]
  variables = fill(module, x)
  p = dict(variables["params"])
  parts = np.split(p.pop("qkv")["kernel"], 3, axis=1)
  p |= {n: {"kernel": w} for n, w in zip("qkv", parts, strict=True)}
  np.testing.assert_allclose(
    module.apply(variables, x),
    module.apply({"params": p}, x, x),
    atol=1e-6,
  )


def test_biases_are_where_they_are_asked_for(inputs):
  def names(bias):
    i, module = inputs, block(bias=bias)
    made = jax.eval_shape(
      lambda key: module.init(key, i["x"], cond=i["cond"], told=i["told"]),
      jax.random.key(0),
    )["params"]
    return {n for n in made if "bias" in str(jax.tree.structure(made[n]))}

  assert names(False) == {"modulation"}  # norms never have any
  assert names(True) == {"modulation", "attn", "cross", "mlp"}


def test_a_text_block_changes_nothing_at_first(inputs, fill):
  module, x = cross_dit.TextBlock(head=HEAD, hidden=8), inputs["told"]
  variables = jax.jit(module.init)(jax.random.key(0), x)
  np.testing.assert_array_equal(module.apply(variables, x), x)
  assert np.abs(module.apply(fill(module, x), x) - x).max() > 1e-2


def test_zeros_through_the_mlp_of_a_text_are_not_zeros(fill):
  module, none = cross_dit.NormedMLP(width=6), jnp.zeros((1, 3, 4))
  y = module.apply(fill(module, none), none)
  assert np.abs(y).max() > 0.1 and np.ptp(np.asarray(y), axis=1).max() == 0
