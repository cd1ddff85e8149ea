"""Sums of shifted products against XLA's grouped convolution."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import runtime
from jmim.nn import depthwise

SHAPE = (2, 6, 5, 3)


def grouped(x, kernel):
  return jax.lax.conv_general_dilated(
    x,
    kernel[:, :, None],
    (1, 1),
    "SAME",
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
    feature_group_count=x.shape[-1],
    precision="highest",
  )


def derivatives(f, x, kernel):
  """Value, both gradients, forward mode, and the gradient of a derivative."""
  bend = lambda *args: jnp.sin(f(*args)).sum()
  ahead = lambda *args: jax.jvp(bend, args, (x + 1, kernel - 1))[1]
  back = jax.grad(bend, (0, 1))
  twice = lambda *args: sum((g**2).sum() for g in back(*args))
  return {
    "value": f(x, kernel),
    "back": back(x, kernel),
    "ahead": ahead(x, kernel),
    "back of ahead": jax.grad(ahead, (0, 1))(x, kernel),
    "back of back": jax.grad(twice, (0, 1))(x, kernel),
  }


@pytest.mark.parametrize("sides", [(1, 3), (5, 5), (7, 7)])
def test_it_is_the_grouped_convolution_in_all_derivatives(sides, normal):
  """Also of a kernel that is wider than the map."""
  x, k = jnp.asarray(normal(*SHAPE)), jnp.asarray(normal(*sides, 3, seed=1))
  found, wanted = (
    jax.jit(derivatives, static_argnums=0)(f, x, k)
    for f in (depthwise.conv, grouped)
  )
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3),
    found,
    wanted,
  )
  np.testing.assert_allclose(found["value"], wanted["value"], atol=1e-5)


@pytest.mark.parametrize("axes", [(0, None), (None, 3), (1, 0)])
def test_vmap_is_a_loop(axes, normal):
  x = normal(*(4, *SHAPE) if axes[0] == 0 else SHAPE)
  x = np.moveaxis(normal(4, *SHAPE), 0, 1) if axes[0] == 1 else x
  k = normal(3, 3, 3, seed=1)
  if axes[1] is not None:
    k = np.moveaxis(normal(4, 3, 3, 3, seed=1), 0, axes[1])
  cut = lambda a, axis, n: a if axis is None else np.take(a, n, axis)
  found = jax.vmap(depthwise.conv, axes)(x, k)
  for n in range(4):
    one = depthwise.conv(cut(x, axes[0], n), cut(k, axes[1], n))
    np.testing.assert_allclose(found[n], one, atol=1e-5)


def test_parameters_are_those_of_flax(normal, fill):
  x = normal(*SHAPE)
  zeros = nn.initializers.zeros
  ours = depthwise.Depthwise(side=5, kernel_init=zeros, bias_init=zeros)
  flax = nn.Conv(3, (5, 5), feature_group_count=3, precision="highest")
  variables = fill(flax, x)
  same = (
    jax.tree.map(jnp.shape, variables),
    jax.tree.map(jnp.shape, fill(ours, x)),
  )
  assert same[0] == same[1]
  found, wanted = (m.apply(variables, x) for m in (ours, flax))
  np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_sums_of_bfloat16_are_in_float32(normal):
  """25 terms, rounded once: half a unit of the last of 8 bits."""
  x = jnp.asarray(normal(*SHAPE), jnp.bfloat16)
  k = jnp.asarray(normal(5, 5, 3, seed=1), jnp.bfloat16)
  wide = depthwise.conv(x.astype(jnp.float32), k.astype(jnp.float32))
  found = depthwise.conv(x, k)
  assert found.dtype == jnp.bfloat16
  np.testing.assert_allclose(
    found.astype(jnp.float32), wide, rtol=2**-8, atol=1e-6
  )


def test_chips_exchange_the_kernel_alone():
  """Neither its split nor its gradient gathers activations."""
  mesh = jax.sharding.Mesh(np.array(jax.devices()[:4]), ("fsdp",))
  put = lambda *axes: jax.sharding.NamedSharding(
    mesh, jax.sharding.PartitionSpec(*axes)
  )
  rt = runtime.Runtime(mesh=mesh, batch_axes=("fsdp",))
  init = nn.initializers.zeros
  net = depthwise.Depthwise(side=3, kernel_init=init, bias_init=init, rt=rt)
  split = {
    "params": {"kernel": put(None, None, None, "fsdp"), "bias": put("fsdp")}
  }
  loss = lambda p, x: (net.apply(p, rt.shard(x)) ** 2).sum()
  step = jax.jit(
    jax.grad(loss, (0, 1)),
    in_shardings=(split, put("fsdp")),
    out_shardings=(split, put("fsdp")),
  )
  x = jnp.zeros((8, 6, 6, 4))
  params = jax.eval_shape(net.init, jax.random.key(0), x)
  text = step.lower(params, x).compile().as_text()
  moved = [
    line.split(" = ")[1].split(" ")[0]
    for line in text.splitlines()
    if " all-gather(" in line or " all-to-all(" in line
  ]
  assert moved
  assert not [shape for shape in moved if "6,6" in shape]


def test_without_a_bias_it_is_the_sum_alone(normal, fill):
  net = depthwise.Depthwise(side=3, kernel_init=nn.initializers.zeros)
  x = normal(*SHAPE)
  variables = fill(net, x)
  assert list(variables["params"]) == ["kernel"]
  kernel = variables["params"]["kernel"][:, :, 0]
  expected = depthwise.conv(jnp.asarray(x), jnp.asarray(kernel))
  np.testing.assert_array_equal(net.apply(variables, x), expected)


@pytest.mark.parametrize(
  "kernel, dtype, error",
  [
    ((2, 3, 3), "float32", "must be odd"),
    ((3, 3, 1), "float32", r"\(3, 3, 1\)"),
    ((3, 3, 3), "bfloat16", "bfloat16"),
  ],
)
def test_what_cannot_be_convolved_is_said(kernel, dtype, error):
  with pytest.raises(ValueError, match=error):
    depthwise.conv(jnp.zeros(SHAPE), jnp.zeros(kernel, dtype))


def test_of_a_sequence_a_step_sees_itself_and_those_before(normal, fill):
  net, x = depthwise.Causal(side=3), normal(2, 6, 4)
  variables = fill(net, x)
  kernel, bias = (variables["params"][n] for n in ("kernel", "bias"))
  padded = np.pad(x, ((0, 0), (2, 0), (0, 0)))
  want = [(padded[:, t : t + 3] * kernel[None]).sum(1) + bias for t in range(6)]
  found = net.apply(variables, x)
  np.testing.assert_allclose(found, np.stack(want, 1), atol=1e-5)
