import jax
import numpy as np
import toydiffusion

from jmim.core import procedure
from jmim.methods.text import generated
from jmim.methods.text import thinkdiff

P = generated.Generated.tiny()


def test_results_are_what_thinkdiff_reads():
  models = toydiffusion.models(P)
  batch = toydiffusion.batch_of(P.inputs(models), 4)
  draws = procedure.drawn(P, jax.random.key(0), models, batch)
  made = P.apply(models, {}, batch, draws)
  reads = thinkdiff.ThinkDiff.tiny().sample_reads()
  assert set(made) == {*reads, "image"}
  np.testing.assert_array_equal(made["image"], batch["image"])
  # Another seed, other words.
  other = procedure.drawn(P, jax.random.key(1), models, batch)
  again = P.apply(models, {}, batch, other)
  assert (again["generated_tokens"] != made["generated_tokens"]).any()
