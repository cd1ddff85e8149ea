"""Every way to split a step over eight devices gives the step of one."""

import dataclasses
import functools

import jax
import numpy as np
import pytest
import toys

from jmim.core import discovery
from jmim.core import runtime
from jmim.core import tree as trees
from jmim.cost import hlo_cost
from jmim.parallel import sharding

BATCH, STEPS = 16, 2


@dataclasses.dataclass
class Program:
  """A compiled step and its state, on some mesh."""

  compiled: object
  where: object
  place: object
  batch: object
  cost: hlo_cost.Cost

  def run(self, state):
    """Metrics of each of STEPS steps, and the parameters after them."""
    found = []
    state = jax.device_put(state, self.where)
    for _ in range(STEPS):
      state, metrics = self.compiled(state, {}, self.batch)
      found.append(jax.device_get(metrics))
    return found, trees.named(jax.device_get(state.params))


def make(name, sizes, devices, zero=False, accumulate=1, **rt):
  """(step, program) of a method's tiny instance on a mesh."""
  mesh = sharding.make_mesh(sizes, jax.devices()[:devices])
  how = runtime.Runtime(mesh=mesh, batch_axes=sharding.BATCH_AXES, **rt)
  method = dataclasses.replace(discovery.find(name).tiny(), rt=how)
  layout = sharding.Layout(mesh, axes=method.axes(), min_size=64, zero=zero)
  rng = np.random.default_rng(0)
  batch = {
    k: rng.integers(0, i.high, (BATCH, *i.shape)).astype(i.dtype)
    if i.high
    else rng.normal(size=(BATCH, *i.shape)).astype(i.dtype)
    for k, i in method.inputs().items()
  }
  own = {p: {"name": "adamw", "clip_norm": 1.0} for p in method.players}
  step = toys.make_step(
    method,
    batch,
    own,
    1e-3,
    ema_decay=0.9,
    accumulate=accumulate,
    place=layout.gradients,
  )
  where = layout.tree(jax.eval_shape(step.init, batch, {}))
  batch = jax.device_put(batch, sharding.batch_sharding(mesh))
  abstract = jax.tree.map(
    lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
    jax.eval_shape(step.init, batch, {}),
    where,
  )
  run = jax.jit(step, out_shardings=(where, sharding.replicated(mesh)))
  compiled = run.lower(abstract, {}, batch).compile()
  cost = hlo_cost.cost(compiled.as_text(), devices=devices)
  return step, Program(
    compiled=compiled, where=where, place=layout, batch=batch, cost=cost
  )


@functools.cache
def alone(name):
  """(state to start from, program, what it finds) on one device."""
  step, program = make(name, {}, 1)
  state = jax.device_get(jax.jit(step.init)(program.batch, {}))
  # Where outputs start at zero, half of the network would have no gradient.
  rng = np.random.default_rng(1)
  noisy = lambda x: x + 0.02 * rng.normal(size=x.shape).astype("f4")
  state = state.replace(params=jax.tree.map(noisy, state.params))
  return state, program, program.run(state)


MAE, DIT = "mim.mae", "diffusion.dit"


@pytest.mark.parametrize(
  "name, sizes, options",
  [
    (MAE, {"data": 8}, {"zero": True}),
    pytest.param(
      MAE, {"fsdp": 8}, {"scan": True, "remat": "full"}, marks=pytest.mark.slow
    ),
    (MAE, {"data": 2, "tensor": 4}, {"zero": True}),
    pytest.param(
      MAE, {"replica": 2, "fsdp": 2, "tensor": 2}, {}, marks=pytest.mark.slow
    ),
    pytest.param(
      MAE,
      {"data": 2, "fsdp": 2, "expert": 2},
      {"accumulate": 2},
      marks=pytest.mark.slow,
    ),
    (DIT, {"fsdp": 4, "tensor": 2}, {"scan": True}),
    pytest.param(
      DIT,
      {"replica": 2, "data": 2, "tensor": 2},
      {"zero": True},
      marks=pytest.mark.slow,
    ),
  ],
  ids=lambda x: x if isinstance(x, str) else "-".join(x),
)
def test_a_mesh_changes_where_but_not_what(name, sizes, options):
  state, one, (metrics, params) = alone(name)
  _, many = make(name, sizes, 8, **options)
  found, moved = many.run(state)
  for mine, theirs in zip(found, metrics, strict=True):
    for key, value in theirs.items():
      np.testing.assert_allclose(mine[key], value, rtol=2e-4, err_msg=key)
  # Adam turns the sign of a gradient that is all rounding into a whole step.
  far = [
    n for n, p in params.items() if np.mean(np.abs(moved[n] - p)) > 1e-4 * STEPS
  ]
  assert not far
  if "full" not in options.values():
    # Each does an eighth of the work, but for what is too small to split and
    # the embeddings, which `tensor` leaves whole; a mesh axis over which all is
    # done twice would show.
    assert many.cost.flops < 1.5 * one.cost.flops / 8


def test_zero_leaves_each_chip_its_part_of_the_state():
  state, _, _ = alone(MAE)
  for zero, share in ((False, 1), (True, 8)):
    mesh = sharding.make_mesh({"data": 8})
    layout = sharding.Layout(mesh, min_size=64, zero=zero)
    where = trees.named(layout.tree(state))
    name = "main/encoder/blocks/layers/mlp/fc1/kernel"
    sizes = {}
    for leaf, array in trees.named(state).items():
      if leaf.endswith(name):
        whole = int(np.prod(array.shape))
        own = int(np.prod(where[leaf].shard_shape(array.shape)))
        sizes[leaf.split("/")[0]] = whole / own
    assert sizes == {"params": 1, "opt": share, "ema": share}
