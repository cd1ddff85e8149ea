import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import config as configs
from jmim.core import method as methods
from jmim.core import validate
from jmim.methods.mim import mae
from jmim.methods.parts import mixing as mixings
from jmim.methods.supervised import finetune
from jmim.nn import sizes

TINY = finetune.Finetune.tiny()


def make(**fields):
  return dataclasses.replace(TINY, **fields)


def batch(b=8, seed=0):
  rng = np.random.default_rng(seed)
  images = rng.normal(size=(b, 16, 16, 3)).astype(np.float32)
  return {"image": images, "label": rng.integers(0, 6, b).astype(np.int32)}


@pytest.fixture(scope="module")
def weights():
  params, extra = jax.jit(TINY.init)(jax.random.key(0), batch())
  assert extra == {}
  return methods.Weights(params)


def test_nothing_mixed_and_nothing_dropped_is_plain_cross_entropy(weights):
  mixing = mixings.Mixing(mixup=0.0, cutmix=0.0, smoothing=0.0)
  m, data = make(drop_path=0.0, mixing=mixing), batch()
  draws = m.drawn(jax.random.key(1), data)
  loss, _ = m.loss(weights, data, draws, 0)
  logits = np.asarray(m.predict()["logits"](weights, data, None))
  logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
  want = -logs[np.arange(8), data["label"]].mean()
  np.testing.assert_allclose(loss, want, rtol=1e-5)


def test_the_loss_of_a_mixed_batch_is_mixed_too(weights):
  """Of a batch mixed half and half the label of no image is certain."""
  mixing = mixings.Mixing(mixup=0.8, cutmix=0.0, smoothing=0.0)
  m, data = make(drop_path=0.0, mixing=mixing), batch()
  draws = m.drawn(jax.random.key(1), data) | {"lam": jnp.float32(0.5)}
  loss, _ = m.loss(weights, data, draws, 0)
  half = (data["image"] + data["image"][::-1]) / 2
  logits = np.asarray(m.logits(weights.params, half))
  logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
  rows, label = np.arange(8), data["label"]
  want = -(logs[rows, label] + logs[rows, label[::-1]]).mean() / 2
  np.testing.assert_allclose(loss, want, rtol=1e-5)


def test_the_head_does_not_see_the_class_token(weights):
  m, data = make(), batch(2)
  latent = m.encode(weights, data)["latent"]
  assert latent.shape == (2, 17, 32)
  head = {"params": weights.params["main"]["head"]}
  logits = m.predict()["logits"](weights, data, None)
  changed = latent.at[:, 0].add(5.0)
  seen = m.head.apply(head, m.read(changed))
  np.testing.assert_allclose(seen, logits, atol=1e-6)
  assert np.abs(m.head.apply(head, m.read(-latent)) - logits).max() > 1e-6


def test_drop_path_rises_with_depth_and_keeps_the_mean():
  dims = sizes.Dims(variant="Ti/4", width=32, depth=3, heads=4)
  m = make(drop_path=0.4, dims=dims)
  data = {"image": jnp.zeros((4000, 16, 16, 3))}
  drop = np.asarray(m.drawn(jax.random.key(0), data)["drop"])
  dropped = (drop == 0).mean((0, 2))
  np.testing.assert_allclose(dropped, [0, 0.2, 0.4], atol=0.02)
  np.testing.assert_allclose(drop.mean((0, 2)), 1, atol=0.03)


def test_a_dropped_example_is_its_embedding(weights):
  """Factors [b, blocks, 2] reach both branches of every block."""
  m, data = make(mixing=mixings.Mixing(mixup=0.0, cutmix=0.0)), batch(2)
  drop = jnp.stack([jnp.ones((2, 2)), jnp.zeros((2, 2))], axis=-1)
  logits = m.logits(weights.params, data["image"], drop)
  encoder = {"params": weights.params["main"]["encoder"]}
  embedded = m.encoder.apply(encoder, data["image"])["embedded"]
  head = {"params": weights.params["main"]["head"]}
  alone = m.head.apply(head, m.read(embedded))
  np.testing.assert_allclose(logits[1], alone[1], atol=1e-6)
  plain = m.logits(weights.params, data["image"])
  np.testing.assert_allclose(logits[0], plain[0], atol=1e-6)


def test_flat_keys_of_older_recipes_are_read():
  older = dict(
    type="supervised.finetune",
    variant="Ti/4",
    size=32,
    width=96,
    depth=4,
    heads=4,
    mlp_ratio=2.0,
    classes=10,
    drop_path=0.05,
    mixup=0.2,
    cutmix=0.0,
    smoothing=0.3,
  )
  m = validate.build(finetune.Finetune, older, "method")
  assert m == finetune.Finetune(
    size=32,
    classes=10,
    dims=sizes.Dims(variant="Ti/4", width=96, depth=4, heads=4, mlp_ratio=2.0),
    mixing=mixings.Mixing(mixup=0.2, cutmix=0.0, smoothing=0.3),
    drop_path=0.05,
  )


def test_recipes_start_from_the_encoders_of_the_pre_training_recipes():
  for name in ("digits", "cifar10", "imagenet"):
    pre, post = (
      configs.load(f"configs/{kind}_{name}.py") for kind in ("mae", "finetune")
    )
    for key in ("name", "size", "mean", "std"):
      assert pre.data[key] == post.data[key], (name, key)
    before, after = (
      validate.build(cls, config.method, "method")
      for cls, config in ((mae.MAE, pre), (finetune.Finetune, post))
    )
    assert (before.size, before.dims) == (after.size, after.dims), name
