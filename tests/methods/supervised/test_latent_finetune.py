"""A classifier of latents is the classifier of images, on their latents."""

import dataclasses

import jax
import numpy as np
import pytest

from jmim.core import config as configs
from jmim.core import field
from jmim.core import method as methods
from jmim.core import validate
from jmim.methods.mim import lmd
from jmim.methods.parts import mixing as mixings
from jmim.methods.supervised import finetune
from jmim.methods.supervised import latent_finetune

TINY = field.replace(
  latent_finetune.LatentFinetune.tiny(),
  mixing={"mixup": 0.8, "cutmix": 1.0},
  drop_path=0.2,
)
PLAIN = dataclasses.replace(
  finetune.Finetune.tiny(), channels=4, mixing=TINY.mixing, drop_path=0.2
)
KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
MOMENTS = RNG.normal(size=(4, 16, 16, 8)).astype(np.float32)
LABELS = np.arange(4, dtype=np.int32)
STORED = {"moments": MOMENTS, "label": LABELS}
SEEN = {"image": MOMENTS[..., :4], "label": LABELS}


def equal(a, b):
  jax.tree.map(np.testing.assert_array_equal, a, b)


def test_it_is_the_fine_tuning_of_images_on_the_posteriors_mode(fill):
  """Start, draws, mixed loss and gradient, and logits, bit for bit."""
  equal(jax.jit(TINY.init)(KEY, STORED), jax.jit(PLAIN.init)(KEY, SEEN))
  draws = PLAIN.drawn(KEY, SEEN)
  equal(TINY.drawn(KEY, STORED), draws)
  params = fill(PLAIN, SEEN, scale=0.2)[0]

  def graded(m, batch):
    loss = lambda p: m.loss(methods.Weights(p), batch, draws, 0)[0]
    return jax.jit(jax.value_and_grad(loss))(params)

  equal(graded(TINY, STORED), graded(PLAIN, SEEN))
  weights = methods.Weights(params)
  logits = (
    jax.jit(m.predict()["logits"])(weights, batch, None)
    for m, batch in ((TINY, STORED), (PLAIN, SEEN))
  )
  equal(*logits)


@pytest.mark.parametrize("pool", ["mean", "cls"])
def test_the_head_reads_the_tokens_of_pool_only(fill, pool):
  m = dataclasses.replace(TINY, pool=pool)
  params = fill(m, STORED, scale=0.2)[0]
  weights, head = methods.Weights(params), {"params": params["main"]["head"]}
  latent = m.encode(weights, STORED)["latent"]
  logits = m.predict()["logits"](weights, STORED, None)
  apply = lambda z: m.head.apply(head, m.read(z))
  unread = slice(1, None) if pool == "cls" else slice(0, 1)
  np.testing.assert_allclose(
    apply(latent.at[:, unread].add(5.0)), logits, atol=1e-5
  )
  assert np.abs(apply(-latent) - logits).max() > 1e-3


def test_images_are_encoded_first():
  m = field.replace(
    TINY, size=2, dims={"variant": "Ti/1"}, first_stage={"path": "W"}
  )
  stage = dataclasses.replace(m.first_stage, read="images")
  m = dataclasses.replace(m, first_stage=stage)
  assert m.inputs()["image"].shape == (16, 16, 3)
  params = jax.tree.map(
    lambda s: 0.2 * np.random.default_rng(3).normal(size=s.shape).astype("f4"),
    jax.eval_shape(stage.net.init, KEY),
  )
  x = RNG.normal(size=(2, 16, 16, 3)).astype(np.float32)
  moments, _ = jax.jit(stage.net.encode)(params, x)
  weights = methods.Weights({}, {}, {"first_stage": params})
  found = jax.jit(m.latents)(weights, {"image": x})
  np.testing.assert_allclose(found["image"], moments[..., :4], atol=1e-5)


def test_recipes_start_from_the_encoders_of_the_pre_training_recipes():
  for name in ("digits", "imagenet"):
    pre, post = (
      configs.load(f"configs/{kind}_{name}.py")
      for kind in ("lmd", "lmd_finetune")
    )
    for key in ("name", "size", "mean", "std"):
      assert pre.data[key] == post.data[key], (name, key)
    before, after = (
      validate.build(cls, config.method, "method")
      for cls, config in (
        (lmd.LMD, pre),
        (latent_finetune.LatentFinetune, post),
      )
    )
    same = ("size", "channels", "dims", "first_stage")
    for field_name in same:
      assert getattr(before, field_name) == getattr(after, field_name), name


def test_mixing_can_be_switched_off():
  off = mixings.Mixing(mixup=0.0, cutmix=0.0)
  m = dataclasses.replace(TINY, mixing=off)
  x, _ = m.mixing.apply(SEEN, m.drawn(KEY, STORED), m.classes)
  np.testing.assert_array_equal(x, SEEN["image"])
