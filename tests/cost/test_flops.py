"""Counted FLOPs against closed forms: 2 m n k, times the trip counts."""

import types

import jax
import jax.numpy as jnp
import pytest

from jmim.cost import flops

B, M, K, N = 5, 3, 7, 4


def shape(*dims):
  return jax.ShapeDtypeStruct(dims, jnp.float32)


def test_dense_and_batched_products():
  assert flops.count(jnp.matmul, shape(M, K), shape(K, N)) == 2 * M * K * N
  found = flops.count(jnp.matmul, shape(B, M, K), shape(B, K, N))
  assert found == B * 2 * M * K * N
  assert flops.count(jnp.matmul, shape(B, M, K), shape(K, N)) == found
  assert flops.count(lambda x: jnp.tanh(x) + x * x, shape(M, K)) == 0


def test_a_transposed_convolution_does_not_count_the_zeros_it_reads():
  """Each pixel meets each place of the kernel, once in either direction."""

  def up(x, w):
    pad = ((2, 2), (2, 2))
    return jax.lax.conv_general_dilated(
      x,
      w,
      (1, 1),
      pad,
      lhs_dilation=(2, 2),
      dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )

  args = shape(B, 8, 8, 6), shape(4, 4, 6, 10)
  once = 2 * B * 8 * 8 * 16 * 6 * 10
  assert flops.count(up, *args) == once
  both = jax.grad(lambda x, w: up(x, w).sum(), argnums=(0, 1))
  # The result itself is not needed for its gradients.
  assert flops.count(both, *args) == 2 * once


@pytest.mark.parametrize("pad", ["SAME", "VALID"])
@pytest.mark.parametrize("stride", [1, 2])
def test_gradients_of_a_convolution_cost_as_much_as_itself(stride, pad):
  """Each of both, at the borders and between pixels too."""
  numbers = ("NHWC", "HWIO", "NHWC")

  def conv(x, w):
    strides = (stride, stride)
    return jax.lax.conv_general_dilated(
      x, w, strides, pad, dimension_numbers=numbers
    )

  args = shape(B, 10, 10, 6), shape(3, 3, 6, 4)
  both = jax.grad(lambda x, w: conv(x, w).sum(), argnums=(0, 1))
  assert flops.count(both, *args) == 2 * flops.count(conv, *args)


@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("spread, holes", [(1, 1), (1, 2), (2, 1)])
def test_gradients_of_grouped_and_dilated_convolutions(groups, spread, holes):
  """Also where each channel is alone, and pixels or the kernel are spread."""

  def conv(x, w):
    return jax.lax.conv_general_dilated(
      x,
      w,
      (1, 1),
      [(holes, holes + spread - 1)] * 2,
      lhs_dilation=(spread, spread),
      rhs_dilation=(holes, holes),
      feature_group_count=groups,
      dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )

  args = shape(B, 10, 10, 6), shape(3, 3, 6 // groups, 12)
  assert jax.eval_shape(conv, *args).shape == (B, *2 * (10 * spread,), 12)
  once = 2 * B * 10 * 10 * 3 * 3 * (6 // groups) * 12
  assert flops.count(conv, *args) == once
  both = jax.grad(lambda x, w: conv(x, w).sum(), argnums=(0, 1))
  assert flops.count(both, *args) == 2 * once


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("stride", [1, 2])
def test_convolution(stride, groups):
  def conv(x, w):
    return jax.lax.conv_general_dilated(
      x,
      w,
      (stride, stride),
      "SAME",
      feature_group_count=groups,
      dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )

  found = flops.count(conv, shape(B, 8, 8, 6), shape(3, 3, 6 // groups, 10))
  side = 8 // stride
  assert found == 2 * B * side * side * 10 * 3 * 3 * 6 // groups


def test_attention():
  b, t, h, d = 2, 9, 4, 8
  w = h * d

  def attention(x, qkv, out):
    q, k, v = jnp.split((x @ qkv).reshape(b, t, h, 3 * d), 3, -1)
    p = jax.nn.softmax(jnp.einsum("bqhd,bkhd->bhqk", q, k))
    y = jnp.einsum("bhqk,bkhd->bqhd", p, v)
    return y.reshape(b, t, w) @ out

  found = flops.count(attention, shape(b, t, w), shape(w, 3 * w), shape(w, w))
  assert found == 2 * b * t * (w * 3 * w + 2 * t * w + w * w)


def product(x, w):
  return x @ w


def scanned(x, w):
  return jax.lax.scan(lambda x, _: (x @ w, None), x, length=6)[0]


@pytest.mark.parametrize(
  "fn, times",
  [
    (scanned, 6),
    (
      lambda x, w: jax.lax.scan(
        lambda x, _: (scanned(x, w), None), x, length=3
      )[0],
      18,
    ),
    (jax.jit(product), 1),
    (jax.checkpoint(product), 1),
    (jax.checkpoint(jax.jit(scanned)), 6),
    (lambda x, w: jax.lax.cond(x[0, 0] > 0, scanned, product, x, w), 6),
    (lambda x, w: jax.vmap(lambda r: r @ w)(x), 1),
  ],
  ids=["scan", "nested", "jit", "remat", "remat-scan", "cond", "vmap"],
)
def test_what_is_around_a_product_is_looked_into(fn, times):
  assert flops.count(fn, shape(M, K), shape(K, K)) == times * 2 * M * K * K


def test_custom_derivatives_are_looked_into():
  @jax.custom_vjp
  def vjp(x, w):
    return x @ w

  vjp.defvjp(lambda x, w: (x @ w, None), lambda _, g: (g, g))

  @jax.custom_jvp
  def jvp(x, w):
    return x @ w

  jvp.defjvp(lambda p, t: (p[0] @ p[1], t[0]))
  for fn in (vjp, jvp):
    assert flops.count(fn, shape(M, K), shape(K, N)) == 2 * M * K * N


def test_dead_code_does_not_count():
  def fn(x, w):
    unused = x @ w  # noqa: F841
    return (x @ w).sum()

  assert flops.count(fn, shape(M, K), shape(K, N)) == 2 * M * K * N


def test_dead_code_inside_a_scan_does_not_count():
  def body(x, _):
    return x, x @ x

  fn = lambda x: jax.lax.scan(body, x, length=6)[0]
  assert flops.count(fn, shape(K, K)) == 0


def test_a_training_step_of_dense_layers_costs_three_forward_passes():
  def loss(w, x):
    for layer in w:
      x = jnp.tanh(x @ layer)
    return x.sum()

  args = [shape(K, K)] * 3, shape(B, K)
  forward = flops.count(loss, *args)
  first = 2 * B * K * K  # no gradient with respect to the input
  assert flops.count(jax.grad(loss), *args) == 3 * forward - first


def test_counting_runs_nothing():
  huge = shape(10**6, 10**6)  # would not fit anywhere
  assert flops.count(product, huge, huge) == 2 * 10**18


@pytest.mark.parametrize(
  "kind, peak",
  [
    ("TPU v4", 275e12),
    ("TPU v5 lite", 197e12),
    ("TPU v5", 459e12),
    ("NVIDIA H100 80GB HBM3", 989e12),
    ("cpu", None),
  ],
)
def test_peaks_go_by_the_longest_name(kind, peak):
  device = types.SimpleNamespace(device_kind=kind)
  assert flops.peak_per_chip(device) == peak


def test_measured_peak_is_a_rate():
  assert 1e8 < flops.measured_peak(side=128, repeats=2) < 1e15
