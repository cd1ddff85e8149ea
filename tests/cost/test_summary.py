import io

import jax
import jax.numpy as jnp
import rich.console

from jmim.core import state as states
from jmim.cost import gradient_flops
from jmim.cost import summary
from jmim.parallel import sharding
from jmim.runlog import console as consoles


def array(*dims, dtype=jnp.float32):
  return jax.ShapeDtypeStruct(dims, dtype)


PARAMS = {
  "main": {
    "encoder": {
      "embed": {"kernel": array(16, 64), "bias": array(64)},
      "blocks": {"layers": {"kernel": array(2, 64, 64)}},
    },
    "token": array(3),
  }
}


def layout(fsdp):
  mesh = sharding.make_mesh({"data": -1, "fsdp": fsdp}, jax.devices()[:8])
  return sharding.Layout(mesh)


def test_bytes_are_counted_by_dtype():
  tree = {"a": array(3, 5), "b": array(7, dtype=jnp.bfloat16), "c": array()}
  assert summary.total_bytes(tree) == 3 * 5 * 4 + 7 * 2 + 4


def test_bytes_per_device_follow_the_shardings():
  total = summary.total_bytes(PARAMS)
  whole = layout(1)
  assert summary.bytes_per_device(PARAMS, whole.tree(PARAMS)) == total
  parts = layout(8).tree(PARAMS)  # all but the 3 numbers of the token
  rest = 4 * 3
  assert summary.bytes_per_device(PARAMS, parts) == (total - rest) // 8 + rest


def test_modules_sum_their_parameters():
  assert summary.modules(PARAMS) == [
    ("main/encoder/blocks", "(2, 64, 64)", "8,192"),
    ("main/encoder/embed", "2 arrays", "1,088"),
    ("main/token", "(3,)", "3"),
  ]


def test_the_largest_arrays_come_first():
  rows = summary.largest(PARAMS, layout(8).tree(PARAMS), n=2)
  assert rows == [
    (
      "main/encoder/blocks/layers/kernel",
      "(2, 64, 64)",
      "0.03",
      "(-, -, fsdp)",
    ),
    ("main/encoder/embed/kernel", "(16, 64)", "0.00", "(-, fsdp)"),
  ]


def test_layouts_in_words():
  spec = jax.sharding.PartitionSpec
  assert summary.layout(spec()) == "replicated"
  assert summary.layout(spec(None, None)) == "replicated"
  assert summary.layout(spec("data", None)) == "(data, -)"


def test_show_tells_sizes_mesh_and_misses():
  where = layout(8)
  zero = array(dtype=jnp.int32)
  state = states.State(
    step=zero,
    params=PARAMS,
    opt={"mu": PARAMS},
    ema={},
    extra={},
    window={},
    counted=zero,
    skipped=zero,
    skipped_total=zero,
  )
  out, short = io.StringIO(), io.StringIO()
  console, brief = (
    consoles.Console(
      console=rich.console.Console(file=file, width=120, highlight=False),
      verbose=file is out,
    )
    for file in (out, short)
  )
  shardings, missed = where.plan(state)
  found = summary.tables(
    state, shardings, gradient_flops.Work(11 * 10**8, 2 * 10**9)
  )
  summary.show(console, found, where.mesh, missed)
  summary.show(brief, found, where.mesh, missed)
  text = out.getvalue()
  assert "9,283 parameters; 3.1 GFLOP per image" in text
  assert "(1.1 GFLOP forward, 2 GFLOP backward: 2mnk" in text
  assert "mesh fsdp=8 on 8" in text
  assert "replicated: params/main/token (3,)" in text
  lines = [line.split() for line in text.splitlines()]
  share = f"{summary.bytes_per_device(PARAMS, shardings.params) / 37132:.4f}"
  assert [row[0] for row in lines if row[-1:] == [share]] == ["params", "opt"]
  assert "Ten largest" in text and "Ten largest" not in short.getvalue()
  assert (
    "9,283 parameters: encoder 9.28 k, token 3; 3.1 GFLOP" in short.getvalue()
  )
  assert "state 0.00 MB per device" in short.getvalue()
