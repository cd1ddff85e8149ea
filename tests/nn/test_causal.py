import jax.numpy as jnp
import numpy as np

from jmim.nn import causal
from jmim.nn import posemb

B, T, W, H, G = 2, 6, 16, 4, 2
NET = causal.Attention(heads=H, kv_heads=G, proj_bias=False)


def test_masks_say_who_is_seen():
  np.testing.assert_array_equal(causal.causal(4, 4) == 0, np.tri(4))
  np.testing.assert_array_equal(causal.causal(2, 4, 1) == 0, np.tri(4)[1:3])
  blocks = jnp.array([[0, 1, 1, 0, 2, 2], [3, 3, 0, 0, 3, 0]])
  found = np.asarray(causal.by_block(blocks))[:, 0] == 0
  for b, row in enumerate(np.asarray(blocks)):
    for i in range(6):
      for j in range(6):
        own = row[i] > 0 and row[i] == row[j]
        assert found[b, i, j] == (j <= i or own)


def test_a_mask_is_finite_in_bf16():
  for bias in (causal.causal(3, 3), causal.by_place(*np.ones((2, 1, 3), int))):
    assert bias.dtype == jnp.float32 and not bias.weak_type
  hidden = causal.causal(1, 2).astype(jnp.bfloat16)
  assert jnp.isfinite(hidden).all() and hidden[0, 1] < -3e38


def test_equal_heads_without_a_cache_are_plain_attention(normal, fill):
  """Of queries that share keys, and of a bias that hides."""
  x = normal(B, T, W)
  variables = fill(NET, x)
  p, d = variables["params"], W // H
  heads = lambda name, n: (
    (x @ p[name]["kernel"] + p[name]["bias"])
    .reshape(B, T, n, d)
    .transpose(0, 2, 1, 3)
  )
  q, k, v = heads("q", H), heads("k", G), heads("v", G)
  assert p["k"]["kernel"].shape == (W, G * d) and "bias" not in p["proj"]
  logits = np.einsum("bhtd,bhsd->bhts", q, k.repeat(H // G, 1)) / d**0.5
  logits = np.where(np.tri(T, dtype=bool), logits, -np.inf)
  a = np.exp(logits - logits.max(-1, keepdims=True))
  a = a / a.sum(-1, keepdims=True)
  y = (a @ v.repeat(H // G, 1)).transpose(0, 2, 1, 3).reshape(B, T, W)
  found, taps = NET.apply(
    variables, x, bias=causal.causal(T, T), taps=("attention", "k")
  )
  np.testing.assert_allclose(found, y @ p["proj"]["kernel"], atol=1e-5)
  np.testing.assert_allclose(taps["attention"], a, atol=1e-6)
  np.testing.assert_allclose(taps["k"], k, atol=1e-5)


def test_rotated_logits_know_distances_only(normal):
  q, k = normal(1, 1, 1, 8), normal(1, 1, 1, 8, seed=1)

  def logit(i, j):
    angle = lambda p: causal.angles(jnp.array([[p]]), 8, 100.0)
    a, b = posemb.rotate(q, angle(i)), posemb.rotate(k, angle(j))
    return float((a * b).sum())

  np.testing.assert_allclose(logit(7, 4), logit(13, 10), rtol=1e-4)
  assert abs(logit(7, 4) - logit(7, 5)) > 1e-3
  np.testing.assert_allclose(logit(3, 3), float((q * k).sum()), rtol=1e-4)
  np.testing.assert_allclose(
    causal.angles(jnp.array([2.0]), 4, 100.0), [[2.0, 0.2]], rtol=1e-6
  )


def test_written_replaces_a_piece():
  old = np.zeros((1, 1, 4, 2), np.float16)
  new = np.ones((1, 1, 2, 2), np.float32)
  found = np.asarray(causal.written(old, new, 1))
  assert found.dtype == np.float16
  np.testing.assert_array_equal(found[0, 0, :, 0], [0, 1, 1, 0])


def test_places_say_who_is_seen():
  """[text, text, image, image] and, stored alike, [image, image, text]."""
  places = jnp.array([[0, 1, 2, 2], [1, 2, 0, 0]])
  present = jnp.array([[1, 1, 1, 1], [1, 0, 1, 1]]) > 0
  seen = np.asarray(causal.by_place(places, present))[:, 0] == 0
  first = [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1]]
  second = [[1, 0, 1, 1], [1, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1]]
  np.testing.assert_array_equal(seen, [first, second])
  rows = causal.by_place(places, present, looking=places[:, 1:3])
  np.testing.assert_array_equal(rows[:, 0] == 0, seen[:, 1:3])
  blocks = causal.by_block(jnp.array([[0, 0, 1, 1]]))
  np.testing.assert_array_equal(blocks[0, 0] == 0, seen[0])
