import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import runtime
from jmim.nn import attention
from jmim.nn import factorised
from jmim.nn import sizes
from jmim.nn.nets import video_dit

SIZE = sizes.Size(width=24, depth=2, heads=2)
T = jnp.asarray([0.3, 0.8])


def net(**changes):
  options = dict(size=SIZE, patch=1, axes=(6, 2, 4), out=2)
  return video_dit.VideoDiT(**options | changes)


@pytest.fixture(scope="module")
def clip(normal):
  return normal(2, 3, 2, 2, 2)


@pytest.fixture(scope="module")
def told(normal):
  return video_dit.Told(
    text=jnp.asarray(normal(2, 4, 5, seed=1)),
    clip=jnp.asarray(normal(2, 2, 3, seed=2)),
    valid=jnp.asarray([6, 4]),
  )


@pytest.fixture(scope="module")
def params(fill, clip, told):
  return fill(net(), clip, T, told)["params"]


@functools.partial(jax.jit, static_argnames=("of", "attend", "taps"))
def apply(of, params, x, told, state=None, attend=None, taps=()):
  more = dict(attend=attend, state=state, taps=taps)
  return of.apply({"params": params}, x, T, told, **more)


def test_at_the_start_it_predicts_nothing_and_no_text_is_read(clip, told):
  fresh = jax.jit(net().init)(jax.random.key(0), clip, T, told)["params"]
  other = told._replace(text=-told.text, valid=told.valid - 1)
  first, second = (apply(net(), fresh, clip, told=x) for x in (told, other))
  assert not np.asarray(first["pred"]).any()
  np.testing.assert_array_equal(first["latent"], second["latent"])
  # Blocks begin with their tables and the time, which differ.
  table = np.asarray(fresh["blocks"]["layers"]["table"])
  assert table.shape == (2, 6, 24) and np.abs(table[0] - table[1]).max() > 0.1
  assert np.abs(first["cond"][0] - first["cond"][1]).max() > 1e-3


def test_keys_are_a_prefix_in_which_clip_stands_first(params, clip, told):
  run = lambda told: np.asarray(apply(net(), params, clip, told=told)["pred"])
  base = run(told)
  # Of the second clip 4 tokens are read: two of CLIP and two of the text.
  hidden = run(told._replace(text=told.text.at[1, 2:].set(9.0)))
  np.testing.assert_array_equal(base, hidden)
  for change in (
    told._replace(text=told.text.at[1, 1].set(9.0)),
    told._replace(clip=told.clip.at[1, 1].set(9.0)),
    told._replace(valid=jnp.asarray([6, 5])),
  ):
    found = run(change)
    np.testing.assert_array_equal(base[0], found[0])
    assert np.abs(base[1] - found[1]).max() > 1e-3


def test_logits_depend_on_differences_of_places_alone(params, clip, told):
  """Of tokens that are all alike, on every axis."""
  grid = (3, 2, 2)
  same = jnp.broadcast_to(clip[:, :1, :1, :1], clip.shape)
  found = apply(net(), params, same, told, taps=("q", "k"))
  q, k = (np.asarray(found[n][0, 0]) for n in "qk")  # first layer and clip
  logits = np.einsum("hnd,hmd->hnm", q, k)
  places = np.array(list(np.ndindex(*grid)))
  seen = {}
  for n, at in enumerate(places):
    for m, to in enumerate(places):
      key = tuple(at - to)
      value = seen.setdefault(key, logits[:, n, m])
      np.testing.assert_allclose(logits[:, n, m], value, atol=1e-4)
  # Each axis turns: a step along it changes the logit.
  for step in np.eye(3, dtype=int):
    assert np.abs(seen[tuple(step)] - seen[(0, 0, 0)]).max() > 1e-3


def test_sizes_and_rates_are_told_beside_the_time(fill, clip, told):
  rate = net(sizes_told="rate")
  told = told._replace(fps=jnp.asarray([24.0, 24.0]))
  params = fill(rate, clip, T, told)["params"]
  cond = lambda x, told: np.asarray(apply(rate, params, x, told)["cond"])
  base = cond(clip, told)
  slow = cond(clip, told._replace(fps=jnp.asarray([24.0, 8.0])))
  np.testing.assert_array_equal(base[0], slow[0])
  assert np.abs(base[1] - slow[1]).max() > 1e-3
  # Rows are not columns, and fewer frames are fewer frames.
  wide, tall = clip[:, :, :1], clip[:, :, :, :1]
  assert np.abs(cond(wide, told) - cond(tall, told)).max() > 1e-3
  assert np.abs(base - cond(clip[:, :2], told)).max() > 1e-3
  plain = {k: v for k, v in params.items() if k != "rate_embed"}
  size = apply(net(sizes_told="size"), plain, clip, told)["cond"]
  zeros = jax.tree.map(jnp.zeros_like, params["rate_embed"])
  silent = params | {"rate_embed": zeros}
  np.testing.assert_allclose(
    size, apply(rate, silent, clip, told)["cond"], atol=1e-5
  )


def counted(q, k, v, state):
  """Plain attention that counts its calls and hides what a layer is told."""
  return attention.attend(q, k, v) * state["on"], {"calls": state["calls"] + 1}


@pytest.mark.parametrize("scan", [False, True])
def test_attention_is_replaced_layer_by_layer_with_a_state(
  params, clip, told, scan
):
  of = net(rt=runtime.Runtime(scan=scan))
  state = {"on": jnp.ones(2), "calls": jnp.arange(2)}
  run = functools.partial(apply, of, params, clip, told)
  found = run(state=state, attend=counted, taps=("state", "block"))
  plain = run(taps=("block",))
  np.testing.assert_allclose(found["pred"], plain["pred"], atol=1e-4)
  np.testing.assert_array_equal(found["state"]["calls"], [1, 2])
  state["on"] = jnp.asarray([1.0, 0.0])  # the second layer's is left out
  off = run(state=state, attend=counted, taps=("state", "block"))
  np.testing.assert_allclose(off["block"][0], plain["block"][0], atol=1e-4)
  assert np.abs(off["block"][1] - plain["block"][1]).max() > 1e-2


def test_patches_are_cut_and_put_together_again(fill, clip, told, normal):
  of = net(patch=2, size=sizes.Size(width=24, depth=1, heads=2))
  x = normal(2, 3, 4, 2, 2, seed=5)
  params = fill(of, x, T, told)["params"]
  base = apply(of, params, x, told)
  assert base["latent"].shape == (2, 3 * 2, 24)
  # The last token alone: the rows below 2 of the last frame.
  moved = params | {"pred": {"kernel": params["pred"]["kernel"] * 0}}
  moved["pred"]["bias"] = jnp.arange(8.0)
  pred = np.asarray(apply(of, moved, x, told)["pred"])
  square = np.arange(8.0).reshape(2, 2, 2)  # row, column, channel
  np.testing.assert_array_equal(pred[0, 2, 2:], square)
  np.testing.assert_array_equal(pred, np.tile(square, (2, 3, 2, 1, 1)))


@pytest.mark.parametrize("depth", [1, 2])
def test_factorised_layers_see_a_frame_then_a_place(fill, clip, told, depth):
  of = net(size=sizes.Size(width=24, depth=depth, heads=2))
  params = fill(of, clip, T, told)["params"]

  @jax.jit
  def run(x):
    attend, state = factorised.make(runtime.Runtime(), 3, depth)
    return of.apply({"params": params}, x, T, told, attend=attend, state=state)

  other = clip.copy()
  other[:, 2, 1, 1] += 1.0
  moved = np.abs(run(other)["pred"] - run(clip)["pred"]).max((0, 4)) > 1e-5
  wanted = np.zeros((3, 2, 2), bool)
  wanted[2] = True
  if depth == 2:  # through its own frame to every place, and on in time
    wanted[:] = True
  np.testing.assert_array_equal(moved, wanted)
  full = apply(of, params, other, told)["pred"]
  full -= apply(of, params, clip, told)["pred"]
  assert (np.abs(full).max((0, 4)) > 1e-5).all()
