"""Optimizers against optax, and against the formulas of their papers."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jmim.core import method
from jmim.core.settings import optim as settings
from jmim.training import optim

LR = 0.05


def normal(seed, tree):
  """Normal float32 leaves of the shapes of `tree`."""
  rng = np.random.default_rng(seed)
  return jax.tree.map(
    lambda s: jnp.asarray(rng.normal(size=s), jnp.float32),
    tree,
    is_leaf=lambda s: isinstance(s, tuple),
  )


SHAPES = {
  "main": {
    "dense": {"kernel": (3, 4), "bias": (4,)},
    "norm": {"scale": (4,)},
    "cls_token": (1, 1, 4),
  }
}
STACKED = {
  "main": {
    "patch_embed": {"kernel": (4, 5), "bias": (5,)},
    "blocks": {"layers": {"kernel": (3, 5, 5), "bias": (3, 5)}},
    "head": {"kernel": (5, 2)},
  }
}


def run(shapes, steps=4, groups=(), lr=LR, **own):
  """(parameters before, after) some steps on normal gradients."""
  params = first = normal(0, shapes)
  schedule = lr if callable(lr) else lambda step: jnp.float32(lr)
  made = optim.make(settings.Optim(**own), params, groups, schedule)
  state = made.init(params)
  for step in range(steps):
    grads = made.trainable(normal(step + 1, shapes))
    trained = made.trainable(params)
    trained, state = made.update(grads, state, trained, step)
    params = made.merge(trained, params)
  return first, params


def close(found, expected):
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6),
    found,
    expected,
  )


def optax_run(tx, shapes, steps=4):
  params = normal(0, shapes)
  state = tx.init(params)
  for step in range(steps):
    updates, state = tx.update(normal(step + 1, shapes), state, params)
    params = optax.apply_updates(params, updates)
  return params


def kernels(params):
  return jax.tree_util.tree_map_with_path(
    lambda path, _: path[-1].key == "kernel", params
  )


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_weight_decay_may_follow_the_step(name):
  """Without gradients adamw's kernels shrink by the decay of each step."""
  shapes = {"main": {"dense": {"kernel": (3, 4), "bias": (4,)}}}
  params = normal(0, shapes)
  zero = jax.tree.map(jnp.zeros_like, params)
  rising = lambda step: 0.1 * (step + 1)
  cfg = settings.Optim(name=name, momentum=0.0, clip_norm=1.0)
  constant = lambda step: jnp.float32(LR)
  made = optim.make(
    cfg, params, groups=(), schedule=constant, weight_decay=rising
  )
  state, now, factor = made.init(params), params, 1.0
  for step in range(3):
    now, state = jax.jit(made.update)(zero, state, now, step)
    factor *= 1 - LR * 0.1 * (step + 1)
  start, end = (p["main"]["dense"] for p in (params, now))
  np.testing.assert_allclose(end["kernel"], factor * start["kernel"], rtol=1e-6)
  np.testing.assert_array_equal(end["bias"], start["bias"])


def test_adamw_is_that_of_optax_with_kernels_decayed():
  schedule = optax.linear_schedule(0.1, 0.01, 4)
  tx = optax.adamw(
    schedule, b1=0.8, b2=0.95, eps=1e-6, weight_decay=0.3, mask=kernels
  )
  _, found = run(
    SHAPES, lr=schedule, b1=0.8, b2=0.95, eps=1e-6, weight_decay=0.3
  )
  close(found, optax_run(tx, SHAPES))


def test_clipping_is_by_the_global_norm_before_everything_else():
  tx = optax.chain(
    optax.clip_by_global_norm(0.7),
    optax.adamw(LR, b2=0.95, weight_decay=0.3, mask=kernels),
  )
  _, found = run(SHAPES, weight_decay=0.3, clip_norm=0.7)
  close(found, optax_run(tx, SHAPES))


@pytest.mark.parametrize("name", ["adamw", "adan", "sgd", "lion", "lars"])
def test_a_stack_trains_like_its_layers_one_by_one(name):
  shapes = {"main": {"layers": {"kernel": (3, 4, 5), "bias": (3, 4)}}}
  own = {"name": name, "weight_decay": 0.1, "lr_mults": (("kernel", 0.5),)}
  first, found = run(shapes, **own)
  grads = [normal(step + 1, shapes) for step in range(4)]
  schedule = lambda step: jnp.float32(LR)
  for layer in range(3):
    pick = lambda t, i=layer: {
      "main": {"flat": jax.tree.map(lambda x: x[i], t["main"]["layers"])}
    }
    params = pick(first)
    made = optim.make(settings.Optim(**own), params, (), schedule)
    state = made.init(params)
    for step, grad in enumerate(grads):
      params, state = made.update(pick(grad), state, params, step)
    close(pick(found), params)


def test_lion_is_the_sign_of_an_interpolation():
  own = {"name": "lion", "b1": 0.9, "b2": 0.99, "weight_decay": 0.2}
  first, found = run(SHAPES, decay_mults=(("", 1.0),), **own)
  p, m = np.asarray(first["main"]["dense"]["kernel"]), 0.0
  for step in range(4):
    g = np.asarray(normal(step + 1, SHAPES)["main"]["dense"]["kernel"])
    p = p - LR * (np.sign(0.9 * m + 0.1 * g) + 0.2 * p)
    m = 0.99 * m + 0.01 * g
  np.testing.assert_allclose(found["main"]["dense"]["kernel"], p, rtol=1e-5)


def test_adan_follows_gradients_and_their_differences():
  """Its formulas in float64, Adam's bias corrections on each average."""
  own = {"b1": 0.98, "b2": 0.92, "b3": 0.9, "eps": 1e-6, "weight_decay": 0.2}
  first, found = run(SHAPES, name="adan", **own)
  for name, decay in (("kernel", 0.2), ("bias", 0.0)):
    pick = lambda t, n=name: np.float64(t["main"]["dense"][n])
    p, last, m, v, n = pick(first), None, 0.0, 0.0, 0.0
    for t in range(1, 5):
      g = pick(normal(t, SHAPES))
      d = 0 * g if last is None else g - last
      last = g
      m, v = 0.98 * m + 0.02 * g, 0.92 * v + 0.08 * d
      n = 0.9 * n + 0.1 * (g + 0.08 * d) ** 2
      up = m / (1 - 0.98**t) + 0.08 * v / (1 - 0.92**t)
      step = up / (np.sqrt(n / (1 - 0.9**t)) + 1e-6)
      p = p - LR * (step + decay * p)
    np.testing.assert_allclose(pick(found), p, rtol=2e-5, atol=1e-6)


def test_adan_of_equal_gradients_is_adam_with_its_third_decay():
  """Differences are 0: v stays 0, and n is Adam's second moment."""
  params = normal(0, SHAPES)
  grads = normal(1, SHAPES)
  ends = []
  for own in (
    {"name": "adan", "b1": 0.9, "b2": 0.92, "b3": 0.95},
    {"name": "adamw", "b1": 0.9, "b2": 0.95},
  ):
    made = optim.make(settings.Optim(**own), params, (), lambda step: LR)
    state, now = made.init(params), params
    for step in range(3):
      now, state = made.update(grads, state, now, step)
    ends.append(now)
  close(*ends)


def momentum(p, grads, decay, adapt=lambda d, p: d):
  """m = 0.9 m + adapt(g + decay p); p -= lr m, in float64."""
  p, m = np.asarray(p, np.float64), 0.0
  for g in grads:
    d = np.asarray(g, np.float64) + decay * p
    m = 0.9 * m + adapt(d, p)
    p = p - LR * m
  return p


def test_sgd_adds_the_decay_to_the_gradient():
  first, found = run(SHAPES, name="sgd", weight_decay=0.3)
  for name, decay in (("kernel", 0.3), ("bias", 0.0)):
    pick = lambda t, n=name: t["main"]["dense"][n]
    grads = [pick(normal(s + 1, SHAPES)) for s in range(4)]
    expected = momentum(pick(first), grads, decay)
    np.testing.assert_allclose(pick(found), expected, rtol=1e-5, atol=1e-6)


def trust(d, p):
  """The MAE release: 0.001 |p| / |d|, 1 where a norm is 0."""
  norm_p, norm_d = np.linalg.norm(p), np.linalg.norm(d)
  return d * (0.001 * norm_p / norm_d if norm_p and norm_d else 1.0)


def test_lars_adapts_matrices_and_leaves_vectors_alone():
  first, found = run(SHAPES, name="lars", weight_decay=0.3)
  for name, decay, adapt in (("kernel", 0.3, trust), ("bias", 0.0, None)):
    pick = lambda t, n=name: t["main"]["dense"][n]
    grads = [pick(normal(s + 1, SHAPES)) for s in range(4)]
    expected = momentum(pick(first), grads, decay, adapt or (lambda d, p: d))
    np.testing.assert_allclose(pick(found), expected, rtol=1e-5, atol=1e-6)


def test_lars_norms_are_those_of_each_layer_and_zero_norms_adapt_nothing():
  tree = {"layers": {"kernel": jnp.ones((4, 2, 3)), "bias": jnp.ones((4, 3))}}
  params = jax.tree.map(lambda x: x.at[1].set(0.0), tree)
  scales = jnp.array([1.0, 1.0, 0.0, 5.0])
  grads = jax.tree.map(
    lambda x: scales.reshape(-1, *[1] * (x.ndim - 1)) * x, tree
  )
  tx = optim.trust_ratio(0.001)
  found, _ = tx.update(grads, tx.init(params), params)
  kernel = found["layers"]["kernel"]
  # Layer 1 has no weights, layer 2 no gradient; the scale of 3 cancels.
  np.testing.assert_allclose(kernel[:, 0, 0], [0.001, 1, 0, 0.001], rtol=1e-6)
  np.testing.assert_array_equal(
    found["layers"]["bias"], grads["layers"]["bias"]
  )


def leaves(shapes, groups=(), layer_decay=1.0):
  return optim.leaf_settings(normal(0, shapes), groups, layer_decay)["main"]


def test_only_kernels_are_decayed_by_default():
  found = leaves(SHAPES)
  assert found["dense"]["kernel"] == optim.Leaf(1.0, 1.0, False)
  for leaf in (found["dense"]["bias"], found["norm"]["scale"]):
    assert leaf == optim.Leaf(0.0, 1.0, False)
  assert found["cls_token"].decay == 0.0


def test_the_first_group_that_sets_a_field_wins():
  groups = (
    method.Group(pattern="dense", lr=0.5),
    method.Group(pattern="kernel", lr=0.1, decay=0.3),
    method.Group(pattern="bias", decay=1.0, frozen=True),
    method.Group(pattern="dense/bias", frozen=False),
  )
  dense = leaves(SHAPES, groups)["dense"]
  assert dense["kernel"] == optim.Leaf(0.3, 0.5, False)
  assert dense["bias"] == optim.Leaf(1.0, 0.5, True)


def test_the_config_comes_before_the_method():
  groups = (method.Group(pattern="kernel", lr=0.1, decay=0.1),)
  own = {
    "name": "sgd",
    "weight_decay": 1.0,
    "lr_mults": (("dense", 2.0),),
    "decay_mults": (("kernel", 0.5), ("token", 1.0)),
  }
  params = normal(0, SHAPES)
  made = optim.make(settings.Optim(**own), params, groups, lambda step: 0.1)
  main = made.leaves["main"]
  assert main["dense"]["kernel"] == optim.Leaf(0.5, 2.0, False)
  assert main["dense"]["bias"] == optim.Leaf(0.0, 2.0, False)
  assert main["cls_token"] == optim.Leaf(1.0, 1.0, False)


def test_lr_mults_scale_the_step_and_its_decay():
  first, plain = run(SHAPES, steps=1, weight_decay=0.3)
  _, halved = run(SHAPES, steps=1, weight_decay=0.3, lr_mults=(("dense", 0.5),))
  for name in ("kernel", "bias"):
    pick = lambda t, n=name: np.asarray(t["main"]["dense"][n])
    moved, half = pick(plain) - pick(first), pick(halved) - pick(first)
    np.testing.assert_allclose(half, moved / 2, atol=1e-6)
  close(halved["main"]["norm"], plain["main"]["norm"])
