"""The adapter of I2P-MAE on levels that no given case has."""

import golden_kit
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.convert import table
from jmim.convert.tables import i2p_mae as convert
from jmim.core import tree as trees
from jmim.nn import points

ADAPTER = golden_kit.adapter("i2p_mae")
BASE = {
  "num_points": 40,
  "mask_ratio": 0.6,
  "num_heads": 2,
  "feat_dim_2d": 3,
  "image_size": 32,
  "feature_grid": 4,
  "layernorm_eps": 1e-5,
  "batchnorm_eps": 1e-5,
  "batchnorm_momentum": 0.1,
}
LEVELS = {
  "one level": {
    "group_sizes": [5],
    "num_groups": [8],
    "encoder_depths": [2],
    "encoder_dims": [6],
    "decoder_depths": [2],
    "decoder_dims": [6],
    "decoder_up_blocks": [1],
  },
  "four, three decoded": {
    "group_sizes": [4, 4, 3, 2],
    "num_groups": [20, 12, 8, 5],
    "encoder_depths": [1, 2, 1, 1],
    "encoder_dims": [4, 6, 8, 10],
    "decoder_depths": [1, 2, 1],
    "decoder_dims": [10, 8, 6],
    "decoder_up_blocks": [2, 1, 1],
  },
}


@pytest.mark.parametrize("name", LEVELS)
def test_every_output_of_other_levels(name):
  config = BASE | LEVELS[name]
  m, rng = ADAPTER.method(config), np.random.default_rng(3)
  cloud = golden_kit.normal(2, 40, 3)
  batch = {"points": jnp.asarray(cloud)}
  params, extra = jax.eval_shape(m.init, jax.random.key(0), batch)
  made = golden_kit.weights({"params": params, "extra": extra})
  made["extra"] = jax.tree.map(np.abs, made["extra"])
  theirs = dict(table.export_tree(convert.full(m), made, constants=False))
  inputs, below = {"points": cloud}, batch["points"]
  for i, count in enumerate(config["num_groups"]):
    at = points.farthest(below, count)
    inputs[f"fps_idx{i}"] = np.asarray(at)
    centres = points.gather(below, at)
    near, _ = points.neighbours(centres, below, config["group_sizes"][i])
    inputs[f"knn_idx{i}"], below = np.asarray(near), centres
  inputs |= {
    "feat2d": golden_kit.normal(6, 3, 4, 4),
    "sal2d": rng.random((6, 4, 4)).astype(np.float32),
    "mask_noise": rng.random((2, count)).astype(np.float32),
  }
  case = golden_kit.Asked(config, inputs, theirs)
  found = ADAPTER.run(case)
  levels = len(config["num_groups"])
  assert {f"mask{i}" for i in range(levels)} <= found.keys()
  kept = count - int(0.6 * count)
  assert found["x_top"].shape == (2, kept, config["encoder_dims"][-1])
  for x in trees.named(found).values():
    assert np.isfinite(x).all()
  # In our own groups the method itself has the same evaluation loss.
  weights = ADAPTER.imported(case, m, convert.full(m))
  out = m.losses(
    weights,
    m.network.divide(batch["points"]),
    ADAPTER.maps(m, inputs),
    {"noise": jnp.asarray(inputs["mask_noise"])},
    train=False,
  )
  np.testing.assert_allclose(out["loss_3d"], found["eval_loss_3d"], rtol=1e-4)
  np.testing.assert_allclose(out["loss_2d"], found["eval_loss_2d"], rtol=1e-4)
