"""The contract: what methods inherit, and what they must define."""

import dataclasses
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

from jmim.core import discovery
from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.core import runtime
from jmim.core import validate


@pytest.mark.parametrize("name", discovery.names())
def test_every_field_is_documented_and_its_default_within_limits(name):
  for key, f in field.documented(discovery.find(name)).items():
    assert f.metadata["doc"].strip(), key
    validate.check_limits(key, f.default, f.metadata)


def test_the_defaults_of_the_contract():
  toy = toys.MLP()
  assert toy.players == ("main",) and toy.shared == () and toy.per_example
  assert toy.consts() == {} and toy.predict() == {}
  assert toy.groups() == () and toy.axes() == ()
  plain = method.Method()
  assert plain.draw(randomness.Keys(jax.random.key(0)), {}, 0) == {}
  weights = method.Weights(params={}, extra={"x": 1})
  assert plain.after(weights, {}, 0) is weights.extra


@pytest.mark.parametrize("member", ["inputs", "init", "loss"])
def test_what_a_method_must_define_says_so(member):
  class Empty(method.Method):
    pass

  function = getattr(Empty(), member)
  required = [
    p
    for p in inspect.signature(function).parameters.values()
    if p.default is p.empty
  ]
  with pytest.raises(TypeError, match=f"Empty must define {member}"):
    function(*[None] * len(required))


def test_drawn_is_draw_with_the_names_of_a_key():
  toy = toys.MLP()
  batch, key = toys.make_batch(toy), jax.random.key(3)
  found = toy.drawn(key, batch)
  expected = toy.draw(randomness.Keys(key), batch, 0)
  np.testing.assert_array_equal(found["noise"], expected["noise"])


def test_weights_are_a_pytree_of_their_three_trees():
  weights = method.Weights({"main": 1.0}, {"count": 2.0}, {"vae": 3.0})
  twice = jax.tree.map(lambda x: 2 * x, weights)
  assert twice == method.Weights({"main": 2.0}, {"count": 4.0}, {"vae": 6.0})
  assert jax.tree.leaves(method.Weights({"main": 1.0})) == [1.0]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Net:
  """A part that builds networks."""

  width: int = field.value(3, "width", low=1)
  rt: runtime.Runtime = field.runtime()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Owner(method.Method):
  """A method of one part."""

  net: Net = field.part(Net, "a network", width=5)


def test_parts_get_the_runtime_of_the_method():
  rt = runtime.Runtime(dtype=jnp.bfloat16)
  made = dataclasses.replace(Owner(), rt=rt)
  assert made.net == Net(width=5, rt=rt)
  assert Owner().net.rt == runtime.Runtime()
  again = dataclasses.replace(made, net=Net(width=7))
  assert again.net.rt is rt


def test_losses_are_named_by_player_where_there_are_several():
  assert method.loss_name(toys.MLP(), "main") == "loss"
  assert method.loss_name(toys.Adversarial(), "generator") == "loss/generator"


def test_outputs_are_of_what_is_made_of_the_weights():
  class Made:
    def __init__(self, weights):
      self.weights = weights

    def first(self, batch, key):
      return ("first", self.weights, batch, key)

    def second(self, batch, key):
      return ("second", self.weights, batch, key)

  found = method.outputs_of(Made, ("first", "second"))
  assert list(found) == ["first", "second"]
  for name, output in found.items():
    assert output(1, 2, 3) == (name, 1, 2, 3)
