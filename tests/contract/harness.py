"""Builds a tiny run of any method, without files or data sets.

What is compared between runs (devices, precision, recomputation) is one step
of plain SGD: its state holds the gradient itself, and its program is a third
of AdamW's. Only what trains (`Runs.trained`) has AdamW and an EMA.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import discovery
from jmim.core import runtime
from jmim.core.settings import optim as settings
from jmim.parallel import sharding
from jmim.training import optim
from jmim.training import schedule
from jmim.training import step as steps

BATCH, RATE = 8, 3e-3
OPTIM = {
  "sgd": settings.Optim(name="sgd", momentum=0.0, weight_decay=0.0),
  "adamw": settings.Optim(clip_norm=1.0, eps=1e-5),
}


def make_batch(method, seed=0, batch=BATCH):
  """Random numbers of the shapes and dtypes that `inputs` names."""
  rng = np.random.default_rng(seed)
  arrays = {}
  for name, spec in method.inputs().items():
    shape = (batch, *spec.shape)
    if jnp.issubdtype(spec.dtype, jnp.integer):
      assert spec.high, f"{name}: integer inputs must give `high`"
      arrays[name] = rng.integers(0, spec.high, shape).astype(spec.dtype)
    else:
      low, high = spec.range or (None, None)
      x = (
        rng.normal(size=shape) if low is None else rng.uniform(low, high, shape)
      )
      arrays[name] = x.astype(spec.dtype)
  return arrays


@dataclasses.dataclass(kw_only=True)
class Tiny:
  """A tiny run.

  Attributes:
    method: with its runtime.
    step: the step function.
    compiled: the same, compiled for its mesh.
    start: () or (params) -> the state before the first step, on the mesh.
    consts: frozen networks.
    put: batch -> the same on the mesh.
    traces: has an item for each time that the step was traced.
  """

  method: object
  step: object
  compiled: object
  start: object
  consts: object
  put: object
  traces: list

  def run(self, state, n, batch=None):
    """n steps on the same batch, or on batch number `step` of a stream."""
    metrics = []
    for _ in range(n):
      data = batch
      if data is None:
        data = make_batch(self.method, seed=int(state.step))
      state, values = self.compiled(state, self.consts, self.put(data))
      metrics.append(jax.device_get(values))
    return state, metrics


def with_runtime(cls, devices=1, fsdp=1, **rt):
  """`cls.tiny()` and the mesh of its runtime."""
  mesh = sharding.make_mesh({"data": -1, "fsdp": fsdp}, jax.devices()[:devices])
  how = runtime.Runtime(mesh=mesh, batch_axes=sharding.BATCH_AXES, **rt)
  return dataclasses.replace(cls.tiny(), rt=how), mesh


def make_step(method, params, name="sgd", accumulate=1):
  """The step of a method, with one optimizer for all its players."""
  rate = schedule.make(settings.Schedule(name="constant"), RATE, 1)
  optimizers = {
    p: optim.make(OPTIM[name], {p: params[p]}, method.groups(), rate)
    for p in method.players
  }
  return steps.Step(
    method,
    optimizers,
    lambda key, batch: batch,
    accumulate=accumulate,
    ema_decay=0.9 if name == "adamw" else 0.0,
  )


class Runs:
  """The tiny runs of one method: each program is compiled once."""

  def __init__(self, name: str):
    self.cls = discovery.find(name)
    self._runs, self._steps = {}, {}

  @functools.cached_property
  def consts(self):
    """Frozen networks with random weights, whatever their paths."""
    networks = self.cls.tiny().consts().items()
    init = lambda key: {name: const.init(key) for name, const in networks}
    return jax.device_get(jax.jit(init)(jax.random.key(7)))

  @functools.cached_property
  def fresh(self):
    """The state of SGD before the first step, as arrays of the host."""
    method, _ = with_runtime(self.cls)
    batch = make_batch(method)
    shapes, _ = jax.eval_shape(method.init, jax.random.key(0), batch)
    step = make_step(method, shapes)
    return jax.device_get(jax.jit(step.init)(batch, self.consts))

  @functools.cached_property
  def noisy(self):
    """Its parameters with a little noise.

    Or zero-initialised outputs would hide what is before them.
    """
    rng = np.random.default_rng(1)
    noise = lambda x: x + 0.02 * rng.normal(size=x.shape).astype("f4")
    return jax.tree.map(noise, self.fresh.params)

  def of(self, name="sgd", devices=1, fsdp=1, accumulate=1, **rt) -> Tiny:
    """The run with an optimizer, on a mesh, with hardware choices `rt`."""
    key = (name, devices, fsdp, accumulate, *sorted(rt.items()))
    if key not in self._runs:
      method, mesh = with_runtime(self.cls, devices, fsdp, **rt)
      step = make_step(method, self.fresh.params, name, accumulate)
      self._runs[key] = self._compiled(step, mesh, self._state(step, name))
    return self._runs[key]

  def _state(self, step, name):
    """The fresh state, with what an optimizer of that name holds."""
    if name == "sgd":
      return self.fresh
    params = self.fresh.params
    empty = lambda: {
      p: o.init({p: params[p]}) for p, o in step.optimizers.items()
    }
    return self.fresh.replace(opt=jax.device_get(jax.jit(empty)()), ema=params)

  def _compiled(self, step, mesh, state):
    layout = sharding.Layout(mesh, step.method.axes(), min_size=64)
    where = layout.tree(state)
    traces = []

    def counted(state, consts, batch):
      traces.append(1)
      return step(state, consts, batch)

    out = (where, sharding.replicated(mesh))
    return Tiny(
      method=step.method,
      step=step,
      compiled=jax.jit(counted, out_shardings=out),
      start=lambda params=state.params: jax.device_put(
        state.replace(params=params), where
      ),
      consts=self.consts,
      put=lambda b: jax.device_put(b, sharding.batch_sharding(mesh)),
      traces=traces,
    )

  def after(self, **options):
    """(state, metrics) after one step of SGD from `noisy`; see `of`."""
    key = tuple(sorted(options.items()))
    if key not in self._steps:
      run = self.of(**options)
      state = run.start(self.noisy)
      state, (metrics,) = run.run(state, 1, make_batch(run.method))
      self._steps[key] = jax.device_get(state), metrics
    return self._steps[key]

  @functools.cached_property
  def trained(self):
    """State and metrics after four steps of AdamW over different batches."""
    run = self.of("adamw")
    return run.run(run.start(), 4)
