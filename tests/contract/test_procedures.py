"""What must hold of every procedure, with tiny models in its models' places.

`--procedure=my_lab.tweedie` checks another one instead.
"""

import functools
import inspect

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toydiffusion
import toys

from jmim.core import discovery
from jmim.core import field
from jmim.core import procedure as procedures
from jmim.core import runtime
from jmim.parallel import sharding

EXAMPLES = 8


class Tiny:
  """A procedure with tiny models; its programs are compiled once."""

  def __init__(self, name):
    self.cls = discovery.find_procedure(name)
    self.procedure = self.cls.tiny()
    self.models = toydiffusion.models(self.procedure)
    self.inputs = self.procedure.inputs(self.models)
    self.batch = toydiffusion.batch_of(self.inputs, EXAMPLES)
    self.traces = []
    self.program = self.compiled()
    self.made = jax.device_get(self.run(self.batch))

  def apply(self, procedure, batch, key, fitted):
    """The results of a batch under the draws of a key."""
    self.traces.append(1)
    draws = procedures.drawn(procedure, key, self.models, batch)
    return procedure.apply(self.models, fitted, batch, draws), draws

  def compiled(self, devices=1):
    """The program on some devices."""
    mesh = sharding.make_mesh({"data": -1}, jax.devices()[:devices])
    rt = runtime.Runtime(mesh=mesh, batch_axes=sharding.BATCH_AXES)
    procedure = type(self.procedure)(
      **{
        name: getattr(self.procedure, name)
        for name in field.configured(self.cls)
      },
      rt=rt,
    )
    fn = functools.partial(self.apply, procedure)
    jitted = jax.jit(fn, out_shardings=sharding.replicated(mesh))
    where = sharding.batch_sharding(mesh)
    return lambda batch, key, fitted: jitted(
      jax.device_put(batch, where), key, fitted
    )

  def run(self, batch, seed=0, program=None):
    """(results, draws) of a batch."""
    program = program or self.program
    return program(batch, jax.random.key(seed), self.fitted)

  @functools.cached_property
  def fitted(self):
    """What is fitted, as the devices see it."""
    return self.fit(EXAMPLES // 2) if self.cls.fits else {}

  def fit(self, size):
    """What is fitted on two batches' examples, so many at a time."""

    @jax.jit
    def collect(batch, key):
      draws = procedures.drawn(self.procedure, key, self.models, batch)
      return self.procedure.collect(self.models, batch, draws)

    def rows():
      whole = toydiffusion.batch_of(self.inputs, 2 * EXAMPLES, seed=3)
      for at in range(0, 2 * EXAMPLES, size):
        part = {n: x[at : at + size] for n, x in whole.items()}
        yield jax.device_get(collect(part, jax.random.key(9)))

    return jax.tree.map(jnp.asarray, self.procedure.fit(rows()))


@pytest.fixture(scope="module")
def tiny(procedure_name):
  return Tiny(procedure_name)


def rows(tree, index):
  return jax.tree.map(lambda x: x[index], tree)


def test_it_is_documented_and_needs_models(tiny):
  assert inspect.getdoc(tiny.cls) and tiny.cls.__dataclass_params__.frozen
  for name, f in field.documented(tiny.cls).items():
    assert f.metadata["doc"], name
  needs = tiny.procedure.models()
  assert needs and all(isinstance(n, procedures.Needs) for n in needs.values())
  # So that messages name the key of a model's path.
  assert all(getattr(tiny.procedure, n) == x for n, x in needs.items())
  assert {*tiny.cls.asked} <= {*field.configured(tiny.cls)}


def test_draws_are_of_the_key_and_of_each_example_alone(tiny):
  draws = tiny.made[1]
  other = toydiffusion.batch_of(tiny.inputs, EXAMPLES, seed=1)
  turned = {**other, "index": other["index"][::-1].copy()}
  chex.assert_trees_all_equal(draws, jax.device_get(tiny.run(other))[1])
  back = jax.device_get(tiny.run(turned))[1]
  chex.assert_trees_all_equal(draws, rows(back, slice(None, None, -1)))
  if not jax.tree.leaves(draws):
    return
  moved = jax.device_get(tiny.run(tiny.batch, seed=1))[1]
  same = jax.tree.map(lambda a, b: bool((a == b).all()), draws, moved)
  assert not all(jax.tree.leaves(same))


def test_results_are_finite_and_batch_first(tiny):
  made, draws = tiny.made
  assert made and isinstance(made, dict)
  for leaf in jax.tree.leaves((made, draws)):
    assert len(leaf) == EXAMPLES
  for name, x in made.items():
    assert np.isfinite(x).all(), name
  for name in tiny.procedure.pictures():
    x = made[name]
    assert x.ndim in (4, 5) and x.shape[-1] in (1, 3), name
    assert np.issubdtype(x.dtype, np.floating), name


def test_the_same_draws_give_the_same_and_one_trace_serves_all(tiny):
  again = jax.device_get(tiny.run(tiny.batch))
  chex.assert_trees_all_equal(again, tiny.made)
  tiny.run(toydiffusion.batch_of(tiny.inputs, EXAMPLES, seed=2))
  traced = len(tiny.traces)
  tiny.run(toydiffusion.batch_of(tiny.inputs, EXAMPLES, seed=4))
  assert len(tiny.traces) == traced


def test_a_batch_cut_in_two_gives_the_same(tiny):
  parts = [
    jax.device_get(tiny.run(rows(tiny.batch, at)))[0]
    for at in (slice(0, 4), slice(4, 8))
  ]
  joined = {n: np.concatenate([p[n] for p in parts]) for n in parts[0]}
  chex.assert_trees_all_close(joined, tiny.made[0], atol=2e-4, rtol=1e-4)


def test_one_and_eight_devices_agree(tiny):
  found = tiny.run(tiny.batch, program=tiny.compiled(8))
  made = jax.device_get(found)[0]
  chex.assert_trees_all_close(made, tiny.made[0], atol=2e-4, rtol=1e-4)


def test_a_fit_does_not_depend_on_the_batch(tiny):
  if not tiny.cls.fits:
    with pytest.raises(TypeError, match="must define fit"):
      tiny.procedure.fit(iter(()))
    return
  one, two = tiny.fit(4), tiny.fit(8)
  chex.assert_trees_all_close(one, two, atol=1e-5, rtol=1e-4)
  collect = lambda: tiny.procedure.collect(
    tiny.models,
    tiny.batch,
    procedures.drawn(
      tiny.procedure, jax.random.key(0), tiny.models, tiny.batch
    ),
  )
  like = tiny.procedure.fitted_like(jax.eval_shape(collect))
  assert jax.tree.map(jnp.shape, one) == jax.tree.map(jnp.shape, like)


def test_a_model_that_cannot_is_named(tiny):
  for name in tiny.procedure.models():
    key = f"procedure.{name}.path"
    other = toys.MLP()
    weights = toydiffusion.fresh(other)
    wrong = procedures.Model(method=other, weights=weights, key=key)
    models = {**tiny.models, name: wrong}
    with pytest.raises(ValueError, match=name):
      tiny.procedure.inputs(models)
      tiny.procedure.check(models)
