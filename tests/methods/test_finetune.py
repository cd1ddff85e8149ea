import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import config as configs
from jmim.methods.supervised import finetune
from jmim.nn import mix


def make(**own):
  return dataclasses.replace(finetune.Finetune.tiny(), **own)


def batch(b=8, seed=0):
  rng = np.random.default_rng(seed)
  images = rng.normal(size=(b, 16, 16, 3)).astype(np.float32)
  return {"image": images, "label": rng.integers(0, 6, b).astype(np.int32)}


@pytest.mark.parametrize(
  "alphas, cuts", [((0.8, 1.0), {0, 1}), ((0.0, 1.0), {1}), ((0.8, 0.0), {0})]
)
def test_mixing_is_chosen_by_its_two_alphas(alphas, cuts):
  m = make(mixup=alphas[0], cutmix=alphas[1])
  keys = jax.random.split(jax.random.key(0), 400)
  shapes = {"image": jnp.zeros((2, 16, 16, 3))}
  draws = jax.jit(jax.vmap(lambda k: m.draw(k, shapes, 0)))(keys)
  assert set(np.asarray(draws["cut"]).astype(int)) == cuts
  if len(cuts) == 2:
    assert 0.4 < draws["cut"].mean() < 0.6
  if alphas[0]:  # Beta(0.8, 0.8): mean 1/2, variance 1 / (4 (2 a + 1))
    assert abs(draws["lam"].mean() - 0.5) < 0.05
    assert abs(draws["lam"].var() - 1 / (4 * 2.6)) < 0.02
  else:
    assert (draws["lam"] == 1).all()


def test_a_cut_batch_shows_and_counts_the_partners_box():
  m, data = make(), batch()
  draws = {
    "cut": jnp.asarray(True),
    "lam": jnp.float32(0.3),
    "box": jnp.asarray([[2, 10, 4, 8]]),
  }
  images, targets = m.mixed(data, draws)
  np.testing.assert_array_equal(
    images[:, 2:10, 4:8], data["image"][::-1, 2:10, 4:8]
  )
  np.testing.assert_array_equal(images[:, :2], data["image"][:, :2])
  kept = 1 - 8 * 4 / 256
  want = mix.soft_targets(jnp.asarray(data["label"]), kept, 6, 0.1)
  np.testing.assert_allclose(targets, want, rtol=1e-6)
  np.testing.assert_allclose(targets.sum(1), 1, rtol=1e-5)


def test_nothing_mixed_and_nothing_dropped_is_plain_cross_entropy():
  m, data = make(drop_path=0.0, smoothing=0.0), batch()
  params, _ = m.init(jax.random.key(0), data)
  draws = m.draw(jax.random.key(1), data, 0)
  loss, _ = m.loss("main", params, {}, {}, data, draws, 0)
  logits = np.asarray(m.predict()["logits"](params, {}, {}, data, None))
  logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
  want = -logs[np.arange(8), data["label"]].mean()
  np.testing.assert_allclose(loss, want, rtol=1e-5)


def test_drop_path_rises_with_depth_and_keeps_the_mean():
  m = make(drop_path=0.4, depth=3)
  data = {"image": jnp.zeros((4000, 16, 16, 3))}
  drop = np.asarray(m.draw(jax.random.key(0), data, 0)["drop"])
  dropped = (drop == 0).mean((0, 2))
  np.testing.assert_allclose(dropped, [0, 0.2, 0.4], atol=0.02)
  np.testing.assert_allclose(drop.mean((0, 2)), 1, atol=0.03)


def test_recipes_start_from_the_encoders_of_the_pre_training_recipes():
  for name in ("digits", "cifar10", "imagenet"):
    pre, post = (
      configs.load(f"configs/{kind}_{name}.py") for kind in ("mae", "finetune")
    )
    for key in ("name", "size", "mean", "std"):
      assert pre.data[key] == post.data[key], (name, key)
    for key in ("variant", "size", "width", "depth", "heads"):
      assert pre.method.get(key) == post.method.get(key), (name, key)
