import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.core import tree as trees
from jmim.methods.parts import classifier
from jmim.methods.supervised import backbone
from jmim.methods.supervised import finetune
from jmim.nn import sizes

DIMS = sizes.Dims(variant="Ti/4", width=16, depth=1, heads=2)
HOLDERS = {"finetune": finetune.Finetune, "backbone": backbone.Backbone}


@pytest.mark.parametrize("kind", classifier.KINDS)
def test_it_is_the_network_of_its_method(kind):
  """The same parameters, and where all tokens count as one the same logits."""
  part = classifier.Classifier(kind=kind, dims=DIMS)
  holder = HOLDERS[kind](size=8, classes=3, dims=DIMS)
  images = jax.random.normal(jax.random.key(0), (2, 8, 8, 3))
  batch = {"image": images, "label": jnp.zeros(2, jnp.int32)}
  params, _ = jax.jit(holder.init)(jax.random.key(1), batch)
  noise = lambda x: x + 0.1 * jax.random.normal(jax.random.key(2), x.shape)
  params = jax.tree.map(noise, params)
  shapes = lambda t: {n: x.shape for n, x in trees.named(t).items()}
  const = part.const(8, 3)
  like = jax.eval_shape(const.init, jax.random.key(0))
  assert shapes(like) == shapes(params["main"])
  want = holder.classify(methods.Weights(params), batch, None)
  net = part.encoder(8)
  x = net.apply({"params": params["main"]["encoder"]}, images)["latent"]
  if kind == "backbone":  # its final norm is in `logits`
    x = net.clone(final_norm=False).apply(
      {"params": params["main"]["encoder"]}, images
    )["latent"]
  got = part.logits(params["main"], x, jnp.ones((2, 5)), 3)
  np.testing.assert_allclose(got, want, atol=1e-5)


def test_patches_count_by_their_share():
  """A patch of size 2 is two patches; what is gone counts for nothing."""
  part = classifier.Classifier(kind="finetune", dims=DIMS)
  params = jax.jit(part.const(8, 3).init)(jax.random.key(0))
  x = jax.random.normal(jax.random.key(1), (1, 4, 16))
  twice = jnp.concatenate([x, x[:, 1:2]], axis=1)
  want = part.logits(params, twice, jnp.ones((1, 5)), 3)
  got = part.logits(params, x, jnp.asarray([[1.0, 2, 1, 1]]), 3)
  np.testing.assert_allclose(got, want, atol=1e-5)
  gone = part.logits(params, x, jnp.asarray([[1.0, 1, 1, 0]]), 3)
  short = part.logits(params, x[:, :3], jnp.ones((1, 3)), 3)
  np.testing.assert_allclose(gone, short, atol=1e-5)


def test_where_its_weights_are():
  const = classifier.Classifier(path="runs/x", sha256="ab").const(8, 3)
  assert (const.path, const.sha256) == ("runs/x", "ab")
  assert classifier.Classifier().const(8, 3).sha256 is None


def test_one_with_other_heads_is_refused(refused):
  make = lambda path: classifier.Classifier(path=path, dims=DIMS).const(8, 3)
  assert refused(make, {"dims": dict(variant="Ti/4", heads=2)}) == ""
  told = {"dims": dict(variant="Ti/4", heads=4)}
  assert refused(make, told) == "method.classifier.dims.heads"
