import json

import jax
import tinyrun

from jmim.core import config as configs
from jmim.cost import hlo_cost
from jmim.methods.diffusion import dit
from jmim.methods.mim import mae
from jmim.tools import bench_ours


def test_our_side_trains_on_random_images():
  config = tinyrun.toy("nowhere")
  ours = bench_ours.Ours(configs.override(config, ["data.batch=8"]))
  before = jax.device_get(ours.state.params)
  lap = ours.run(3)
  assert lap["seconds"] > 0 and lap["loss"] == lap["loss"]
  assert int(ours.state.step) == 3
  moved = jax.tree.map(
    lambda a, b: bool((a != b).any()), before, jax.device_get(ours.state.params)
  )
  assert any(jax.tree.leaves(moved))
  facts = ours.facts()
  assert facts["batch"] == 8 and facts["peer"] is None
  # Both players: generator 3 x 64, discriminator 64 x 1 (twice, thrice).
  assert facts["flops"] > 3 * 2 * 3 * 64


def test_a_profile_has_all_products_of_a_step():
  config = tinyrun.toy("nowhere")
  ours = bench_ours.Ours(configs.override(config, ["data.batch=8"]))
  found = json.loads(json.dumps(ours.profile(2)))
  counted = hlo_cost.cost(ours.step.as_text()).flops
  for rows in (found["kinds"], found["shapes"]):
    assert sum(row["flops"] for row in rows) == counted > 0
  spent = sum(row["seconds"] for row in found["kinds"])
  assert spent > 0 and found["seconds"] > 0
  assert found["bandwidth"] > 0 and found["faults"] >= 0


def test_the_peer_is_told_what_to_build():
  class Parts:
    config = tinyrun.recipe("nowhere")
    batch = 32

  Parts.method = mae.MAE.tiny()
  Parts.config.method.type = "mim.mae"
  spec = json.loads(json.dumps(bench_ours.peer_spec(Parts)))
  assert (spec["width"], spec["hidden"], spec["decoder_hidden"]) == (
    32,
    128,
    64,
  )
  assert (spec["patch"], spec["dtype"], spec["batch"]) == (4, "float32", 32)
  Parts.method = dit.DiT.tiny()
  Parts.config.method.type = "diffusion.dit"
  spec = json.loads(json.dumps(bench_ours.peer_spec(Parts)))
  assert (spec["model"], spec["classes"], spec["depth"]) == ("dit", 3, 2)
  assert spec["out"] == 2 * spec["channels"]  # the noise and its variance
  Parts.config.method.type = "mim.simmim"
  assert bench_ours.peer_spec(Parts) is None
