"""Builds a tiny run of any method, without files or data sets."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import optim
from jmim.core import schedule
from jmim.core import sharding
from jmim.core import step as steps
from jmim.nn import runtime

BATCH = 8
OPTIM = {
  "name": "adamw",
  "b1": 0.9,
  "b2": 0.95,
  "eps": 1e-8,
  "weight_decay": 0.05,
  "clip_norm": 1.0,
  "layer_decay": 1.0,
  "freeze": (),
  "lr_mults": (),
  "decay_mults": (),
}


def make_batch(method, seed=0, batch=BATCH):
  """Random numbers of the shapes and dtypes that `inputs` names."""
  rng = np.random.default_rng(seed)
  found = {}
  for name, spec in method.inputs().items():
    shape = (batch, *spec.shape)
    if jnp.issubdtype(spec.dtype, jnp.integer):
      assert spec.high, f"{name}: integer inputs must give `high`"
      found[name] = rng.integers(0, spec.high, shape).astype(spec.dtype)
    else:
      found[name] = rng.normal(size=shape).astype(spec.dtype)
  return found


def make_consts(method):
  """Frozen networks with random weights, whatever their paths."""
  key = jax.random.key(7)
  return {name: const.init(key) for name, const in method.consts().items()}


@dataclasses.dataclass
class Tiny:
  """A tiny run: method, step function, shardings, state."""

  method: object
  step: object
  compiled: object
  init: object
  consts: object
  put: object
  traces: list

  def run(self, state, n, batch=None):
    """n steps on the same batch, or on batch number `step` of a stream."""
    losses = []
    for _ in range(n):
      data = batch
      if data is None:
        data = make_batch(self.method, seed=int(state.step))
      state, metrics = self.compiled(state, self.consts, self.put(data))
      losses.append(jax.device_get(metrics))
    return state, losses


def tiny(cls, devices=1, fsdp=1, lr=1e-3, accumulate=1, **rt):
  """A run of `cls.tiny()` on some of the simulated devices."""
  mesh = sharding.make_mesh({"data": -1, "fsdp": fsdp}, jax.devices()[:devices])
  how = runtime.Runtime(mesh=mesh, batch_axes=sharding.BATCH_AXES, **rt)
  method = dataclasses.replace(cls.tiny(), rt=how)
  batch = make_batch(method)
  consts = make_consts(method)
  shapes = jax.eval_shape(method.init, jax.random.key(0), batch)[0]
  rate = schedule.make("constant", lr, 1.0)
  optimizers = {
    p: optim.make(OPTIM, {p: shapes[p]}, method.groups(), rate)
    for p in method.players
  }
  step = steps.Step(
    method, optimizers, lambda key, b: b, accumulate=accumulate, ema_decay=0.9
  )
  layout = sharding.Layout(mesh, method.axes(), min_size=64)
  abstract = jax.eval_shape(step.init, batch, consts)
  where = layout.tree(abstract)
  traces = []

  def counted(state, consts, batch):
    traces.append(1)
    return step(state, consts, batch)

  compiled = jax.jit(counted, out_shardings=(where, sharding.replicated(mesh)))
  put = lambda b: jax.device_put(b, sharding.batch_sharding(mesh))  # noqa: E731
  init = lambda: jax.jit(step.init, out_shardings=where)(  # noqa: E731
    put(batch), consts
  )
  return Tiny(method, step, compiled, init, consts, put, traces)
