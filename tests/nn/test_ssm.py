"""What the card of TokenUnify states exactly of its mixers."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import runtime
from jmim.nn import ssm

B, T, D, N = 2, 11, 3, 4
NET = ssm.Mixer(slices=2, states=N)
W = 6


@pytest.fixture(scope="module")
def arrays(normal):
  a = -np.exp(normal(D, N, seed=2))
  dt = np.log1p(np.exp(normal(B, T, D, seed=1)))
  return (
    normal(B, T, D),
    dt,
    a,
    normal(B, T, N, seed=3),
    normal(B, T, N, seed=4),
  )


@pytest.fixture(scope="module")
def tokens(normal):
  return normal(B, 8, W)


@pytest.fixture(scope="module")
def params(fill, tokens):
  return fill(NET, tokens)["params"]


def by_hand(x, dt, a, b, c):
  """The recurrence in float64."""
  h, y = np.zeros((B, D, N)), []
  for t in range(x.shape[1]):
    h = np.exp(dt[:, t, :, None] * a) * h
    h = h + (dt[:, t] * x[:, t])[..., None] * b[:, t, None]
    y.append((h * c[:, t, None]).sum(-1))
  return np.stack(y, 1)


@pytest.mark.parametrize("chunk", [1, 3, 4, 11, 64])
def test_chunks_are_the_recurrence_whether_they_divide_or_not(arrays, chunk):
  x, dt, a, b, c = arrays
  found = ssm.selective_scan(x, dt, a, b=b, c=c, chunk=chunk)
  want = by_hand(*(np.asarray(v, np.float64) for v in arrays))
  np.testing.assert_allclose(found, want, atol=1e-5)
  alike = ssm.sequential_scan(x, dt, a, b=b, c=c)
  np.testing.assert_allclose(alike, want, atol=1e-5)


def test_long_sequences_have_longer_chunks(arrays):
  assert [ssm.chunk_of(t) for t in (5, 1600, 4096, 51_200)] == [16, 16, 16, 200]
  x, dt, a, b, c = arrays
  own = ssm.selective_scan(x, dt, a, b=b, c=c)
  np.testing.assert_array_equal(
    own, ssm.selective_scan(x, dt, a, b=b, c=c, chunk=16)
  )


def test_gradients_of_both_forms_are_equal(arrays):
  def loss(scan, **how):
    return lambda x, dt, a, b, c: (scan(x, dt, a, b=b, c=c, **how) ** 2).sum()

  every = tuple(range(5))
  one = jax.grad(loss(ssm.selective_scan, chunk=4), every)(*arrays)
  other = jax.grad(loss(ssm.sequential_scan), every)(*arrays)
  for found, want in zip(one, other, strict=True):
    scale = float(abs(want).max())
    np.testing.assert_allclose(found, want, atol=1e-5 * scale)


def test_orders_are_undone(normal):
  x = normal(1, 10, 2)
  for name in ssm.DIRECTIONS:
    there = ssm.ordered(x, name, 5)
    np.testing.assert_array_equal(ssm.restored(there, name, 5), x)
  first = ssm.ordered(np.arange(10)[None, :, None], "interleaved", 5)
  assert first.ravel().tolist() == [0, 2, 4, 6, 8, 1, 3, 5, 7, 9]


def only(params, direction):
  """Parameters of which the other directions give nothing."""
  nothing = lambda tree: jax.tree.map(np.zeros_like, tree)
  return {
    name: nothing(tree)
    if name in ssm.DIRECTIONS and name != direction
    else tree
    for name, tree in params.items()
  }


def test_the_forward_branch_is_causal_and_the_backward_one_is_not(
  params, tokens
):
  later = tokens.copy()
  later[:, 5:] += 1.0
  for name, moved in (("forward", False), ("backward", True)):
    p = {"params": only(params, name)}
    a, b = (np.asarray(NET.apply(p, x)) for x in (tokens, later))
    assert (abs(a - b)[:, :5].max() > 1e-3) == moved
    assert abs(a - b)[:, 5:].max() > 1e-3


def test_a_reversed_input_swaps_forward_and_backward(params, tokens):
  two = {k: v for k, v in only(params, "forward").items()}
  two["backward"] = params["backward"]
  swapped = two | {"forward": two["backward"], "backward": two["forward"]}
  one = NET.apply({"params": two}, tokens)
  other = NET.apply({"params": swapped}, tokens[:, ::-1])
  np.testing.assert_allclose(other[:, ::-1], one, atol=1e-5)


def test_a_length_that_the_slices_do_not_divide_is_an_error(tokens):
  with pytest.raises(ValueError, match="8 steps in 3 equal slices"):
    jax.eval_shape(
      dataclasses.replace(NET, slices=3).init, jax.random.key(0), tokens
    )


def test_a_fresh_mixer_starts_as_mamba_does(tokens):
  net = ssm.Mixer(slices=2, states=N, expand=50)
  params = net.init(jax.random.key(0), tokens)["params"]
  for name in ssm.DIRECTIONS:
    own = params[name]
    logs = np.broadcast_to(np.log(np.arange(1, N + 1)), own["A_log"].shape)
    np.testing.assert_allclose(own["A_log"], logs, rtol=1e-6)
    np.testing.assert_array_equal(own["D"], np.ones(50 * W))
    dt = np.log1p(np.exp(np.asarray(own["dt_proj"]["bias"], np.float64)))
    assert 1e-3 * 0.999 <= dt.min() < 3e-3 and 3e-2 < dt.max() <= 0.1001
    kernel = own["dt_proj"]["kernel"]
    assert kernel.shape[0] == 1 and 0.9 < abs(kernel).max() <= 1.0
  bias = [params[name]["dt_proj"]["bias"] for name in ssm.DIRECTIONS]
  assert not np.array_equal(bias[0], bias[1])


def test_the_scan_stays_float32_in_bfloat16(params, tokens):
  net = dataclasses.replace(NET, rt=runtime.Runtime(dtype=jnp.bfloat16))
  seen = []

  def scan(*args, scan=ssm.selective_scan, **kwargs):
    seen.append(scan(*args, **kwargs).dtype)
    return scan(*args, **kwargs)

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(ssm, "selective_scan", scan)
    out = net.apply({"params": params}, tokens)
  assert seen == [jnp.float32] and out.dtype == jnp.bfloat16
  want = NET.apply({"params": params}, tokens)
  np.testing.assert_allclose(
    out.astype("f4"), want, atol=0.05 * abs(want).max()
  )


def test_a_layer_adds_nothing_to_its_input(fill, tokens):
  layer = ssm.Layer(slices=2, states=N)
  params = fill(layer, tokens)["params"]
  params["mamba"]["out_proj"]["kernel"][:] = 0
  y, taps = layer.apply({"params": params}, tokens)
  assert not np.any(y) and taps == {}


@pytest.mark.parametrize("flat", ["none", "all"])
def test_step_sizes_are_float32_in_bfloat16(normal, fill, flat):
  """1e-3 .. 0.1, as they start: a bfloat16 bias is off by up to 1.6 %."""
  x = normal(B, T, 2)
  rt = runtime.Runtime(dtype=jnp.bfloat16, flat=flat)
  net = ssm.Steps(width=200, rt=rt)
  params = net.init(jax.random.key(0), x)["params"]
  params["kernel"] = jnp.zeros_like(params["kernel"])
  dt = net.apply({"params": params}, x)
  want = np.log1p(np.exp(np.asarray(params["bias"], np.float64)))
  assert dt.dtype == jnp.float32
  np.testing.assert_allclose(dt, np.broadcast_to(want, dt.shape), rtol=1e-5)
  full = fill(ssm.Steps(width=200), x)
  found = ssm.Steps(width=200).apply(full, x)
  p = full["params"]
  np.testing.assert_allclose(
    found, np.log1p(np.exp(x @ p["kernel"] + p["bias"])), rtol=1e-4
  )


def test_a_branch_has_those_step_sizes_in_bfloat16(fill, normal):
  rt = runtime.Runtime(dtype=jnp.bfloat16)
  net, x = ssm.Branch(states=N, rank=1, side=2, rt=rt), normal(B, T, D)
  params = fill(net, x)["params"]
  params["dt_proj"]["kernel"][:] = 0
  params["dt_proj"]["bias"][:] = -6.789
  told = net.apply({"params": params}, x)
  np.testing.assert_allclose(told["dt"], np.log1p(np.exp(-6.789)), rtol=1e-5)
