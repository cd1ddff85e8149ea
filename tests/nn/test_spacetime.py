"""Blocks of space and time: what there is at first, and what adds to it."""

import einops
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import spacetime

RNG = np.random.default_rng(0)
B, T, N, W = 2, 3, 4, 8
X = jnp.asarray(RNG.normal(size=(B, T * N, W)), jnp.float32)
COND = jnp.asarray(RNG.normal(size=(B, 6 * W)), jnp.float32)
TOLD = jnp.asarray(RNG.normal(size=(B, 5, W)), jnp.float32)
CONTEXT = jnp.asarray(RNG.normal(size=(B, 2, W)), jnp.float32)
WHOLE = dict(temporal=True, fused=True, context=True, branch=True)


def fresh(**own):
  block = spacetime.Block(heads=2, **own)
  return block, block.init(jax.random.key(0), X, cond=COND)["params"]


def filled(params):
  """No leaf is zero."""
  fill = lambda a: jnp.asarray(RNG.normal(size=a.shape) * 0.3, jnp.float32)
  return jax.tree.map(fill, params)


def apply(block, params, x=X, frames=T, **more):
  more = dict(told=TOLD, context=CONTEXT) | more
  return block.apply({"params": params}, x, cond=COND, frames=frames, **more)[0]


def test_what_is_added_begins_by_adding_nothing_bit_for_bit():
  block, params = fresh(**WHOLE)
  plain = spacetime.Block(heads=2)
  names = ("temporal", "fused", "cross", "added")
  old = {k: v for k, v in params.items() if k not in names}
  assert old.keys() == fresh()[1].keys()
  np.testing.assert_array_equal(apply(block, params), apply(plain, old))
  _, found = block.apply(
    {"params": params}, X, cond=COND, frames=T, context=CONTEXT, taps=("added",)
  )
  np.testing.assert_array_equal(found["added"], 0)


def test_a_block_is_its_formula():
  """Against the same lines in numpy."""
  block, params = fresh(**WHOLE)
  p = jax.tree.map(np.asarray, filled(params))
  x, told, context = (np.asarray(a, np.float64) for a in (X, TOLD, CONTEXT))
  dense = lambda a, q: a @ q["kernel"] + q["bias"]
  mods = (np.asarray(COND).reshape(B, 6, W) + p["table"])[:, :, None]
  s1, c1, g1, s2, c2, g2 = np.moveaxis(mods, 1, 0)

  def ln(a, q=None):
    y = (a - a.mean(-1, keepdims=True)) / np.sqrt(
      a.var(-1, keepdims=True) + 1e-6
    )
    return y if q is None else y * q["scale"] + q["bias"]

  def attend(q, k, v):
    q, k, v = (
      einops.rearrange(a, "b t (h d) -> b h t d", h=2) for a in (q, k, v)
    )
    logits = q @ np.swapaxes(k, -1, -2) / np.sqrt(W / 2)
    e = np.exp(logits - logits.max(-1, keepdims=True))
    y = e / e.sum(-1, keepdims=True) @ v
    return einops.rearrange(y, "b h t d -> b t (h d)")

  def own(a, q):
    return dense(attend(*np.split(dense(a, q["qkv"]), 3, -1)), q["proj"])

  def cross(a, other, q):
    k, v = dense(other, q["k"]), dense(other, q["v"])
    return dense(attend(dense(a, q["q"]), k, v), q["proj"])

  h = ln(x) * (1 + c1) + s1
  rows = einops.rearrange(h, "b (t n) w -> (b t) n w", t=T)
  y = own(rows, p["attn"]).reshape(B, T * N, W)
  y = y + p["fused"]["gamma"] * cross(h, told, p["fused"]["attn"])
  x = x + g1 * y
  omega = 10000.0 ** (-np.arange(W // 2) / (W // 2))
  angles = np.outer(np.arange(T), omega)
  places = np.concatenate([np.sin(angles), np.cos(angles)], -1)
  rows = einops.rearrange(x, "b (t n) w -> (b n) t w", t=T) + places
  y = own(rows, p["temporal"]["attn"])
  x = x + g1 * einops.rearrange(y, "(b n) t w -> b (t n) w", b=B)
  x = x + cross(ln(x, p["cross"]["norm"]), context, p["cross"]["attn"])
  h = dense(ln(x) * (1 + c2) + s2, p["mlp"]["fc1"])
  h = h / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3)))
  x = x + g2 * dense(h, p["mlp"]["fc2"])
  np.testing.assert_allclose(apply(block, p), x, rtol=1e-4, atol=1e-4)


def test_a_frame_alone_has_no_time():
  block, params = fresh(temporal=True)
  params = filled(params)
  one = X[:, :N]
  plain = {k: v for k, v in params.items() if k != "temporal"}
  want = apply(spacetime.Block(heads=2), plain, one, frames=1)
  np.testing.assert_array_equal(apply(block, params, one, frames=1), want)
  two = apply(block, params, X[:, : 2 * N], frames=2)
  assert np.abs(two[:, :N] - want).max() > 1e-3


def test_without_time_frames_are_apart_and_with_it_they_are_not():
  moved = X.at[:, N:].add(1.0)
  for temporal in (False, True):
    block, params = fresh(temporal=temporal)
    params = filled(params)
    a, b = (apply(block, params, x)[:, :N] for x in (X, moved))
    assert (np.abs(a - b).max() > 1e-3) == temporal


@pytest.mark.parametrize("keep", [(1.0, 0.0), (0.0, 1.0)])
def test_who_is_told_nothing_is_as_without(keep):
  block, params = fresh(fused=True)
  params = filled(params)
  keep = jnp.array(keep)
  found = apply(block, params, keep=keep)
  none = params | {"fused": params["fused"] | {"gamma": jnp.zeros(())}}
  told, alone = apply(block, params), apply(block, none)
  want = jnp.where(keep[:, None, None] > 0, told, alone)
  np.testing.assert_allclose(found, want, rtol=1e-6)
  assert np.abs(told - alone).max() > 1e-3


def test_a_branch_adds_before_all_else():
  block, params = fresh()
  params, more = filled(params), 0.1 * X[::-1]
  np.testing.assert_array_equal(
    apply(block, params, added=more), apply(block, params, X + more)
  )
