"""Builds a tiny run of any method, without files or data sets."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import discovery
from jmim.core import method as methods
from jmim.core import runtime
from jmim.core.settings import optim as settings
from jmim.parallel import sharding
from jmim.training import optim
from jmim.training import schedule
from jmim.training import step as steps

BATCH = 8
OPTIM = settings.Optim(clip_norm=1.0)


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
      low, high = spec.range or (None, None)
      x = (
        rng.normal(size=shape) if low is None else rng.uniform(low, high, shape)
      )
      found[name] = x.astype(spec.dtype)
  return found


def make_consts(method):
  """Frozen networks with random weights, whatever their paths."""
  key = jax.random.key(7)
  return {name: const.init(key) for name, const in method.consts().items()}


@dataclasses.dataclass
class Tiny:
  """A tiny run: method, step function, where its state lives, traces."""

  method: object
  step: object
  compiled: object
  where: object
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


def with_runtime(cls, devices=1, fsdp=1, **rt):
  """`cls.tiny()` and the mesh of its runtime."""
  mesh = sharding.make_mesh({"data": -1, "fsdp": fsdp}, jax.devices()[:devices])
  how = runtime.Runtime(mesh=mesh, batch_axes=sharding.BATCH_AXES, **rt)
  return dataclasses.replace(cls.tiny(), rt=how), mesh


def tiny(cls, like=None, devices=1, fsdp=1, accumulate=1, **rt):
  """A run of `cls.tiny()` on some of the simulated devices.

  Args:
    cls: of the method.
    like: its state, if there is one already: saves two traces of `init`.
    devices: of the mesh.
    fsdp: of them along that axis.
    accumulate: micro-batches.
    **rt: of the runtime, such as scan.
  """
  method, mesh = with_runtime(cls, devices, fsdp, **rt)
  batch = make_batch(method)
  consts = make_consts(method)
  if like is None:
    shapes = jax.eval_shape(method.init, jax.random.key(0), batch)[0]
  else:
    shapes = like.params
  rate = schedule.make(settings.Schedule(name="constant"), 3e-3, 1.0)
  optimizers = {
    p: optim.make(OPTIM, {p: shapes[p]}, method.groups(), rate)
    for p in method.players
  }
  step = steps.Step(
    method, optimizers, lambda key, b: b, accumulate=accumulate, ema_decay=0.9
  )
  layout = sharding.Layout(mesh, axes=method.axes(), min_size=64)
  where = layout.tree(like or jax.eval_shape(step.init, batch, consts))
  traces = []

  def counted(state, consts, batch):
    traces.append(1)
    return step(state, consts, batch)

  compiled = jax.jit(counted, out_shardings=(where, sharding.replicated(mesh)))
  put = lambda b: jax.device_put(b, sharding.batch_sharding(mesh))
  return Tiny(method, step, compiled, where, consts, put, traces)


def gradients(method, consts):
  """(state, batch, draws) -> player -> ((loss, aux), gradient); compiled."""

  def of(player, state, batch, draws):
    def loss(own):
      params = state.params | {player: own}
      weights = methods.Weights(params, state.extra, consts)
      return method.loss(weights, batch, draws, 0, player)

    return jax.value_and_grad(loss, has_aux=True)(state.params[player])

  return jax.jit(lambda *args: {p: of(p, *args) for p in method.players})


class Runs:
  """The tiny runs of one method: each program is compiled once."""

  def __init__(self, name: str):
    self.cls = discovery.find(name)
    self._runs = {}

  def of(self, **options) -> Tiny:
    """The run with these options of `tiny`."""
    key = tuple(sorted(options.items()))
    if key not in self._runs:
      like = self._state if options else None
      self._runs[key] = tiny(self.cls, like, **options)
    return self._runs[key]

  @functools.cached_property
  def _state(self):
    run = self.of()
    init = jax.jit(run.step.init, out_shardings=run.where)
    return init(run.put(make_batch(run.method)), run.consts)

  def init(self, run: Tiny | None = None):
    """The state before the first step, where a run wants it."""
    return jax.device_put(self._state, (run or self.of()).where)

  @functools.cached_property
  def trained(self):
    """State and metrics after four steps over different batches."""
    return self.of().run(self.init(), 4)

  @functools.cached_property
  def given(self):
    """(state, batch, draws) to compare losses and gradients at.

    The state has a little noise, or zero-initialised outputs would hide what
    is before them.
    """
    run = self.of()
    batch = make_batch(run.method)
    draws = jax.jit(run.method.drawn)(jax.random.key(0), batch)
    leaves, treedef = jax.tree.flatten(self.init().params)
    rng = np.random.default_rng(1)
    noisy = [x + 0.02 * rng.normal(size=x.shape).astype("f4") for x in leaves]
    state = self.init().replace(params=treedef.unflatten(noisy))
    return state, batch, draws

  @functools.cached_property
  def gradients(self):
    """`gradients` of the method as it is, compiled."""
    run = self.of()
    return gradients(run.method, run.consts)

  @functools.cached_property
  def found(self):
    """Player -> ((loss, aux), gradient) at `given`."""
    return self.gradients(*self.given)
