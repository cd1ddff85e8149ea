"""Costs of programs: small texts written here, and programs compiled here."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.cost import hlo_cost

P = jax.sharding.PartitionSpec

TEXT = """HloModule step, is_scheduled=true

%add (a: f32[], b: f32[]) -> f32[] {
  %a = f32[] parameter(0)
  %b = f32[] parameter(1)
  ROOT %sum = f32[] add(%a, %b)
}

%fused (p0: bf16[6,8,16], p1: s32[]) -> bf16[8,16] {
  %p0 = bf16[6,8,16]{2,1,0:T(8,128)(2,1)} parameter(0)
  %p1 = s32[]{:T(128)} parameter(1)
  %zero = s32[]{:T(128)} constant(0)
  %one = bf16[1,8,16]{2,1,0} dynamic-slice(%p0, %p1, %zero, %zero), dynamic_slice_sizes={1,8,16}
  ROOT %layer = bf16[8,16]{1,0} bitcast(%one)
}

%body (s: (s32[], bf16[4,8], bf16[6,8,16])) -> (s32[], bf16[4,8], bf16[6,8,16]) {
  %s = (s32[]{:T(128)}, bf16[4,8]{1,0}, /*index=2*/bf16[6,8,16]{2,1,0}) parameter(0)
  %i = s32[]{:T(128)} get-tuple-element(%s), index=0
  %x = bf16[4,8]{1,0} get-tuple-element(%s), index=1
  %w = bf16[6,8,16]{2,1,0} get-tuple-element(%s), index=2
  %layer.1 = bf16[8,16]{1,0:T(8,128)(2,1)S(1)} fusion(%w, %i), kind=kLoop, calls=%fused
  %y = bf16[4,16]{1,0:T(8,128)(2,1)S(1)} convolution(%x, %layer.1), dim_labels=bf_io->bf, metadata={op_name="jit(step)/jvp(ViT)/blocks/while/body/closed_call/Block/mlp/fc1/dot_general"}
  %all = bf16[4,16]{1,0} all-reduce(%y), replica_groups=[4,2]<=[2,4]T(1,0), to_apply=%add
  %one.1 = s32[]{:T(128)} constant(1)
  %next = s32[]{:T(128)} add(%i, %one.1)
  ROOT %t = (s32[], bf16[4,8], bf16[6,8,16]) tuple(%next, %x, %w)
}

%condition (c: (s32[], bf16[4,8], bf16[6,8,16])) -> pred[] {
  %c = (s32[]{:T(128)}, bf16[4,8]{1,0}, bf16[6,8,16]{2,1,0}) parameter(0)
  %ci = s32[]{:T(128)} get-tuple-element(%c), index=0
  %end = s32[]{:T(128)} constant(6)
  ROOT %lt = pred[]{:T(512)} compare(%ci, %end), direction=LT
}

ENTRY %main (x0: bf16[4,8], w0: bf16[6,8,16]) -> bf16[4,8] {
  %x0 = bf16[4,8]{1,0} parameter(0)
  %w0 = bf16[6,8,16]{2,1,0} parameter(1)
  %start = s32[]{:T(128)} constant(START)
  %init = (s32[], bf16[4,8], bf16[6,8,16]) tuple(%start, %x0, %w0)
  %loop = (s32[], bf16[4,8], bf16[6,8,16]) while(%init), condition=%condition, body=%body
  ROOT %out = bf16[4,8]{1,0} get-tuple-element(%loop), index=1
}
"""  # noqa: E501


@pytest.mark.parametrize("start", [0, 2])
def test_loops_are_multiplied_out(start):
  found = hlo_cost.cost(TEXT.replace("START", str(start)), devices=8)
  times = 6 - start
  (product,) = found.products
  assert (product.m, product.n, product.k) == (4, 16, 8)
  assert product.times == times
  assert found.flops == times * 2 * 4 * 16 * 8
  assert product.name == "jvp(ViT)/blocks/Block/mlp/fc1"
  # 64 numbers of 2 bytes, two chips: each sends all of them once.
  assert found.sent() == {"all-reduce": times * 128}
  # Read: one layer of six; x, 4 x 8; written: what is summed, but not y and
  # the layer, which lie in VMEM.
  layer, x, y = 8 * 16 * 2, 4 * 8 * 2, 4 * 16 * 2
  turn = layer + x + y + 4 + 4 + 4 + 4  # and the counter: i, i, 1, next
  assert found.traffic == pytest.approx(times * turn, abs=times * 8)


SCATTERED = """
%sum (x: f32[8]) -> f32[2] {
  %x = f32[8] parameter(0)
  %i = s32[] constant(0)
  %all = f32[8] all-reduce(%x), channel_id=1, replica_groups={{0,1,2,3}}
  ROOT %own = f32[2] dynamic-slice(%all, %i), dynamic_slice_sizes={2}
}

ENTRY %main (x: f32[8]) -> f32[2] {
  %x = f32[8] parameter(0)
  ROOT %y = f32[2] fusion(%x), kind=kCustom, calls=%sum
}
"""


def test_a_sum_of_which_a_fusion_keeps_a_slice_is_scattered():
  found = hlo_cost.cost(SCATTERED, devices=4)
  assert found.sent() == {"reduce-scatter": 32 * 3 / 4}


def test_a_collective_beside_products_is_one():
  parts = "".join(
    f"  %g{i} = f32[8] all-gather(%x), channel_id={channel}, "
    f'replica_groups={{{{0,1,2,3}}}}, frontend_attributes={{chain_id="{c}"}}\n'
    for i, (channel, c) in enumerate([(5, 0), (5, 0), (5, 0), (6, 1)])
  )
  start = "ENTRY %main (x: f32[2]) -> f32[8] {\n  %x = f32[2] parameter(0)\n"
  found = hlo_cost.cost(start + parts + "}", devices=4)
  assert found.sent() == {"all-gather": 2 * 8 * 3}


def test_what_the_host_sends_to_other_slices_counts():
  text = """ENTRY %main (x: bf16[8], t: token[]) -> token[] {
  %x = bf16[8] parameter(0)
  %t = token[] parameter(1)
  %s = (bf16[8], u32[], token[]) send(%x, %t), is_host_transfer=true, frontend_attributes={_xla_megascale_target="{1,2}x{0:3}",_xla_megascale_transfer_type="ALL_REDUCE"}
  ROOT %d = token[] send-done(%s)
}"""  # noqa: E501
  found = hlo_cost.cost(text, slices=2, devices=8)
  assert found.sent(between=True) == {"all-reduce": 16}
  assert not found.sent(between=False)


def test_room_for_what_a_loop_will_write_is_not_traffic():
  text = """ENTRY %main (x: f32[8]) -> f32[8] {
  %x = f32[8] parameter(0)
  %room = f32[8] custom-call(), custom_call_target="AllocateBuffer"
  ROOT %y = f32[8] negate(%x)
}"""
  assert hlo_cost.cost(text).traffic == 2 * 32


def test_positions_in_holes_and_padding_do_not_count():
  # A batched product as the TPU compiler writes it: 5 kernel positions, of
  # which one meets an input for each output.
  assert (
    hlo_cost.positions(5, 5, window=5, stride=4, pad=0, hole=5, step=1) == 5
  )
  assert (
    hlo_cost.positions(4, 4, window=1, stride=1, pad=0, hole=1, step=1) == 4
  )
  assert (
    hlo_cost.positions(4, 4, window=3, stride=1, pad=1, hole=1, step=1)
    == 3 * 4 - 2
  )


def test_padding_of_products():
  product = lambda m, n, k: hlo_cost.Product(
    name="", m=m, n=n, k=k, flops=0, times=1
  )
  assert product(800, 1024, 4096).padded(128) == 1
  assert product(1024, 4096, 50).padded(128) == pytest.approx(2.56)
  assert product(50, 64, 128).padded(128) == pytest.approx(56 / 50 * 2)


def test_what_a_window_contracts_fills_the_unit():
  """As the compiler for TPUs writes a kernel's gradient and batched products.

  The gradient: 8 images as features, a window of 16 x 16 places. The batch of
  products: 16 of them, of which each output meets one.
  """
  gradient = "window={size=16x16 pad=1_1x1_1}, dim_labels=f01b_i01o->01bf"
  batch = "window={size=16 stride=15 lhs_dilate=16}, dim_labels=0bf_0oi->0bf"
  text = f"""ENTRY %main (x: bf16[8,16,16,64], g: bf16[8,16,16,128]) -> x {{
  %x = bf16[8,16,16,64] parameter(0)
  %g = bf16[8,16,16,128] parameter(1)
  %q = bf16[16,50,64] parameter(2)
  %k = bf16[16,50,64] parameter(3)
  %dk = bf16[3,3,64,128] convolution(%x, %g), {gradient}
  ROOT %s = bf16[16,50,50] convolution(%q, %k), {batch}
}}"""
  gradient, batch = hlo_cost.cost(text).products
  places = (3 * 16 - 2) ** 2 / 9
  assert gradient.k == pytest.approx(8 * places)
  assert gradient.flops == pytest.approx(2 * 9 * 64 * 128 * 8 * places)
  assert gradient.padded(128) < 1.1  # and not 16
  assert (batch.k, batch.m) == (64, 16 * 50)
  assert batch.padded(128) == pytest.approx(2 * 128 / 50)


def compiled(fn, *args, **kw):
  made = jax.jit(fn, **kw).lower(*args).compile()
  return hlo_cost.cost(made.as_text(), devices=8)


def test_products_of_a_compiled_scan_are_all_there():
  def fn(x, ws):
    x = jax.lax.scan(lambda x, w: (jnp.tanh(x @ w), None), x, ws)[0]
    return jnp.einsum("btd,bsd->bts", x, x)

  x, ws = jnp.ones((2, 4, 8)), jnp.ones((7, 8, 8))
  found = compiled(fn, x, ws)
  assert found.flops == 7 * 2 * 8 * 8 * 8 + 2 * 2 * 4 * 4 * 8
  weights = 7 * 8 * 8 * 4
  assert weights <= found.traffic < 10 * weights


def test_convolutions_are_counted_without_their_padding():
  dims = ("NHWC", "HWIO", "NHWC")
  conv = functools.partial(
    jax.lax.conv_general_dilated,
    window_strides=(1, 1),
    padding="SAME",
    dimension_numbers=dims,
  )
  found = compiled(conv, jnp.ones((2, 6, 6, 3)), jnp.ones((3, 3, 3, 4)))
  inside = (3 * 6 - 2) ** 2
  assert found.flops == 2 * 2 * inside * 3 * 4


def test_collectives_of_a_compiled_program():
  mesh = jax.sharding.Mesh(np.array(jax.devices()[:8]), ("x",))
  where = lambda *spec: jax.sharding.NamedSharding(mesh, P(*spec))
  x = jax.device_put(np.ones((16, 64), np.float32), where(None, "x"))
  w = jax.device_put(np.ones((64, 4), np.float32), where("x"))
  found = compiled(jnp.matmul, x, w, out_shardings=where())
  assert found.sent() == {"all-reduce": 2 * 16 * 4 * 4 * 7 / 8}
  assert found.flops == 2 * 16 * 4 * 8  # an eighth of the 64


def test_of_branches_the_dearest_counts():
  """One of them runs, so their sum is no cost of a step."""
  rng = np.random.default_rng(0)
  w = jnp.asarray(rng.normal(size=(32, 32)), jnp.float32)

  def layers(n):
    return lambda x: functools.reduce(lambda y, _: jnp.tanh(y @ w), range(n), x)

  def step(index, x):
    return jax.lax.switch(index, [layers(n) for n in (1, 3, 2)], x)

  lowered = jax.jit(step).lower(jnp.int32(0), jnp.zeros((64, 32)))
  found = hlo_cost.cost(lowered.compile().as_text())
  assert found.flops == 3 * 2 * 64 * 32 * 32
