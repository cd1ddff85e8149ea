import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import joint_block
from jmim.nn import posemb

B, N, T, W = 2, 6, 4, 24  # tokens of the context, and of both
WIDTHS = (2, 2, 2)
PLACES = np.random.default_rng(0).integers(0, 4, (N + T, 3))
ROTARY = posemb.rotary_axes(PLACES, WIDTHS, 100.0)[None]


def block(kv_heads=2):
  return joint_block.JointBlock(
    heads=4, kv_heads=kv_heads, rotary_widths=WIDTHS
  )


@pytest.fixture(scope="module")
def given(fill, normal):
  x, cond = normal(B, N + T, W), normal(B, 2, W, seed=1)
  return x, cond, fill(block(), x, cond=cond, scale=0.5)


def run(variables, x, net=None, **more):
  kw = dict(context=N, rotary=ROTARY) | more
  return (net or block()).apply(variables, x, **kw)


def rms(x, scale=1.0):
  return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * scale


def stream(p, x, cond):
  """(modulations, q, k, v of all heads side by side)."""
  mods = cond @ p["modulation"]["kernel"] + p["modulation"]["bias"]
  mods = np.split(mods[:, None], 4, -1)
  y = rms(x) * (1 + mods[0])
  q, k, v = (y @ p[n]["kernel"] for n in "qkv")
  return mods, rms(q, p["q_norm"]["scale"]), rms(k, p["k_norm"]["scale"]), v


def finish(p, x, y, mods):
  x = x + np.tanh(mods[1]) * rms(y @ p["proj"]["kernel"])
  y = rms(x) * (1 + mods[2])
  gate, up = (y @ p["mlp"][n]["kernel"] for n in ("gate", "up"))
  y = (gate / (1 + np.exp(-gate)) * up) @ p["mlp"]["down"]["kernel"]
  return x + np.tanh(mods[3]) * rms(y)


def test_the_block_is_its_formula(given):
  """Queries of heads 0 and 1 read the keys of head 0, 2 and 3 those of 1."""
  x, cond, variables = given
  found, _ = run(variables, x, cond=cond)
  p = jax.tree.map(lambda a: np.asarray(a, np.float64), variables["params"])
  parts = {"context": x[:, :N], "target": x[:, N:]}
  made = {n: stream(p[n], parts[n], cond[:, i]) for i, n in enumerate(parts)}
  q, k, v = (np.concatenate([made[n][i] for n in parts], 1) for i in (1, 2, 3))
  heads = lambda a: a.reshape(B, N + T, -1, 6).swapaxes(1, 2)
  turn = lambda a: np.asarray(
    posemb.rotate(heads(a).astype(np.float32), ROTARY, WIDTHS), np.float64
  )
  q, k, v = turn(q), turn(k).repeat(2, 1), heads(v).repeat(2, 1)
  logits = np.einsum("bhtd,bhsd->bhts", q, k) / 6**0.5
  a = np.exp(logits - logits.max(-1, keepdims=True))
  a /= a.sum(-1, keepdims=True)
  read = (a @ v).swapaxes(1, 2).reshape(B, N + T, W)
  wanted = [
    finish(p[n], parts[n], y, made[n][0])
    for n, y in zip(parts, (read[:, :N], read[:, N:]), strict=True)
  ]
  np.testing.assert_allclose(found, np.concatenate(wanted, 1), atol=2e-5)


def test_a_fresh_block_changes_nothing(given):
  x, cond, _ = given
  fresh = block().init(jax.random.key(0), x, cond=cond)
  np.testing.assert_array_equal(run(fresh, x, cond=cond)[0], x)


def test_one_head_of_keys_per_query_is_plain_attention(given):
  """Heads of keys that are stored once, or for each head of queries."""
  x, cond, variables = given
  found, taps = run(variables, x, cond=cond, taps=("k",))

  def spread(path, leaf):
    name = path[-2].key
    if name not in ("k", "v", "k_norm"):
      return leaf
    heads = leaf.reshape(*leaf.shape[:-1], 2, 6).repeat(2, -2)
    return heads.reshape(*leaf.shape[:-1], W)

  full = jax.tree_util.tree_map_with_path(spread, variables["params"])
  again, more = run({"params": full}, x, net=block(4), cond=cond, taps=("k",))
  np.testing.assert_allclose(again, found, atol=1e-5)
  np.testing.assert_allclose(more["k"], taps["k"].repeat(2, 1), atol=1e-5)


def test_the_scale_of_a_stream_does_not_reach_queries_and_keys(given):
  x, cond, variables = given
  names = ("q", "k", "v")
  _, taps = run(variables, x, cond=cond, taps=names)
  _, large = run(variables, 50 * x, cond=cond, taps=names)
  for name in names:
    np.testing.assert_allclose(large[name], taps[name], atol=1e-4)


def test_hidden_tokens_reach_no_other(given):
  x, cond, variables = given
  mask = np.ones((B, N + T), bool)
  mask[:, :3] = False
  found, _ = run(variables, x, cond=cond, mask=mask)
  changed = jnp.asarray(x).at[:, :3].add(1.0)
  again, _ = run(variables, changed, cond=cond, mask=mask)
  np.testing.assert_array_equal(again[:, 3:], found[:, 3:])
  seen, _ = run(variables, changed, cond=cond)
  whole, _ = run(variables, x, cond=cond)
  assert np.abs(seen - whole)[:, 3:].max() > 1e-3


@pytest.mark.parametrize("width, wanted", [(48, 128), (96, 256), (2304, 6144)])
def test_hidden_widths_are_multiples_of_64(width, wanted):
  assert joint_block.hidden_width(width) == wanted
  assert joint_block.hidden_width(12) == 32
