import einops
import jax
import numpy as np
import pytest

from jmim.nn import posemb
from jmim.nn.nets import timed_heads

T = np.array([0, 3])


def group_norm(x, p, groups):
  """Over all places and the channels of a group; [b, .., c]."""
  b, c = len(x), x.shape[-1]
  y = x.reshape(b, -1, groups, c // groups)
  mean, var = y.mean((1, 3), keepdims=True), y.var((1, 3), keepdims=True)
  y = ((y - mean) / np.sqrt(var + 1e-5)).reshape(x.shape)
  return y * p["scale"] + p["bias"]


def silu(x):
  return x / (1 + np.exp(-x))


def along(x, p):
  """Circular convolution of odd reach."""
  reach = len(p["kernel"])
  shifted = [np.roll(x, reach // 2 - i, axis=1) for i in range(reach)]
  return (
    sum(a @ k for a, k in zip(shifted, p["kernel"], strict=True)) + p["bias"]
  )


def reference(x, p, groups, waves, timed):
  b, h, w, _ = x.shape
  y = group_norm(x, p["norm"], groups)
  if timed:
    wave = silu(np.asarray(posemb.sinusoid(T, waves)))
    told = wave @ p["time"]["kernel"] + p["time"]["bias"]
    scale, shift = np.split(told[:, None, None], 2, axis=-1)
    y = y * (1 + scale) + shift
  y = np.pad(silu(y), ((0, 0), (1, 1), (1, 1), (0, 0)))
  kernel = p["conv"]["kernel"]
  y = sum(
    y[:, i : i + h, j : j + w] @ kernel[i, j]
    for i in range(3)
    for j in range(3)
  )
  y = einops.rearrange(y + p["conv"]["bias"], "b h w c -> b (h w) c")
  leaky = lambda a: np.where(a > 0, a, 0.2 * a)
  y = leaky(group_norm(along(y, p["first"]), p["norm0"], 4))
  inner = leaky(group_norm(along(y, p["inner"]), p["norm1"], 4))
  return along((inner + y) / np.sqrt(2), p["out"])


@pytest.mark.parametrize("timed", [True, False])
def test_heads_are_their_definition(timed, fill, normal):
  maps = [normal(2, 4, 3, 8), normal(2, 3, 4, 4, seed=1)]
  net = timed_heads.Heads(out=3, groups=2, waves=6, timed=timed)
  params = fill(net, maps, T)["params"]
  made = jax.jit(lambda m: net.apply({"params": params}, m, T))(maps)
  for i, x in enumerate(maps):
    expected = reference(x, params[f"head{i}"], groups=2, waves=6, timed=timed)
    np.testing.assert_allclose(made[i], expected, atol=1e-4)
  assert ("time" in params["head0"]) == timed


def test_logits_start_at_no_opinion(normal):
  """The convolution behind the features is 0, so all places are equal."""
  net, maps = timed_heads.Heads(out=3, groups=2, waves=6), [normal(2, 4, 4, 4)]
  params = jax.jit(net.init)(jax.random.key(0), maps, T)
  (made,) = net.apply(params, maps, T)
  np.testing.assert_array_equal(made, np.zeros((2, 16, 3)))


def test_convolutions_along_the_places_have_a_spectral_norm():
  names = ("first", "inner", "out", "conv", "time")
  found = [n for n in names if timed_heads.spectral(f"head0/{n}/kernel")]
  assert found == ["first", "inner", "out"]
