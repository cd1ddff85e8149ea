"""Optimizers through optax, with per-parameter decay, rate and freezing.

The learning rate is applied by `Optimizer.update` itself, from the training
step: a skipped step leaves the moments alone and the schedule on its course.
"""

import dataclasses
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jmim.core import method
from jmim.core import tree as trees
from jmim.core.settings import optim as settings

Tree = Any
# A number, or step -> number.
Decay = float | Callable[[jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True)
class Leaf:
  """Optimizer settings of one parameter array.

  Attributes:
    decay: factor on the weight decay.
    lr: factor on the learning rate; a [layers, 1, ...] array where layers
      differ.
    frozen: not trained.
  """

  decay: float
  lr: Any
  frozen: bool


def _first(groups: Sequence[method.Group], name: str, field: str) -> Any:
  """The first setting of `field` among the groups that match `name`."""
  for group in groups:
    value = getattr(group, field)
    if value is not None and trees.matches(group.pattern, name):
      return value
  return None


def layer_scale(
  name: str, leaf: Any, params: Mapping[str, Any], decay: float
) -> Any:
  """Layer-wise lr decay (BEiT, MAE fine-tuning): decay^(n - i).

  n = depth + 1; i = 0 for tokens, positions and the patch embedding, j + 1
  for block j, n for all the rest. The depth is that of the player's deepest
  stack.
  """
  depths = [
    v.shape[0] for k, v in params.items() if trees.stacked(k) and v.shape
  ]
  if decay == 1.0 or not depths:
    return 1.0
  n = max(depths) + 1
  if trees.stacked(name):
    ids = np.arange(1, leaf.shape[0] + 1)
    return (decay ** (n - ids)).reshape(-1, *[1] * (leaf.ndim - 1))
  if trees.matches(r"(cls_token|pos_embed|mask_token|patch_embed/)", name):
    return decay**n
  return 1.0


def leaf_settings(
  params: Tree, groups: Sequence[method.Group], layer_decay: float = 1.0
) -> Tree:
  """A tree of `Leaf` like `params`.

  Args:
    params: arrays or shapes of one player, below the player's name.
    groups: rules; the first match of each field wins. Without one, kernels
      are decayed and nothing else is.
    layer_decay: see `layer_scale`.
  """
  named = trees.named(params)

  def leaf(name, value):
    decay = _first(groups, name, "decay")
    if decay is None:
      decay = float(name.split("/")[-1] == "kernel")
    rate = _first(groups, name, "lr")
    rate = 1.0 if rate is None else rate
    scale = layer_scale(name, value, named, layer_decay)
    return Leaf(decay, rate * scale, bool(_first(groups, name, "frozen")))

  return trees.map_named(leaf, params)


def weighted_decay(
  weight_decay: Decay, factors: Tree
) -> optax.GradientTransformationExtraArgs:
  """u + weight_decay * factor * p, with one factor per leaf.

  Args:
    weight_decay: may follow the step.
    factors: one per leaf.
  """

  def update(updates, state, params, *, step=None, **_):
    decay = weight_decay(step) if callable(weight_decay) else weight_decay
    add = lambda u, p, f: u + decay * f * p if f else u
    return jax.tree.map(add, updates, params, factors), state

  empty = lambda _: optax.EmptyState()
  return optax.GradientTransformationExtraArgs(empty, update)


def trust_ratio(coefficient: float) -> optax.GradientTransformation:
  """LARS scaling: u * c |p| / |u|, 1 where a norm is 0.

  Norms are per layer in stacked leaves; one-dimensional parameters (per
  layer) are not adapted, as in the MAE release.
  """

  def scale(name, u, p):
    first = int(trees.stacked(name))
    if u.ndim - first <= 1:
      return u
    axes = tuple(range(first, u.ndim))
    norm = lambda x: jnp.sqrt(jnp.sum(x * x, axes, keepdims=True))
    norm_p, norm_u = norm(p), norm(u)
    zero = (norm_p == 0) | (norm_u == 0)
    ratio = coefficient * norm_p / jnp.where(zero, 1.0, norm_u)
    return u * jnp.where(zero, 1.0, ratio)

  def update(updates, state, params):
    return trees.map_named(scale, updates, params), state

  return optax.GradientTransformation(lambda _: optax.EmptyState(), update)


def direction(
  cfg: settings.Optim, factors: Tree, weight_decay: Decay
) -> optax.GradientTransformation:
  """The optax chain that turns gradients into a step of unit rate.

  `adan` (Xie et al. 2022), d the change of the gradient g since the last step
  (0 at the first), each average with the correction of Adam's:

      m = ema(g, b1), v = ema(d, b2), n = ema((g + (1 - b2) d)^2, b3)
      step = (m + (1 - b2) v) / (sqrt(n) + eps) + decay p

  as optax and the card of LMD have it. The paper calls 1 - b2 what is b2 here,
  and so weights d and v by 0.92, not 0.08, at b2 = 0.92 (from memory: its code
  was not at hand).

  Args:
    cfg: of the player.
    factors: on the weight decay, one per leaf.
    weight_decay: may follow the step.
  """
  decay = weighted_decay(weight_decay, factors)
  adam = optax.scale_by_adam(cfg.b1, cfg.b2, cfg.eps)
  adan = optax.scale_by_adan(cfg.b1, cfg.b2, b3=cfg.b3, eps=cfg.eps)
  lion = optax.scale_by_lion(cfg.b1, cfg.b2)
  trace = optax.trace(cfg.momentum)
  chain = {
    "adamw": (adam, decay),
    "adan": (adan, decay),
    "lion": (lion, decay),
    "sgd": (decay, trace),
    "lars": (decay, trust_ratio(cfg.trust), trace),
  }[cfg.name]
  if cfg.clip_norm:
    chain = (optax.clip_by_global_norm(cfg.clip_norm), *chain)
  return optax.chain(*chain)


@dataclasses.dataclass(frozen=True)
class Optimizer:
  """Optimizer of one player.

  Attributes:
    tx: gradients -> step of unit rate (nothing for frozen leaves).
    schedule: step -> learning rate.
    leaves: tree of `Leaf`.
  """

  tx: optax.GradientTransformation
  schedule: Callable[[jax.Array], jax.Array]
  leaves: Tree

  def init(self, params: Tree) -> Tree:
    """Optimizer state; frozen parameters have none."""
    return self.tx.init(self.trainable(params))

  def trainable(self, params: Tree) -> Tree:
    """`params` with frozen leaves replaced by None."""
    keep = lambda s, p: None if s.frozen else p
    return jax.tree.map(keep, self.leaves, params)

  def merge(self, trained: Tree, params: Tree) -> Tree:
    """`params` with its trainable leaves taken from `trained`."""
    take = lambda t, p: p if t is None else t
    return jax.tree.map(take, trained, params, is_leaf=lambda t: t is None)

  def update(
    self, grads: Tree, state: Tree, params: Tree, step: jax.Array
  ) -> tuple[Tree, Tree]:
    """New (trainable parameters, state); `grads` like `trainable(params)`."""
    tx = optax.with_extra_args_support(self.tx)
    steps, state = tx.update(grads, state, params, step=step)
    lr = self.schedule(step)
    rates = self.trainable(jax.tree.map(lambda leaf: leaf.lr, self.leaves))
    new = jax.tree.map(lambda p, u, r: p - lr * r * u, params, steps, rates)
    return new, state


def make(
  cfg: settings.Optim,
  params: Tree,
  groups: Sequence[method.Group],
  schedule: Callable[[jax.Array], jax.Array],
  weight_decay: Decay | None = None,
) -> Optimizer:
  """Builds the optimizer of one player.

  Args:
    cfg: its settings; lr, lr_batch, accumulate and weight_decay_end are read
      elsewhere.
    params: arrays or shapes {player: tree}, one player only.
    groups: the method's rules; those of `cfg` (freeze, lr_mults,
      decay_mults) come before them.
    schedule: step -> learning rate.
    weight_decay: may follow the step; None: that of `cfg`.
  """
  if weight_decay is None:
    weight_decay = cfg.weight_decay
  rules = [method.Group(pattern=p, frozen=True) for p in cfg.freeze]
  rules += [method.Group(pattern=p, lr=f) for p, f in cfg.lr_mults]
  rules += [method.Group(pattern=p, decay=f) for p, f in cfg.decay_mults]
  leaves = leaf_settings(params, (*rules, *groups), cfg.layer_decay)
  bare = Optimizer(optax.identity(), schedule, leaves)
  factors = bare.trainable(jax.tree.map(lambda leaf: leaf.decay, leaves))
  tx = direction(cfg, factors, weight_decay)
  return Optimizer(tx, schedule, leaves)
