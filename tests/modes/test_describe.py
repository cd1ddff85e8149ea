import io

import jax
import pytest
import rich.console

from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import method as methods
from jmim.cost import flops
from jmim.modes import describe
from jmim.runlog import console as consoles


def mae(**more):
  config = configs.base()
  config.data.update(name="nowhere", batch=8, size=8)
  config.method = configs.section(
    type="mim.mae",
    size=8,
    dims=configs.section(variant="Ti/2", width=16, depth=2, heads=2),
    decoder_dims=configs.section(width=16, depth=1, heads=2),
  )
  return configs.override(config, [f"{k}={v}" for k, v in more.items()])


def table(config):
  out = io.StringIO()
  inner = rich.console.Console(file=out, width=200, highlight=False)
  describe.run(config, console=consoles.Console(console=inner))
  lines = [line.strip() for line in out.getvalue().splitlines()]
  return lines, {line.split("  ")[0]: line for line in lines if line}


def test_a_model_as_a_table_without_data_or_training():
  config = mae(**{"hardware.mesh.fsdp": 8, "hardware.fsdp_min_size": 1})
  lines, rows = table(config)
  assert lines[0] == "mim.mae, batch 8"
  qkv = rows["main/encoder/blocks/layers/attn/qkv"].split()
  assert qkv[1:4] == ["(2,", "16,", "48)"]
  assert qkv[4] == f"{2 * (16 * 48 + 48):,}"
  assert "fsdp" in rows["main/encoder/blocks/layers/attn/qkv"]
  assert "main/encoder/cls_token" in rows  # an array that is no module
  total = rows["in all"].split()
  counted = [
    int(row.split(") ")[1].split()[0].replace(",", ""))
    for name, row in rows.items()
    if name.startswith("main/")
  ]
  assert int(total[2].replace(",", "")) == sum(counted)


@pytest.mark.parametrize("name", ["mim.mae", "distill.dmae", "diffusion.umd"])
def test_the_modules_share_what_the_losses_cost(name):
  method = discovery.find(name).tiny()
  batch = {
    k: jax.ShapeDtypeStruct((2, *x.shape), x.dtype)
    for k, x in method.inputs().items()
  }
  key = jax.random.key(0)
  params, extra = jax.eval_shape(method.init, key, batch)
  consts = {k: jax.eval_shape(c.init, key) for k, c in method.consts().items()}

  def loss(params, extra, consts, batch, key):
    weights = methods.Weights(params, extra, consts)
    return method.loss(weights, batch, method.drawn(key, batch), 0)[0]

  whole = flops.count(loss, params, extra, consts, batch, key)
  cost = describe.costs(method, 2)
  assert abs(2 * sum(cost.values()) - whole) <= 2 * len(cost)  # whole numbers
  assert all(cost.values())
