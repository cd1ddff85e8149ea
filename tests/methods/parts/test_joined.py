import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toydiffusion

from jmim.core import field
from jmim.core import procedure
from jmim.methods.edit import prompted
from jmim.methods.parts import joined
from jmim.methods.text import thinkdiff

P = joined.Joined(text=True)


@pytest.fixture(scope="module")
def models():
  return toydiffusion.models(prompted.Prompted.tiny())


def told(p, models, batch):
  return jax.tree.map(np.asarray, p.told(*models.values(), batch))


def test_images_stand_before_the_text(models):
  p = dataclasses.replace(P, images=2)
  batch = toydiffusion.batch_of(p.inputs(*models.values()), 3)
  m, nothing = told(p, models, batch)
  one = lambda i: {n: x[:, i] for n, x in batch.items() if x.ndim > 1}
  thinks = models["projector"]
  h = [thinks.output("prompt", one(i), jax.random.key(0)) for i in range(2)]
  n = h[0]["context"].shape[1]
  for i, made in enumerate(h):
    want = np.asarray(made["context"] * made["present"][..., None])
    np.testing.assert_allclose(
      m["context"][:, i * n : (i + 1) * n], want, atol=1e-6
    )
  np.testing.assert_array_equal(m["context"][:, 2 * n :], one(0)["context"])
  # As much of nothing, filled up with zeros.
  assert nothing["context"].shape == m["context"].shape
  own = one(0)["context"].shape[1]
  assert not nothing["context"][:, own:].any()


def test_alone_an_image_is_filled_up_where_it_is_shorter(models):
  p = dataclasses.replace(P, text=False)
  inputs = p.inputs(*models.values())
  assert set(inputs) == set(thinkdiff.ThinkDiff.tiny().sample_reads())
  batch = toydiffusion.batch_of(inputs, 2)
  # A text ends at once in the tiny projector's tokens 0 and 1.
  batch["generated_tokens"] = np.full_like(batch["generated_tokens"], 5)
  batch["generated_tokens"][1, 2:] = 1
  m, _ = told(p, models, batch)
  there = (m["context"] != 0).any(-1).sum(1)
  np.testing.assert_array_equal(there, [5, 2])


def test_a_text_alone_is_what_the_model_knows(models):
  p = dataclasses.replace(P, images=0)
  batch = toydiffusion.batch_of(p.inputs(*models.values()), 2)
  m, nothing = told(p, models, batch)
  source = models["source"].diffuser
  want, none = source.tell(batch)
  np.testing.assert_array_equal(m["context"], want["context"])
  np.testing.assert_array_equal(nothing["context"], none["context"])


def test_what_does_not_go_together_is_refused(models):
  P.check(*models.values())
  with pytest.raises(ValueError, match="told.images=0 without told.text"):
    dataclasses.replace(P, images=0, text=False).check(*models.values())
  toy = {**models, "source": procedure.Model.of(toydiffusion.make())}
  with pytest.raises(ValueError, match="source is a model that is told by no"):
    P.check(*toy.values())
  wide = field.replace(thinkdiff.ThinkDiff.tiny(), t5=dict(width=24))
  weights = toydiffusion.fresh(wide)
  other = procedure.Model(method=wide, weights=weights)
  with pytest.raises(ValueError, match="width 24, and source is told by"):
    P.check(models["source"], other)


def test_shapes_are_enough_to_check(models):
  """As --mode=dry_run looks at models that are not there."""
  shapes = {
    n: dataclasses.replace(
      m,
      shapes=True,
      weights=jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, jnp.asarray(x).dtype), m.weights
      ),
    )
    for n, m in models.items()
  }
  P.check(*shapes.values())
