import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.methods.supervised import convnet

TINY = convnet.ConvNet.tiny()


@pytest.fixture(scope="module")
def case():
  rng = np.random.default_rng(0)
  batch = {
    "image": jnp.asarray(rng.uniform(-1, 1, (4, 8, 8, 3)), jnp.float32),
    "label": jnp.asarray([0, 1, 2, 0]),
  }
  params, extra = jax.jit(TINY.init)(jax.random.key(0), batch)
  assert extra == {}
  return methods.Weights(params), batch


def test_a_silent_head_makes_the_loss_that_of_guessing(case):
  weights, batch = case
  main = weights.params["main"]
  head = jax.tree.map(jnp.zeros_like, main["head"])
  silent = methods.Weights({"main": main | {"head": head}})
  loss, aux = TINY.loss(silent, batch, {}, 0)
  assert loss == pytest.approx(np.log(3))
  assert aux["accuracy"] == 0.5  # ties go to label 0, two of four


def test_logits_are_linear_in_the_features(case):
  weights, batch = case
  outputs = {n: f(weights, batch, None) for n, f in TINY.predict().items()}
  assert outputs["features"].shape == (4, 16)
  assert (outputs["features"] >= 0).all()  # means of ReLUs
  head = weights.params["main"]["head"]
  np.testing.assert_allclose(
    outputs["logits"],
    outputs["features"] @ head["kernel"] + head["bias"],
    rtol=1e-5,
  )
  logp = jax.nn.log_softmax(outputs["logits"])
  loss, _ = TINY.loss(weights, batch, {}, 0)
  want = -np.asarray(logp)[np.arange(4), batch["label"]].mean()
  assert loss == pytest.approx(want, rel=1e-5)


def test_features_do_not_depend_on_the_other_images(case):
  weights, batch = case
  features = TINY.predict()["features"]
  part = {"image": batch["image"][2:3]}
  np.testing.assert_allclose(
    features(weights, part, None),
    features(weights, batch, None)[2:3],
    atol=1e-6,
  )


def test_only_convolutions_are_decayed_besides_kernels():
  (group,) = TINY.groups()
  assert group.decay == 1.0
  shapes, _ = jax.eval_shape(TINY.init, jax.random.key(0), {})
  names = [
    jax.tree_util.keystr(path, simple=True, separator="/")
    for path, _ in jax.tree_util.tree_leaves_with_path(shapes)
  ]
  matched = {n for n in names if n.endswith("weight")}
  assert len(matched) == 3 and all("net" in n for n in matched)
