import jax
import numpy as np

from jmim.nn import dropout
from jmim.nn import postnorm

B, T, W, HEADS = 2, 5, 8, 2
NET = postnorm.PostBlock(heads=HEADS, rate=0.5)


def norm(p, x):
  x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True))
  return x * p["scale"] + p["bias"]


def dense(p, x):
  return x @ p["kernel"] + p["bias"]


def test_it_is_normalised_after_each_sum(normal, fill):
  x = normal(B, T, W)
  variables = fill(NET, x)
  p = jax.tree.map(lambda a: a.astype(np.float64), variables["params"])
  q, k, v = (
    dense(p["attn"]["qkv"], x)
    .reshape(B, T, 3, HEADS, -1)
    .transpose(2, 0, 3, 1, 4)
  )
  logits = q @ k.swapaxes(-1, -2) / np.sqrt(W // HEADS)
  a = np.exp(logits - logits.max(-1, keepdims=True))
  a = a / a.sum(-1, keepdims=True)
  y = dense(p["attn"]["proj"], (a @ v).swapaxes(1, 2).reshape(B, T, W))
  y = norm(p["norm1"], x + y)
  h = dense(p["mlp"]["fc1"], y)
  tanh = np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3))
  h = dense(p["mlp"]["fc2"], h * (1 + tanh) / 2)
  expected = norm(p["norm2"], y + h)
  found, taps = NET.apply(variables, x, taps=("block", "attention"))
  np.testing.assert_allclose(found, expected, atol=1e-5)
  np.testing.assert_allclose(taps["attention"], a, atol=1e-5)
  np.testing.assert_array_equal(taps["block"], found)


def test_a_bias_hides_tokens(normal, fill):
  x, other = normal(B, T, W), normal(B, T, W, seed=1)
  variables = fill(NET, x)
  causal = np.where(np.tri(T, dtype=bool), 0.0, -1e9)
  other[:, :3] = x[:, :3]
  a, b = (NET.apply(variables, z, bias=causal)[0] for z in (x, other))
  np.testing.assert_allclose(a[:, :3], b[:, :3], atol=1e-6)
  assert np.abs(a[:, 3:] - b[:, 3:]).max() > 1e-2


def test_dropout_needs_keys_and_knows_its_layer(normal, fill):
  x = normal(B, T, W)
  variables = fill(NET, x)
  keys = dropout.draw(jax.random.key(0), 0.5, B)["dropout"]
  still = NET.apply(variables, x)[0]
  first, second = (
    NET.apply(variables, x, keys=keys, index=i)[0] for i in range(2)
  )
  assert np.abs(first - still).max() > 1e-2
  assert np.abs(first - second).max() > 1e-2


def test_dropout_within_is_of_probabilities_and_of_the_hidden_layer(
  normal, fill, monkeypatch
):
  """As torch's: four places, of which two are within the branches."""
  x, seen = normal(B, T, W), []
  variables = fill(NET, x)
  keys = dropout.draw(jax.random.key(0), 0.5, B)["dropout"]

  def spy(y, keys, rate, site):
    seen.append((int(site), y.shape))
    return y * (0.5 if site >= postnorm._INSIDE else 1.0)

  monkeypatch.setattr(postnorm.dropout, "dropout", spy)
  net = NET.clone(inside=True)
  found = net.apply(variables, x, keys=keys, index=3)[0]
  sites = [site % postnorm._INSIDE for site, _ in seen]
  assert sites == [7, 7, 8, 8] and len({site for site, _ in seen}) == 4
  shapes = [shape for _, shape in seen]
  wide = (B, T, 4 * W)
  assert shapes == [(B, HEADS, T, T), (B, T, W), wide, (B, T, W)]
  # Halved probabilities halve what is attended to, before the output's bias.
  p = jax.tree.map(np.float64, variables["params"])
  plain = NET.apply(variables, x, taps=("v", "attention"))[1]
  y = 0.5 * np.asarray(plain["attention"]) @ np.asarray(plain["v"])
  y = dense(p["attn"]["proj"], y.swapaxes(1, 2).reshape(B, T, W))
  y = norm(p["norm1"], x + y)
  h = dense(p["mlp"]["fc1"], y)
  tanh = np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3))
  h = dense(p["mlp"]["fc2"], 0.5 * h * (1 + tanh) / 2)
  np.testing.assert_allclose(found, norm(p["norm2"], y + h), atol=1e-4)


def test_without_keys_nothing_is_dropped_within(normal, fill):
  x = normal(B, T, W)
  variables = fill(NET, x)
  still = NET.clone(inside=True).apply(variables, x)[0]
  np.testing.assert_array_equal(still, NET.apply(variables, x)[0])
