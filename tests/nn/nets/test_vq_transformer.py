import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import sizes
from jmim.nn.nets import vq_transformer

B, K, GRID, T = 2, 5, (2, 3), 4
SIZE = sizes.Size(width=16, depth=2, heads=2, mlp_ratio=2.0)
IDS = jnp.array([[0, 1, 2, 3, 4, 5], [5, 5, 5, 5, 5, 5]])
TIME = jnp.array([1, 3])
TEXT = jax.random.normal(jax.random.key(9), (B, 7, 6))


def build(tables=GRID, **block):
  block = {"times": T} | block
  return vq_transformer.VQTransformer(
    size=SIZE, codes=K, grid=GRID, tables=tables, block=tuple(block.items())
  )


def filled(net, cond):
  """Random parameters, none of them as it starts."""
  shapes = jax.eval_shape(net.init, jax.random.key(0), IDS, TIME, cond)
  rng = np.random.default_rng(0)
  fill = lambda s: (0.3 * rng.normal(size=s.shape)).astype(s.dtype)
  return {"params": jax.tree.map(fill, shapes["params"])}


def logits(net, params, ids=IDS, time=TIME, cond=None):
  return jax.jit(net.apply)(params, ids, time, cond)["logits"]


CASES = {
  "none": (dict(), None),
  "class": (dict(kind="class", classes=3, mixer="conv"), jnp.array([0, 2])),
  "text": (dict(kind="text", timed="sinusoid", act="gelu"), TEXT),
}


@pytest.mark.parametrize("name", CASES)
def test_everything_it_is_told_counts(name):
  block, cond = CASES[name]
  net = build(**block)
  params = filled(net, cond)
  base = logits(net, params, cond=cond)
  assert base.shape == (B, 6, K) and base.dtype == jnp.float32
  other = logits(net, params, time=TIME.at[0].set(2), cond=cond)
  assert (other[0] != base[0]).any() and (other[1] == base[1]).all()
  changed = logits(net, params, ids=IDS.at[0, 5].set(0), cond=cond)
  assert (changed[0, 0] != base[0, 0]).any()  # every position sees all
  if cond is not None:
    other = logits(net, params, cond=jnp.roll(cond, 1, 0))
    assert (other != base).any()


def test_positions_are_a_row_and_a_column():
  """Tables that are larger than the grid are read in raster order."""
  net = build(tables=(3, 4))
  params = filled(net, None)["params"]
  place = (params["row_embed"][:, None] + params["column_embed"]).reshape(
    -1, 16
  )
  same = build(tables=(6, 1))
  moved = params | {
    "row_embed": place[:6],
    "column_embed": np.zeros((1, 16), np.float32),
  }
  np.testing.assert_allclose(
    logits(net, {"params": params}),
    logits(same, {"params": moved}),
    atol=1e-4,
  )


def test_a_norm_is_scaled_first_and_none_is_the_mean():
  norm = vq_transformer.AdaNorm(rows=3)
  x = jax.random.normal(jax.random.key(0), (4, 5, 8))
  index = jnp.array([0, 1, 2, 3])
  params = norm.init(jax.random.key(1), x, index)["params"]
  table = params["table"]
  silu = lambda e: e / (1 + np.exp(-e))
  told = np.concatenate([table, table.mean(0, keepdims=True)])
  moved = silu(told) @ params["linear"]["kernel"] + params["linear"]["bias"]
  scale, shift = moved[:, None, :8], moved[:, None, 8:]
  mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
  expected = (x - mean) / np.sqrt(var + 1e-5) * (1 + scale) + shift
  np.testing.assert_allclose(
    norm.apply({"params": params}, x, index), expected, atol=1e-5
  )


def test_a_class_may_be_told_to_a_norm_over_places():
  """Their AdaInsNorm: each channel over the places, without parameters."""
  told = vq_transformer.AdaNorm(rows=3, norm="instance")
  x = 3 + jax.random.normal(jax.random.key(0), (2, 5, 8))
  index = jnp.array([2, 0])
  params = told.init(jax.random.key(1), x, index)["params"]
  moved = jax.nn.silu(params["table"][index]) @ params["linear"]["kernel"]
  scale, shift = moved[:, None, :8], moved[:, None, 8:]
  mean, var = x.mean(1, keepdims=True), x.var(1, keepdims=True)
  expected = (x - mean) / np.sqrt(var + 1e-5) * (1 + scale) + shift
  found = told.apply({"params": params}, x, index)
  np.testing.assert_allclose(found, expected, atol=1e-5)


def test_sinusoids_of_a_time():
  """sin, then cos, of 4000 t / T; the last frequency is 1 / 10000."""
  norm = vq_transformer.AdaNorm(rows=10, kind="sinusoid")
  x = jax.random.normal(jax.random.key(0), (1, 2, 8))
  params = norm.init(jax.random.key(1), x, jnp.array([0]))["params"]
  assert "table" not in params
  angle = 3 / 10 * 4000 * np.exp(-np.log(1e4) * np.arange(4) / 3)
  wave = np.concatenate([np.sin(angle), np.cos(angle)])
  moved = wave / (1 + np.exp(-wave)) @ params["linear"]["kernel"]
  centred = (x - x.mean(-1, keepdims=True)) / np.sqrt(
    x.var(-1, keepdims=True) + 1e-5
  )
  expected = centred * (1 + moved[:8]) + moved[8:]
  found = norm.apply({"params": params}, x, jnp.array([3]))
  np.testing.assert_allclose(found, expected, atol=1e-4)


def test_convolutions_see_neighbours_on_the_grid():
  net = vq_transformer.ConvMLP(hidden=8, grid=(4, 6), act="gelu")
  x = jnp.zeros((1, 24, 4))
  params = jax.jit(net.init)(jax.random.key(0), x)
  base = net.apply(params, x)
  moved = net.apply(params, x.at[0, 0].set(1.0)) - base
  seen = (np.abs(moved[0]).max(-1) > 1e-7).reshape(4, 6)
  expected = np.zeros((4, 6), bool)
  expected[:3, :3] = True
  np.testing.assert_array_equal(seen, expected)


def test_taps_are_of_every_block():
  net = build()
  params = filled(net, None)
  out = net.apply(params, IDS, TIME, taps=("block", "attention"))
  assert out["block"].shape == (2, B, 6, 16)
  assert out["attention"].shape == (2, B, 2, 6, 6)
  np.testing.assert_array_equal(out["block"][-1], out["latent"])
