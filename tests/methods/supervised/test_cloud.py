"""Fine-tuning of the encoder of clouds."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.core import tree as trees
from jmim.methods.point import i2p_mae
from jmim.methods.supervised import cloud

KEY = jax.random.key(0)
TINY = cloud.Cloud.tiny()
STILL = dataclasses.replace(TINY, drop_path=0.0, dropout=0.0)


@pytest.fixture(scope="module")
def batch(normal):
  label = jnp.asarray([0, 4, 2])
  return {"points": jnp.asarray(normal(3, 32, 3)), "label": label}


@pytest.fixture(scope="module")
def weights(batch):
  return methods.Weights(*jax.jit(TINY.init)(KEY, batch))


def test_the_loss_is_smoothed_cross_entropy_under_statistics_of_the_batch(
  batch, weights
):
  loss, _ = jax.jit(STILL.loss)(weights, batch, {}, 0)
  out, _ = STILL.run(weights, batch, train=True)
  logp = jax.nn.log_softmax(out[0])
  own = logp[jnp.arange(3), batch["label"]]
  # As released: the others share what the label lacks, the label has no part.
  s, others = STILL.smoothing, logp.sum(-1) - own
  wanted = -((1 - s) * own + s / (STILL.classes - 1) * others).mean()
  np.testing.assert_allclose(loss, wanted, rtol=1e-5)
  plain = dataclasses.replace(STILL, smoothing=0.0)
  loss, _ = jax.jit(plain.loss)(weights, batch, {}, 0)
  np.testing.assert_allclose(loss, -own.mean(), rtol=1e-5)


def test_predictions_are_of_each_cloud_alone(batch, weights):
  for name, fn in TINY.predict().items():
    run = jax.jit(fn)
    whole = run(weights, batch, KEY)
    one = run(weights, {"points": batch["points"][1:2]}, KEY)
    np.testing.assert_allclose(whole[1:2], one, atol=1e-5, err_msg=name)


def test_a_pre_trained_encoder_fits(batch):
  ours, _ = jax.eval_shape(TINY.init, KEY, batch)
  theirs, _ = jax.eval_shape(i2p_mae.I2PMAE.tiny().init, KEY, batch)
  assert trees.named(ours["main"]["encoder"]) == trees.named(
    theirs["main"]["encoder"]
  )


def test_what_is_read_by_nothing_is_frozen(batch, weights):
  frozen = TINY.groups()[0].pattern
  gradient = jax.jit(
    jax.grad(
      lambda p: STILL.loss(methods.Weights(p, weights.extra), batch, {}, 0)[0]
    )
  )(weights.params)
  largest = max(np.abs(g).max() for g in jax.tree.leaves(gradient))
  for name, g in trees.named(gradient).items():
    if re.search(r"norm[01]/", name.replace("layers/block", "")):
      if "/encoder/norm" in name:
        assert re.search(frozen, name) and not np.asarray(g).any()
    if name.endswith("before/bias"):
      assert re.search(frozen, name)
      assert np.abs(g).max() < 1e-4 * largest  # rounding


def test_radii_are_one_per_level():
  with pytest.raises(ValueError, match="radii"):
    dataclasses.replace(TINY, radii=(1.0,)).inputs()
