import dataclasses

import jax
import numpy as np
import pytest
import toydiffusion

from jmim.core import field
from jmim.core import procedure
from jmim.methods.edit import prompted

P = prompted.Prompted.tiny()


@pytest.fixture(scope="module")
def models():
  return toydiffusion.models(P)


def test_what_is_told_changes_what_is_drawn(models):
  p = field.replace(P, told=dict(text=False))
  batch = toydiffusion.batch_of(p.inputs(models), 2)
  batch["generated_tokens"] = np.full_like(batch["generated_tokens"], 5)
  draws = procedure.drawn(p, jax.random.key(0), models, batch)
  run = jax.jit(lambda b: p.apply(models, {}, b, draws)["image"])
  image = run(batch)
  other = run({**batch, "generated": batch["generated"][::-1].copy()})
  assert np.abs(image - other).max() > 1e-3
  still = dataclasses.replace(p, guidance=0.0)
  none = [
    still.apply(models, {}, b, draws)["image"]
    for b in (batch, {**batch, "generated": 2 + batch["generated"]})
  ]
  np.testing.assert_array_equal(*none)


def test_models_that_do_not_go_together_are_refused(models):
  P.check(models)
  toy = procedure.Model.of(toydiffusion.make())
  with pytest.raises(ValueError, match="source is a model that is told by no"):
    P.check({**models, "source": toy})
