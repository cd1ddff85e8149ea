"""One training step, the same for every method.

    batch  = prepare(batch)                            augment, normalise
    draws  = method.draw(keys(seed, step), batch, step)
    for player in players:                             others fixed
      g      = grad of method.loss(player, ...)        mean of micro-batches
      params = optimizer(player)(g)
      extra  = method.after(player, ...)
    ema    = d ema + (1 - d) params

If any loss or gradient is not finite, everything but the step counter stays
as it was.
"""

import dataclasses
import functools
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jmim.core import method as methods
from jmim.core import randomness
from jmim.core import state as states
from jmim.core import tree as trees
from jmim.cost import flops
from jmim.cost import gradient_flops as works
from jmim.training import microbatch
from jmim.training import optim

Tree = Any


def keys(seed: int, step: jax.Array) -> tuple[jax.Array, jax.Array]:
  """(augmentation key, draw key) of a step: functions of (seed, step)."""
  root = jax.random.fold_in(jax.random.key(seed), step)
  key_augment, key_draw = jax.random.split(root)
  return key_augment, key_draw


def init_key(seed: int) -> jax.Array:
  """The key of initialisation; no step of any run uses it."""
  return jax.random.fold_in(jax.random.key(seed), 2**32 - 1)


def finite(tree: Tree) -> jax.Array:
  """Whether every element of every leaf is finite."""
  leaves = [jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(tree)]
  return jnp.all(jnp.stack(leaves)) if leaves else jnp.asarray(True)


def select(ok: jax.Array, new: Tree, old: Tree) -> Tree:
  """`new` where ok, else `old`, leaf by leaf."""
  return jax.tree.map(lambda a, b: jnp.where(ok, a, b), new, old)


def ema_update(
  ema: Tree, params: Tree, step: Any, decay: float, warmup: bool
) -> Tree:
  """d ema + (1 - d) params, with d = min(decay, (1 + t) / (10 + t))."""
  t = jnp.float32(step)
  d = jnp.minimum(decay, (1 + t) / (10 + t)) if warmup else decay
  return jax.tree.map(lambda e, p: e + (1 - d) * (p - e), ema, params)


def _loss(method, optimizer, player, trainable, state, consts, batch, draws):
  """(loss, aux) of a player, its trainable parameters apart from the state."""
  own = {player: state.params[player]}
  params = state.params | optimizer.merge(trainable, own)
  weights = methods.Weights(params, state.extra, consts)
  return method.loss(weights, batch, draws, state.step, player=player)


def _no_gradient(loss_of, trainable, batch, draws):
  """For who asks `_gradient` for names: a backward pass takes longest."""
  return *loss_of(trainable, batch, draws), trainable


class Step:
  """The step function of one method; pure, built once, jitted once.

  Attributes:
    method: the method.
    optimizers: player -> optimizer.
    prepare: (key, batch) -> batch, augmentation and normalisation.
  """

  def __init__(
    self,
    method: methods.Method,
    optimizers: Mapping[str, optim.Optimizer],
    prepare: Callable[[jax.Array, Tree], Tree],
    *,
    seed: int = 0,
    accumulate: int = 1,
    ema_decay: float = 0.0,
    ema_warmup: bool = True,
    place: Callable[[Tree], Tree] = lambda grads: grads,
  ):
    """Keeps its arguments; see `core.settings` for their meaning.

    `place` says where gradients lie (`sharding.Layout.gradients`).
    """
    self.method, self.optimizers, self.prepare = method, optimizers, prepare
    self.seed, self.accumulate = seed, accumulate
    self.ema_decay, self.ema_warmup = ema_decay, ema_warmup
    self.place = place

  def init(self, batch: Tree, consts: Tree) -> states.State:
    """Fresh state; `batch` (raw, as from the pipeline) fixes the shapes."""
    key = init_key(self.seed)
    ready = self.prepare(key, batch)
    params, extra = self.method.init(key, ready)
    zero = jnp.zeros((), jnp.int32)
    state = states.State(
      step=zero,
      params=params,
      opt={p: self.optimizers[p].init({p: params[p]}) for p in params},
      ema=params if self.ema_decay else {},
      extra=extra,
      window={},
      counted=zero,
      skipped=zero,
      skipped_total=zero,
    )
    names = functools.partial(self._update, gradient=_no_gradient)
    metrics = jax.eval_shape(names, state, consts, batch)[1]
    window = {name: jnp.zeros((), jnp.float32) for name in metrics}
    return state.replace(window=window)

  def __call__(
    self, state: states.State, consts: Tree, batch: Tree
  ) -> tuple[states.State, dict[str, jax.Array]]:
    """One step: (new state, metrics of this step)."""
    new, metrics, ok = self._update(state, consts, batch)
    bad = 1 - ok.astype(jnp.int32)
    kept = select(
      ok,
      (new.params, new.opt, new.ema, new.extra),
      (state.params, state.opt, state.ema, state.extra),
    )
    params, opt, ema, extra = kept
    window = {
      k: state.window[k] + jnp.where(ok, metrics[k], 0.0) for k in metrics
    }
    state = state.replace(
      step=state.step + 1,
      params=params,
      opt=opt,
      ema=ema,
      extra=extra,
      window=window,
      counted=state.counted + 1 - bad,
      skipped=(state.skipped + 1) * bad,
      skipped_total=state.skipped_total + bad,
    )
    return state, metrics

  def work(self, state: states.State, consts: Tree, batch: Tree) -> works.Work:
    """FLOPs of all players' losses on a batch; shapes are enough.

    They are those of one device that has it all: what a mesh adds (room for
    tokens that may come from other devices, say) is no work of the model. And
    attention is products, which a kernel would hide.
    """
    plain = {"mesh": None, "attention": "einsum"}
    rt = dataclasses.replace(self.method.rt, **plain)
    method = dataclasses.replace(self.method, rt=rt)
    key = jax.random.key(0)

    def prepare(key, batch):
      batch = self.prepare(key, batch)
      return batch, method.drawn(key, batch)

    total = works.Work(flops.count(prepare, key, batch))
    given = state, consts, *jax.eval_shape(prepare, key, batch)
    for player, optimizer in self.optimizers.items():
      loss = functools.partial(_loss, method, optimizer, player)
      trainable = optimizer.trainable({player: state.params[player]})
      total += works.count(lambda *a, loss=loss: loss(*a)[0], trainable, *given)
    return total

  def inspect(
    self, state: states.State, consts: Tree, batch: Tree
  ) -> dict[str, jax.Array]:
    """Name -> whether it is finite, of all that a step computes.

    Names begin with batch, draws, grads, params, opt, extra or metrics.
    """
    seen: dict[str, Any] = {}
    new, metrics, _ = self._update(state, consts, batch, seen)
    seen |= {"params": new.params, "opt": new.opt, "extra": new.extra}
    leaves = trees.named(seen | {"metrics": metrics})
    return {
      name: jnp.all(jnp.isfinite(x))
      for name, x in leaves.items()
      if jnp.issubdtype(jnp.result_type(x), jnp.inexact)
    }

  def _update(self, state, consts, batch, seen=None, gradient=None):
    """The update without the guard: (state, metrics, all finite).

    What the state does not keep is put into the dict `seen`. `gradient` stands
    in for `_gradient`.
    """
    seen = {} if seen is None else seen
    key_augment, key_draw = keys(self.seed, state.step)
    batch = self.prepare(key_augment, batch)
    draws = self._draw(key_draw, batch, state.step)
    seen |= {"batch": batch, "draws": draws, "grads": {}}
    metrics, checks = {}, []
    for player in self.method.players:
      state, values, check, grads = self._play(
        player,
        state,
        gradient=gradient or self._gradient,
        consts=consts,
        batch=batch,
        draws=draws,
      )
      seen["grads"] |= grads
      metrics |= values
      checks.append(check)
    if self.ema_decay:
      ema = ema_update(
        state.ema,
        state.params,
        step=state.step,
        decay=self.ema_decay,
        warmup=self.ema_warmup,
      )
      state = state.replace(ema=ema)
    return state, metrics, jnp.all(jnp.stack(checks))

  def _draw(self, key, batch, step):
    """The draws of a step, those per example sharded like the batch."""
    method = self.method
    draws = method.draw(randomness.Keys(key), batch, step)
    microbatch.check(draws, methods.batch_size(batch), method.shared)
    return {
      name: value
      if name in method.shared
      else jax.tree.map(method.rt.shard, value)
      for name, value in draws.items()
    }

  def _play(self, player, state, *, gradient, consts, batch, draws):
    """Updates one player, the others fixed."""
    optimizer = self.optimizers[player]
    own = {player: state.params[player]}
    trainable = optimizer.trainable(own)

    def loss_of(trainable, batch, draws):
      return _loss(
        self.method,
        optimizer,
        player=player,
        trainable=trainable,
        state=state,
        consts=consts,
        batch=batch,
        draws=draws,
      )

    loss, aux, grads = gradient(loss_of, trainable, batch, draws)
    grads = self.place(grads)
    trained, opt = optimizer.update(
      grads, state.opt[player], trainable, state.step
    )
    params = state.params | optimizer.merge(trained, own)
    weights = methods.Weights(params, state.extra, consts)
    extra = self.method.after(weights, aux, state.step, player)
    state = state.replace(
      params=params, opt=state.opt | {player: opt}, extra=extra
    )
    norm = optax.global_norm(grads)
    scalars = {
      k: jnp.asarray(v, jnp.float32) for k, v in aux.items() if jnp.ndim(v) == 0
    }
    if taken := {"loss", "grad_norm"} & aux.keys():
      raise ValueError(f"aux of {player} has {taken}, names of the trainer")
    name = methods.loss_name(self.method, player)
    size = name.replace("loss", "grad_norm", 1)
    metrics = {name: loss, size: norm, **scalars}
    fine = jnp.isfinite(loss) & jnp.isfinite(norm) & finite(extra)
    return state, metrics, fine, grads

  def _gradient(self, loss_of, trainable, batch, draws):
    """(loss, aux, gradient), averaged over the micro-batches."""
    compute = jax.value_and_grad(loss_of, has_aux=True)
    if self.accumulate > 1:
      shared = self.method.shared
      compute = microbatch.averaged(compute, self.accumulate, shared)
    (loss, aux), grads = compute(trainable, batch, draws)
    return loss, aux, grads
