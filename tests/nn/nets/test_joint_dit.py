import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import runtime
from jmim.nn.nets import joint_dit

DIMS = joint_dit.Dims(width=24, depth=2, heads=4, kv_group=2, patch=2)
B, N, F, H, W, C = 2, 5, 2, 4, 6, 3  # sides differ, two frames are asked for
NET = joint_dit.JointDiT(dims=DIMS)


@pytest.fixture(scope="module")
def given(fill, normal):
  x, context = normal(B, F, H, W, C), normal(B, N, H, W, C, seed=1)
  t = jnp.array([0.2, 0.9])
  return x, t, context, fill(NET, x, t, context, scale=0.4)


def apply(given, net=NET, **changes):
  x, t, context, variables = given
  kw = dict(context=context) | changes
  return net.apply(variables, x, t, **kw)["pred"]


def test_a_fresh_network_predicts_0(given):
  x, t, context, _ = given
  fresh = NET.init(jax.random.key(0), x, t, context)
  found = NET.apply(fresh, x, t, context)["pred"]
  np.testing.assert_array_equal(found, np.zeros_like(x))


def test_the_order_of_pairs_is_seen_by_positions_alone(given):
  _, _, context, _ = given
  swapped = context[:, np.array([2, 3, 0, 1, 4])]
  assert np.abs(apply(given) - apply(given, context=swapped)).max() > 1e-4
  bare = joint_dit.JointDiT(dims=joint_dit.Dims(**{**vars(DIMS), "theta": 0.0}))
  found, again = (apply(given, net=bare, context=c) for c in (context, swapped))
  np.testing.assert_allclose(found, again, atol=1e-4)


def test_hidden_frames_are_a_shorter_context(given):
  """Positions are seen as distances: where the sequence begins is free."""
  _, _, context, _ = given
  mask = np.ones((B, N), bool)
  mask[:, :2] = False
  found = apply(given, mask=mask)
  np.testing.assert_allclose(
    found, apply(given, context=context[:, 2:]), atol=2e-5
  )
  mask[1] = True
  mixed = apply(given, mask=mask)
  np.testing.assert_allclose(mixed[:1], found[:1], atol=1e-4)
  np.testing.assert_allclose(mixed[1:], apply(given)[1:], atol=1e-4)


def test_tokens_are_patches_in_raster_order_frame_by_frame(given):
  """A change of one patch of the target is first seen in its own token."""
  x, t, context, variables = given
  tap = lambda x: NET.apply(variables, x, t, context, taps=("block",))["block"]
  one = jnp.asarray(x).at[:, 1, 2:4, 4:6].add(1.0)
  change = np.abs(tap(one)[0] - tap(x)[0]).max((0, 2))
  place = (H // 2) * (W // 2)
  assert change.argmax() == (N + 1) * place + 1 * (W // 2) + 2


def test_scanned_and_unrolled_are_one(given):
  scanned = joint_dit.JointDiT(dims=DIMS, rt=runtime.Runtime(scan=True))
  np.testing.assert_allclose(apply(given, net=scanned), apply(given), atol=1e-4)


@pytest.mark.parametrize(
  "dims, billions", [({}, 3.399), (dict(width=576, depth=12, heads=8), 0.1165)]
)
def test_published_sizes_have_their_parameters(dims, billions):
  net = joint_dit.JointDiT(dims=joint_dit.Dims(**dims))
  x = jax.ShapeDtypeStruct((1, 1, 2, 2, 16), jnp.float32)
  t = jax.ShapeDtypeStruct((1,), jnp.float32)
  made = jax.eval_shape(net.init, jax.random.key(0), x, t, x)
  count = sum(a.size for a in jax.tree.leaves(made))
  assert count == pytest.approx(billions * 1e9, rel=2e-3)


@pytest.mark.parametrize(
  "changes, side, message",
  [
    (dict(width=20), 8, "multiples of 6 wide"),
    (dict(width=32), 8, "multiples of 6 wide"),
    (dict(kv_group=3), 8, "dims.kv_group 3"),
    ({}, 9, "size 9 does not divide by dims.patch 2"),
  ],
)
def test_sizes_must_go_together(changes, side, message):
  with pytest.raises(ValueError, match=message):
    joint_dit.Dims(**{**vars(DIMS), **changes}).check(side)
