"""Transformers on clips: stages that begin as the one before, rectangles."""

import jax
import jax.numpy as jnp
import numpy as np

from jmim.nn import sizes
from jmim.nn.nets import stdit

RNG = np.random.default_rng(0)
SIZE = sizes.Size(width=16, depth=3, heads=2)
B, T, H, W = 2, 3, 4, 8
normal = lambda *shape: jnp.asarray(RNG.normal(size=shape), jnp.float32)
X, TIMES = normal(B, T, H, W, 4), jnp.array([3.0, 50.0])
TOLD = normal(SIZE.depth, B, 5, 16)
BESIDE = normal(B, T, H, W, 7)


def net(**own):
  return stdit.STDiT(size=SIZE, patch=2, out=3, **own)


def fresh(made, seed=0):
  more = {"beside": BESIDE} if made.branch else {}
  return made.init(jax.random.key(seed), X, TIMES, told=TOLD, **more)["params"]


def filled(params):
  fill = lambda a: jnp.asarray(0.3 * RNG.normal(size=a.shape), jnp.float32)
  return jax.tree.map(fill, params)


def run(made, params, x=X, told=TOLD, **more):
  more = ({"beside": BESIDE} if made.branch else {}) | more
  how = lambda p: made.apply({"params": p}, x, TIMES, told=told, **more)
  return np.asarray(jax.jit(how)(params))


def over(old, new):
  """New parameters with the old ones where both have them."""
  if not isinstance(new, dict):
    return old
  return {k: over(old[k], v) if k in old else v for k, v in new.items()}


def test_prediction_is_zero_at_first():
  made = net(temporal=True, branch=2)
  np.testing.assert_array_equal(run(made, fresh(made)), 0)


def test_each_stage_begins_as_the_one_before_bit_for_bit():
  image, video = net(), net(temporal=True)
  control = net(temporal=True, branch=2)
  old = filled(fresh(image))
  first = over(old, fresh(video))
  np.testing.assert_array_equal(run(video, first), run(image, old))
  assert np.abs(run(image, old)).max() > 0.1
  trained = over(old, filled(fresh(video)))
  assert np.abs(run(video, trained) - run(image, old)).max() > 1e-3
  begun, _ = stdit.begun(over(trained, fresh(control)), told(), 2)
  np.testing.assert_array_equal(run(control, begun), run(video, trained))


def told():
  made = stdit.Told(size=SIZE, patch=2)
  return made.init(jax.random.key(1), X[:, 0, ..., :3])["params"]


def test_blocks_that_begin_as_copies():
  made = net(temporal=True, branch=2)
  before = fresh(made)
  params, garment = stdit.begun(before, told(), 2)
  layers = before["blocks"]["layers"]
  for name, leaf in layers.items():
    same = lambda a, b: np.testing.assert_array_equal(a, b[:2])
    jax.tree.map(same, params["branch"]["layers"][name], leaf)
  own = garment["blocks"]["layers"]
  assert set(own) == {"attn", "mlp", "table"}
  for name, leaf in own.items():
    jax.tree.map(np.testing.assert_array_equal, leaf, layers[name])
  jax.tree.map(
    np.testing.assert_array_equal, garment["modulation"], before["modulation"]
  )
  assert stdit.begun(fresh(net()), told(), 0)[0].keys() == fresh(net()).keys()


def test_one_frame_of_a_video_model_is_the_image_model():
  video = net(temporal=True)
  params = filled(fresh(video))
  one = X[:, :1]
  want = run(net(), over(params, fresh(net())), one)
  np.testing.assert_array_equal(run(video, params, one), want)
  plain = over(params, fresh(net()))
  each = [run(net(), plain, X[:, i : i + 1]) for i in (0, 1)]
  clip = run(net(), plain)
  np.testing.assert_allclose(clip[:, :1], each[0], atol=1e-5)
  np.testing.assert_allclose(clip[:, 1:2], each[1], atol=1e-5)


def test_each_block_is_told_its_own_tokens():
  made = net(temporal=True, branch=2)
  params = filled(fresh(made))
  base = run(made, params)
  for k in range(SIZE.depth):
    changed = run(made, params, told=TOLD.at[k].add(1.0))
    assert np.abs(changed - base).max() > 1e-4
  nothing = run(made, params, keep=jnp.zeros(B))
  other = run(made, params, told=TOLD[::-1], keep=jnp.zeros(B))
  np.testing.assert_array_equal(nothing, other)


def test_a_branch_is_seen_by_the_first_blocks_alone():
  """Without its maps to the stream it is not seen at all."""
  made = net(branch=2)
  params = filled(fresh(made))
  base = run(made, params)
  changed = run(made, params, beside=BESIDE + 1)
  assert np.abs(changed - base).max() > 1e-3
  layers = params["branch"]["layers"]
  none = jax.tree.map(jnp.zeros_like, layers["added"])
  cut = params | {"branch": {"layers": layers | {"added": none}}}
  plain = {k: v for k, v in params.items() if not k.startswith("branch")}
  np.testing.assert_array_equal(run(made, cut), run(net(), plain))


def test_tokens_of_a_picture_are_those_after_each_block():
  made, params = stdit.Told(size=SIZE, patch=2), filled(told())
  image = X[:, 0, ..., :3]
  found = made.apply({"params": params}, image)
  assert found.shape == (3, B, 8, 16)
  short = stdit.Told(size=sizes.Size(width=16, depth=2, heads=2), patch=2)
  first = jax.tree.map(lambda a: a[:2], params["blocks"])
  less = short.apply({"params": params | {"blocks": first}}, image)
  np.testing.assert_allclose(found[:2], less, rtol=1e-5, atol=1e-5)


def test_sides_of_a_rectangle_are_not_exchanged():
  """A patch changes itself alone where all attention gives 0."""
  made = net()
  params = filled(fresh(made))
  layers = params["blocks"]["layers"]
  none = jax.tree.map(jnp.zeros_like, layers["attn"])
  alone = params | {"blocks": {"layers": layers | {"attn": none}}}
  moved = X.at[0, 1, 2:4, 4:6].add(1.0)
  gap = np.abs(run(made, alone) - run(made, alone, moved)) > 1e-6
  where = np.zeros((B, T, H, W), bool)
  where[0, 1, 2:4, 4:6] = True
  np.testing.assert_array_equal(gap.any(-1), where)
