"""A point encoder and its head in one."""

import jax
import jax.numpy as jnp
import numpy as np

from jmim.nn import batchnorm
from jmim.nn import points
from jmim.nn.decoders import heads
from jmim.nn.nets import point_classifier
from jmim.nn.nets import point_encoder

DIMS = point_encoder.TINY


def test_it_is_the_head_on_the_encoder(fill, normal):
  levels = points.divide(
    jnp.asarray(normal(2, 32, 3)), DIMS.groups, DIMS.members
  )
  net = point_classifier.PointClassifier(
    dims=DIMS, classes=5, radii=(1.0, 2.0, 3.0), hidden=8, pool="concat"
  )
  made = jax.tree.map(np.abs, fill(net, levels))
  logits, tokens = net.apply(made, levels)
  part = lambda name: {k: v[name] for k, v in made.items()}
  encoder = point_encoder.PointEncoder(dims=DIMS)
  wanted = encoder.apply(part("encoder"), levels, radii=(1.0, 2.0, 3.0))[-1]
  np.testing.assert_allclose(tokens, wanted, atol=1e-5)
  head = heads.CloudHead(classes=5, hidden=8, pool="concat")
  told = head.apply(part("head"), wanted, train=False)
  np.testing.assert_allclose(logits, told, atol=1e-5)
  assert set(made[batchnorm.STATISTICS]) == {"encoder", "head"}
