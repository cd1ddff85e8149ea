"""Stage one of DiGIT, against the sentences of its card."""

import jax
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.discrete import digit

TINY = digit.DiGIT.tiny()
FREE = field.replace(TINY, classes=0)
DIMS = dict(variant="Ti/4", width=32, depth=4, heads=2)
SEEN = field.replace(
  FREE,
  semantic=dict(
    read="images", vectors=dict(teacher=dict(family="mae", dims=DIMS))
  ),
)
N, K, B = TINY.semantic.length, TINY.semantic.vocabulary, 6


def weights_of(method, seed=0):
  rng = np.random.default_rng(seed)
  shapes, _ = jax.eval_shape(method.init, jax.random.key(0), {})
  fill = lambda s: (0.3 * rng.normal(size=s.shape)).astype(s.dtype)
  return methods.Weights(jax.tree.map(fill, shapes))


@pytest.fixture(scope="module")
def weights():
  return weights_of(TINY)


@pytest.fixture(scope="module")
def batch():
  rng = np.random.default_rng(1)
  codes = rng.integers(0, K, (B, N)).astype(np.int32)
  return {"semantic_codes": codes, "label": np.arange(B) % 3}


def log_p(weights, batch, method=TINY):
  logits = method.run(weights, batch, batch["semantic_codes"])["logits"]
  return np.asarray(jax.nn.log_softmax(logits))


def test_ids_are_fairseq_s():
  """Five special ones, codes, labels; the last are read only."""
  assert (TINY.net.rows, TINY.net.outputs) == (5 + K + 3, 5 + K)
  assert TINY.net.length == 1 + N and TINY.n_codes == {"semantic_codes": K}
  label = {"label": np.array([0, 2])}
  np.testing.assert_array_equal(TINY.first(label), [[5 + K], [7 + K]])
  np.testing.assert_array_equal(
    FREE.first({"semantic_codes": np.zeros((2, N))}), 2
  )


def test_the_loss_is_smoothed_over_the_whole_vocabulary(weights, batch):
  loss, aux = jax.jit(TINY.loss)(weights, batch, {}, 0)
  logp = log_p(weights, batch)
  target = np.pad(
    5 + batch["semantic_codes"], ((0, 0), (0, 1)), constant_values=2
  )
  own = np.take_along_axis(logp, target[..., None], -1)
  np.testing.assert_allclose(aux["nll"], -own.mean(), rtol=1e-5)
  cost = -0.9 * own.mean() - 0.1 * logp.mean()
  np.testing.assert_allclose(loss, cost, rtol=1e-5)
  plain, _ = field.replace(TINY, smoothing=0.0).loss(weights, batch, {}, 0)
  np.testing.assert_allclose(plain, aux["nll"], rtol=1e-6)
  named = (logp[:, :-1].argmax(-1) == target[:, :-1]).mean()
  np.testing.assert_allclose(aux["token_accuracy"], named, rtol=1e-6)
  nll = TINY.nll(weights, batch, None)
  np.testing.assert_allclose(nll, -own[..., 0].sum(1), rtol=1e-5)
  draws = TINY.drawn(jax.random.key(0), batch)
  assert jax.jit(TINY.loss)(weights, batch, draws, 0)[0] != loss


def test_no_token_sees_later_ones(weights, batch):
  other = batch | {"semantic_codes": (batch["semantic_codes"] + 1) % K}
  other["semantic_codes"][:, :4] = batch["semantic_codes"][:, :4]
  a, b = log_p(weights, batch), log_p(weights, other)
  np.testing.assert_allclose(a[:, :5], b[:, :5], atol=1e-5)
  assert np.abs(a[:, 5:] - b[:, 5:]).max() > 1e-2


def test_the_label_comes_first(weights, batch):
  other = batch | {"label": (batch["label"] + 1) % 3}
  a, b = log_p(weights, batch), log_p(weights, other)
  assert (np.abs(a - b).max((1, 2)) > 1e-3).all()


def test_samples_with_and_without_a_cache_agree(weights):
  index, label = np.arange(4), np.array([0, 1, 2, 0])
  batch, key = {"index": index, "label": label}, jax.random.key(3)
  made = jax.jit(TINY.generate)(weights, batch, key)["tokens"]
  again = field.replace(TINY, sampling=dict(cache=False))
  np.testing.assert_array_equal(again.sample(weights, batch, key), made)
  back = {"index": index[::-1], "label": label[::-1]}
  np.testing.assert_array_equal(
    jax.jit(TINY.generate)(weights, back, key)["tokens"][::-1], made
  )
  assert made.shape == (4, N) and made.min() >= 0 and made.max() < K


def test_each_token_is_among_the_k_likeliest(weights):
  few = field.replace(TINY, sampling=dict(top_k=2))
  batch = {"index": np.arange(8), "label": np.arange(8) % 3}
  made = np.asarray(few.sample(weights, batch, jax.random.key(0)))
  logp = log_p(weights, batch | {"semantic_codes": made})[:, :-1, 5:]
  rank = (logp > np.take_along_axis(logp, made[..., None], -1)).sum(-1)
  assert rank.max() == 1  # the second, sometimes


def test_known_codes_stay(weights):
  prompt = np.full((2, N), -1)
  prompt[:, :3] = [[1, 2, 3], [4, 5, 6]]
  batch = {"prompt": prompt, "label": np.zeros(2, int)}
  made = TINY.generate(weights, batch, jax.random.key(0))["tokens"]
  np.testing.assert_array_equal(made[:, :3], prompt[:, :3])
  assert (made[:, 3:] >= 0).all()


def test_layers_are_mean_tokens_of_every_block(batch):
  free = weights_of(FREE)
  layers = FREE.layers(free, batch, None)
  assert list(layers) == ["block_00", "block_01", "block_02"]
  out = FREE.run(free, batch, batch["semantic_codes"])
  np.testing.assert_allclose(
    layers["block_02"], out["latent"].mean(1), atol=1e-5
  )
  features = FREE.features(free, batch, None)
  np.testing.assert_array_equal(features, layers["block_01"])
  # A label that is read would be found again.
  assert "layers" in FREE.predict() and "layers" not in TINY.predict()


@pytest.fixture(scope="module")
def seen():
  """Weights, with a ViT and a table, and images."""
  consts = SEEN.consts()
  assert set(consts) == {"codebook", "features"}
  made = {n: jax.jit(c.init)(jax.random.key(1)) for n, c in consts.items()}
  weights = weights_of(SEEN)
  image = np.random.default_rng(0).normal(size=(3, 12, 12, 3)).astype("f4")
  return methods.Weights(weights.params, {}, made), {"image": image}


def test_codes_are_the_nearest_features_after_the_norm(seen):
  """Of the block before the last two, by brute force; images: no cls."""
  weights, batch = seen
  net = SEEN.semantic.vectors.net.encoder
  params = {"params": weights.consts["features"]}
  x = net.apply(params, batch["image"], taps=("block",))["block"][1]
  x = np.asarray(x[:, net.prefix :])
  f = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
  norm = weights.consts["features"]["norm"]
  f = f * np.asarray(norm["scale"]) + np.asarray(norm["bias"])
  table = np.asarray(weights.consts["codebook"]["codes"])
  nearest = ((f[:, :, None] - table) ** 2).sum(-1).argmin(-1)
  found = SEEN.codes(weights, batch, None)
  np.testing.assert_array_equal(found["semantic_codes"], nearest)
  loss, _ = SEEN.loss(weights, batch, {}, 0)
  stored, _ = FREE.loss(weights, {"semantic_codes": nearest}, {}, 0)
  np.testing.assert_allclose(loss, stored, rtol=1e-6)


def test_stability_is_the_share_of_codes_that_stay(seen):
  weights, batch = seen
  method = field.replace(SEEN, sigmas=(0.0, 0.01, 10.0))
  found = method.stability(weights, batch, jax.random.key(0))
  assert set(found) == {"noise_0", "noise_0.01", "noise_10"}
  np.testing.assert_array_equal(found["noise_0"], 1)
  assert found["noise_10"].mean() < found["noise_0.01"].mean()
  one = {"image": batch["image"][1:2], "index": np.array([1])}
  alone = method.stability(weights, one, jax.random.key(0))
  np.testing.assert_allclose(alone["noise_10"][0], found["noise_10"][1])


def test_mistakes():
  with pytest.raises(ValueError, match=r"lm.dims.width 32 .* 5 lm.dims.heads"):
    field.replace(TINY, lm=dict(dims=dict(heads=5))).inputs()
  with pytest.raises(ValueError, match="semantic.vectors.size 12 does not"):
    field.replace(TINY, semantic=dict(vectors=dict(patch=5))).inputs()
  with pytest.raises(ValueError, match=r"semantic.vectors.teacher.layer: -9"):
    wrong = dict(vectors=dict(teacher=dict(layer=-9)))
    field.replace(SEEN, semantic=wrong).inputs()
  with pytest.raises(ValueError, match="channels 1: a ViT sees 3"):
    wrong = dict(vectors=dict(channels=1))
    field.replace(SEEN, semantic=wrong).inputs()
