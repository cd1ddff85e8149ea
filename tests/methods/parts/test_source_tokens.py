import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import method
from jmim.methods.parts import source_tokens
from jmim.methods.supervised import convnet

RNG = np.random.default_rng(0)
X = jnp.asarray(np.tanh(RNG.normal(size=(2, 8, 8, 3))), jnp.float32)
PICTURE = method.Input((8, 8, 3))
ENCODER = dict(variant="S/4", width=8, depth=1, heads=2)


def part(**own):
  dims = source_tokens.sizes.Dims(**ENCODER)
  return source_tokens.SourceTokens(encoder=dims, channels=4, **own)


def test_an_identity_is_the_features_of_the_classifier():
  classifier = convnet.ConvNet.tiny()
  batch = {"image": X, "label": jnp.zeros(2, jnp.int32)}
  params, _ = classifier.init(jax.random.key(0), batch)
  want = classifier.vector(params, X)
  consts = {"identity": params["main"]["net"]}
  weights = method.Weights({}, consts=consts)
  found = part().who(weights, {"source": X})
  np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-6)
  assert found.shape[1] == part().features
  like = part().consts()["identity"].init(jax.random.key(1))
  assert jax.tree.map(jnp.shape, like) == jax.tree.map(
    jnp.shape, consts["identity"]
  )
  grad = jax.grad(lambda x: part().who(weights, {"source": x}).sum())(X)
  assert not grad.any()


def test_an_identity_may_be_stored_or_not_be_there():
  stored = part(identity="stored", width=6)
  assert set(stored.inputs(PICTURE)) == {"source", "identity"}
  given = jnp.ones((2, 6))
  assert stored.who(method.Weights({}), {"identity": given}) is given
  assert not stored.consts() and stored.features == 6
  none = part(identity="none", count=0)
  assert none.inputs(PICTURE) == {} and none.features == 0
  assert none.who(method.Weights({}), {}) is None
  # The frozen network reads the source, too.
  assert set(part(count=0).inputs(PICTURE)) == {"source"}


def test_tokens_are_as_many_as_asked_for():
  net = part(count=3).net(8)
  assert net.count == 3 and net.encoder.grid == (2, 2)
