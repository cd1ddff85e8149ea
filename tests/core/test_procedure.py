"""The contract itself; `tests/contract/test_procedures.py` has its suite."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toydiffusion
import toys

from jmim.core import errors
from jmim.core import procedure


@dataclasses.dataclass(frozen=True, kw_only=True)
class Draws(procedure.Procedure):
  """Draws, and shows what an example sees of the batch."""

  def draw(self, keys, models, example):
    noise = jax.random.normal(keys("noise"), (3,))
    return {"noise": noise, "shift": example["shift"] + 1}


def test_draws_are_those_of_each_example_alone():
  key, made = jax.random.key(3), Draws()
  batch = {"index": jnp.array([4, 9, 2]), "shift": jnp.arange(3.0)}
  draws = procedure.drawn(made, key, {}, batch)
  assert draws["noise"].shape == (3, 3)
  np.testing.assert_array_equal(draws["shift"], [1, 2, 3])
  for i, number in enumerate([4, 9, 2]):
    alone = {"index": jnp.array([number]), "shift": jnp.zeros(1)}
    one = procedure.drawn(made, key, {}, alone)["noise"][0]
    np.testing.assert_array_equal(one, draws["noise"][i])
  assert len(np.unique(draws["noise"])) == 9


def test_nothing_is_drawn_where_nothing_is_said():
  batch = {"index": jnp.arange(2)}
  key = jax.random.key(0)
  assert procedure.drawn(procedure.Procedure(), key, {}, batch) == {}


@pytest.mark.parametrize(
  "name", ["models", "inputs", "collect", "fit", "apply"]
)
def test_what_must_be_written_says_so(name):
  made = procedure.Procedure()
  arguments = {"models": 0, "inputs": 1, "collect": 3, "fit": 1, "apply": 4}
  with pytest.raises(TypeError, match=f"Procedure must define {name}"):
    getattr(made, name)(*[{}] * arguments[name])
  with pytest.raises(TypeError, match="fitted_like"):
    made.fitted_like({})
  assert (
    made.pictures() == () and made.stand_ins() == {} and made.check({}) is None
  )


def test_a_model_is_a_diffuser_or_says_that_it_is_none():
  toy = toydiffusion.pixels()
  assert procedure.Model.of(toy).diffuser is toy
  key = "procedure.source.path"
  other = procedure.Model(method=toys.Adversarial(), weights=None, key=key)
  with pytest.raises(errors.UserError, match="a diffusion model") as e:
    _ = other.diffuser
  assert e.value.key == key and "features" in e.value.seen
  x = np.ones((2, 2, 2, 1), np.float32)
  out = other.output("features", {"image": x}, jax.random.key(0))
  np.testing.assert_array_equal(out, np.ones((2, 4)))
  with pytest.raises(errors.UserError, match="'logits'") as e:
    other.output("logits", {}, jax.random.key(0))
  assert e.value.key == key
