"""Layer-wise learning rates and frozen parameters."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

from jmim.core import tree as trees
from jmim.core.settings import optim as settings
from jmim.training import optim

ROOT = pathlib.Path(__file__).resolve().parents[2]
CASE = ROOT.parent / "shared" / "golden" / "mae" / "a_finetune.json"


def translate(name):
  """(our name, block or None) of "blocks.0.attn.qkv.weight"."""
  block = None
  parts = name.split(".")
  if parts[0] == "blocks":
    block = int(parts[1])
    parts[1] = "layers"
  norm = "norm" in parts[-2] if len(parts) > 1 else False
  parts[-1] = {"weight": "scale" if norm else "kernel"}.get(
    parts[-1], parts[-1]
  )
  return "main/" + "/".join(parts), block


def nested(names):
  """Zeros by name: 1-D but for kernels and tokens; stacks of three."""
  tree = {}
  for name in names:
    shape = (2, 2) if name.endswith(("kernel", "token", "embed")) else (2,)
    shape = (3, *shape) if trees.stacked(name) else shape
    *path, last = name.split("/")
    node = tree
    for part in path:
      node = node.setdefault(part, {})
    node[last] = jnp.zeros(shape)
  return tree


@pytest.mark.skipif(not CASE.is_file(), reason=f"no {CASE}")
def test_layer_decay_is_that_of_the_mae_release():
  case = json.loads(CASE.read_text())
  groups, d = case["param_groups"], case["config"]["layer_decay"]
  params = nested({translate(name)[0] for name in groups})
  found = trees.named(optim.leaf_settings(params, (), d))
  for name, expected in groups.items():
    ours, block = translate(name)
    rate = np.asarray(found[ours].lr)
    rate = rate if block is None else rate[block]
    assert np.allclose(rate, expected["lr_scale"], rtol=1e-12), name
    assert bool(found[ours].decay) == bool(expected["weight_decay"]), name


def test_layer_decay_by_hand():
  names = [
    "main/patch_embed/proj/kernel",
    "main/pos_embed",
    "main/head/kernel",
    "main/blocks/layers/mlp/kernel",
    "main/blocks/layers/norm/scale",
  ]
  found = trees.named(optim.leaf_settings(nested(names), (), 0.5))
  assert [found[n].lr for n in names[:3]] == [0.5**4, 0.5**4, 1.0]
  for name, ndim in ((names[3], 3), (names[4], 2)):
    rate = found[name].lr
    assert rate.ndim == ndim  # broadcasts against [layers, ...]
    np.testing.assert_array_equal(rate.ravel(), [0.125, 0.25, 0.5])


def test_layer_rates_reach_the_update():
  params = nested(["main/blocks/layers/kernel"])
  own = {"name": "sgd", "momentum": 0.0, "weight_decay": 0.0}
  made = optim.make(
    settings.Optim(layer_decay=0.5, lr_mults=(("kernel", 3.0),), **own),
    params,
    (),
    lambda step: jnp.float32(1.0),
  )
  ones = jax.tree.map(jnp.ones_like, params)
  new, _ = made.update(ones, made.init(params), params, 0)
  moved = -new["main"]["blocks"]["layers"]["kernel"][:, 0, 0]
  np.testing.assert_allclose(moved, [0.375, 0.75, 1.5])


def test_without_a_stack_there_is_no_layer_decay():
  found = optim.leaf_settings(nested(["main/head/kernel"]), (), 0.5)
  assert found["main"]["head"]["kernel"].lr == 1.0


PARAMS = {
  "main": {
    "encoder": {"kernel": jnp.full((2, 3), 2.0), "bias": jnp.full(3, 2.0)},
    "head": {"kernel": jnp.full((3, 2), 2.0)},
  }
}


@pytest.mark.parametrize("name", ["adamw", "adan", "lion", "sgd", "lars"])
def test_frozen_parameters_have_no_state_and_do_not_move(name):
  cfg = settings.Optim(name=name, freeze=("encoder/",))
  made = optim.make(cfg, PARAMS, (), lambda step: jnp.float32(0.1))
  state = made.init(PARAMS)
  assert not [n for n in trees.named(state) if "encoder" in n]
  assert [n for n in trees.named(state) if n.endswith("head/kernel")]
  trained = made.trainable(PARAMS)
  assert list(trees.named(trained)) == ["main/head/kernel"]
  grads = jax.tree.map(jnp.ones_like, trained)
  trained, _ = made.update(grads, state, trained, 0)
  merged = made.merge(trained, PARAMS)
  assert merged["main"]["encoder"] is not None
  for part in ("kernel", "bias"):
    np.testing.assert_array_equal(merged["main"]["encoder"][part], 2.0)
  assert np.all(merged["main"]["head"]["kernel"] != 2.0)


def test_one_of_several_patterns_may_freeze():
  cfg = settings.Optim(freeze=("bias$", "^main/head"))
  made = optim.make(cfg, PARAMS, (), lambda step: 0.1)
  assert list(trees.named(made.trainable(PARAMS))) == ["main/encoder/kernel"]


def test_frozen_parameters_are_not_in_the_norm_of_the_clip():
  toy = toys.MLP(width=2, depth=1)
  batch = toys.make_batch(toy)
  own = {
    "name": "sgd",
    "momentum": 0.0,
    "weight_decay": 0.0,
    "clip_norm": 1e-3,
    "freeze": ("embed|blocks",),
  }
  step = toys.make_step(toy, batch, {"main": own}, lr=1.0)
  state = jax.jit(step.init)(batch, {})
  new, metrics = jax.jit(step)(state, {}, batch)
  moved = jax.tree.map(lambda a, b: a - b, state.params, new.params)["main"]
  norms = {
    k: np.sqrt(sum(float((x**2).sum()) for x in jax.tree.leaves(t)))
    for k, t in moved.items()
  }
  assert norms["embed"] == norms["blocks"] == 0
  # Were the frozen gradients counted, the rest would move by less.
  assert norms["head"] == pytest.approx(1e-3, rel=1e-3)
  whole = toys.make_step(toy, batch, {"main": own | {"freeze": ()}}, lr=1.0)
  _, every = jax.jit(whole)(jax.jit(whole.init)(batch, {}), {}, batch)
  assert metrics["grad_norm"] < every["grad_norm"]
