import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toydiffusion

from jmim.core import errors
from jmim.core import procedure
from jmim.methods.diffusion import ddpm
from jmim.methods.parts import classifier_score
from jmim.methods.supervised import attributes
from jmim.methods.supervised import convnet

IMAGE = (8, 8, 3)


def model(method):
  return procedure.Model(
    method=method, weights=toydiffusion.fresh(method), key="procedure.x.path"
  )


ONE, SEVERAL = (
  model(convnet.ConvNet.tiny()),
  model(attributes.Attributes.tiny()),
)
X = jax.random.normal(jax.random.key(0), (4, *IMAGE))


def test_heads_and_their_classes():
  count = classifier_score.classes
  assert count(ONE, "label", IMAGE) == 3
  assert count(SEVERAL, "kind", IMAGE) == 2
  assert count(SEVERAL, "place", IMAGE) == 4
  shapes = dataclasses.replace(
    ONE, shapes=True, weights=jax.eval_shape(lambda: ONE.weights)
  )
  assert count(shapes, "label", IMAGE) == 3


def test_it_is_the_log_of_a_share_and_has_a_gradient():
  label = jnp.array([0, 1, 2, 3])
  found = classifier_score.log_share(SEVERAL, "place", X, label)
  logits = SEVERAL.output("logits", {"image": X}, None)["place"]
  p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
  np.testing.assert_allclose(found, np.log(p[np.arange(4), label]), atol=1e-4)
  total = lambda x: classifier_score.log_share(SEVERAL, "place", x, label).sum()
  assert float(jnp.abs(jax.grad(total)(X)).max()) > 0


def test_what_cannot_score_is_named():
  with pytest.raises(ValueError, match="head='kind', and scorer has label"):
    classifier_score.classes(ONE, "kind", IMAGE)
  with pytest.raises(ValueError, match=r"scorer reads images \(8, 8, 3\)"):
    classifier_score.classes(ONE, "label", (16, 16, 3))
  with pytest.raises(errors.UserError) as e:
    classifier_score.classes(model(ddpm.DDPM.tiny()), "label", IMAGE)
  assert e.value.key == "procedure.x.path"
