"""What a target takes from a source inside one network."""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toydiffusion

from jmim.diffusion import dragging
from jmim.methods.edit import blob
from jmim.methods.parts import branches
from jmim.nn import attention
from jmim.nn import ellipses as forms
from jmim.nn import hooks

B, SIDE, N = 2, 8, 16  # of two pictures, and the tokens of a coarser map
RNG = np.random.default_rng(0)
normal = lambda *shape: RNG.normal(size=shape).astype(np.float32)
ELLIPSES = jnp.asarray(
  [[[0.3, 0.3, 0.2, 0.15, 0.4], [0.7, 0.75, 0.25, 0.2, 0.0]]] * B
)
BY = jnp.array([[0.4, 0.0], [0.25, -0.1]])
MOVED = forms.moved(ELLIPSES, jnp.zeros(B, int), BY)
SCENE = branches.Scene.of(ELLIPSES, MOVED, jnp.zeros(B, int), by=BY, side=SIDE)
OFF = branches.Branches(mask=False, share=False, anchor="off", copy="off")


def test_a_scene_is_where_the_thing_was_and_will_be():
  np.testing.assert_array_equal(SCENE.old, forms.inside(ELLIPSES[:, 0], SIDE))
  np.testing.assert_array_equal(SCENE.new, forms.inside(MOVED[:, 0], SIDE))
  both = forms.inside(jnp.concatenate([ELLIPSES, MOVED]), SIDE)
  np.testing.assert_array_equal(SCENE.places, both)
  small = SCENE.coarser(N)
  assert small.old.shape == (B, N) and small.places.shape == (2 * B, 2, N)
  wanted = forms.coarser(SCENE.new, 2).reshape(B, N)
  np.testing.assert_array_equal(small.new, wanted)
  np.testing.assert_array_equal(small.by, [[2, 0], [1, 0]])
  same = SCENE.coarser(SIDE * SIDE)
  np.testing.assert_array_equal(same.old.reshape(B, SIDE, SIDE), SCENE.old)


def test_both_branches_are_told_as_one_batch():
  told = {"a": np.zeros((B, 3)), "b": np.ones(B)}
  found = branches.paired((told, told["a"]), (told, told["a"] + 2))
  np.testing.assert_array_equal(found[0]["b"], np.ones(2 * B))
  np.testing.assert_array_equal(found[1], [[0] * 3] * B + [[2] * 3] * B)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("anchor", ["linear", "whole", "off"])
def test_early_features_are_anchored_and_late_ones_copied(groups, anchor):
  x = normal(2 * B * groups, N, 5)
  part = dataclasses.replace(OFF, anchor=anchor, copy="thing", until=0.5)
  features = jax.jit(functools.partial(part.features, SCENE))
  at = SCENE.coarser(N)
  rows = x.reshape(groups, 2, B, N, 5)
  share = {"linear": 0.8, "whole": 1.0, "off": 0.0}[anchor]
  found = np.asarray(features(0.8, x)).reshape(rows.shape)
  np.testing.assert_array_equal(found[:, 0], rows[:, 0])
  for source, target, made in zip(
    rows[:, 0], rows[:, 1], found[:, 1], strict=True
  ):
    wanted = dragging.anchored(
      target, source, at.old, at.new, by=at.by, share=share
    )
    np.testing.assert_allclose(made, wanted, atol=1e-5)
  found = np.asarray(features(0.5, x)).reshape(rows.shape)
  np.testing.assert_array_equal(found[:, 0], rows[:, 0])
  for source, target, made in zip(
    rows[:, 0], rows[:, 1], found[:, 1], strict=True
  ):
    wanted = dragging.copied(target, source, at.old, at.new, rest=False)
    np.testing.assert_array_equal(made, wanted)


def test_copies_may_be_of_all_tokens_or_none():
  x = normal(2 * B, N, 5)
  part = dataclasses.replace(OFF, anchor="linear")
  np.testing.assert_array_equal(part.features(SCENE, 0.1, x), x)
  every = dataclasses.replace(OFF, copy="all").features(SCENE, 0.1, x)
  at = SCENE.coarser(N)
  wanted = dragging.copied(x[B:], x[:B], at.old, at.new, rest=True)
  np.testing.assert_array_equal(every[B:], wanted)


def test_a_field_turns_every_part_off():
  assert OFF.changes(SCENE, 1.0) == {}
  parts = {"mask": True, "share": True, "anchor": "whole", "copy": "thing"}
  count = {
    n: len(dataclasses.replace(OFF, **{n: x}).changes(SCENE, 1.0))
    for n, x in parts.items()
  }
  assert count == dict.fromkeys(parts, 1)
  assert len(branches.Branches().changes(SCENE, 1.0)) == 3


OWNER = blob.Blob.tiny()
WEIGHTS = toydiffusion.fresh(OWNER)
SOURCE = OWNER.diffuser(WEIGHTS)
WORDS = {
  "tokens": jnp.array([[1, 2, 5], [3, 4, 0]]),
  "thing_tokens": jnp.array([[[1, 2], [4, 0]], [[5, 6], [7, 0]]]),
}
X = normal(2 * B, *OWNER.shape)
T = jnp.full(2 * B, 7.0)
TOLD = branches.paired(
  *(SOURCE.tell(WORDS | {"ellipses": e}) for e in (ELLIPSES, MOVED))
)


def calls(part, pattern, x=X, u=0.9):
  """Calls of the network's modules as they are with some parts."""

  @jax.jit
  def run(x):
    with hooks.edited(part.changes(SCENE, u)), hooks.seen(pattern) as found:
      y = SOURCE.guided(x, T, *TOLD, scale=2.0)
    return y, {n: (c[0].args, c[0].kwargs) for n, c in found.items()}

  return run(x)


JOINT = "*_attention/gated_0/joint/attend"


def masses(found):
  """Joint attention [4 b, heads, n + k, n + k] of all places."""
  for (q, k, _), more in found.values():
    yield np.asarray(attention.probabilities(q, k, **more)), q.shape[2] - 2


def test_masked_no_thing_attends_outside_of_its_own_ellipse():
  """In each branch by the branch's own masks, for both halves of guidance."""
  _, found = calls(dataclasses.replace(OFF, mask=True), JOINT)
  _, free = calls(OFF, JOINT)
  assert len(found) >= 3
  for (mass, n), (other, _) in zip(masses(found), masses(free), strict=True):
    places = np.asarray(SCENE.coarser(n).places)
    outside = np.tile(~places, (2, 1, 1))[:, None]
    outside = np.broadcast_to(outside, (4 * B, 2, 2, n))
    assert outside.any()
    to_places, to_things = mass[:, :, n:, :n], mass[:, :, :n, n:]
    assert (to_places[outside] == 0).all()
    assert (to_things.swapaxes(2, 3)[outside] == 0).all()
    assert (other[:, :, n:, :n][outside] > 0).all()
    across = mass[:, :, n:, n:] * (1 - np.eye(2))
    assert (across == 0).all()


def test_keys_and_values_are_those_of_the_source():
  part = dataclasses.replace(OFF, share=True)
  seen = []

  def look(x):
    changes = part.changes(SCENE, 0.9)
    (name,) = changes

    def watched(call):
      run = call.run
      keep = lambda *args, **kw: (seen.append(args), run(*args, **kw))[1]
      return changes[name](dataclasses.replace(call, run=keep))

    with hooks.edited({name: watched}):
      y = SOURCE.guided(x, T, *TOLD, scale=2.0)
    return y, seen

  _, found = jax.jit(look)(X)
  assert len(found) >= 2
  for q, k, v in found:
    for x in (k, v):
      rows = np.asarray(x).reshape(2, 2, B, *x.shape[1:])
      np.testing.assert_array_equal(rows[:, 0], rows[:, 1])
    rows = np.asarray(q).reshape(2, 2, B, *q.shape[1:])
    assert np.abs(rows[:, 0] - rows[:, 1]).max() > 1e-3


def test_the_source_is_not_changed_by_its_target():
  plain, _ = calls(OFF, "conv_in")
  every, _ = calls(
    dataclasses.replace(branches.Branches(), mask=False), "conv_in"
  )
  np.testing.assert_allclose(every[:B], plain[:B], atol=1e-5)
  assert np.abs(every[B:] - plain[B:]).max() > 1e-3


def test_a_network_without_things_is_named():
  class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
      return nn.Dense(3, name="only")(x)

  net = Net()
  with pytest.raises(ValueError, match="joint"):
    with hooks.edited(dataclasses.replace(OFF, mask=True).changes(SCENE, 1.0)):
      net.init(jax.random.key(0), X)
