"""DiT-3D (DiT-3D/DiT-3D), the base of FastDiT-3D: voxels to loss."""

import einops
import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert.tables import fastdit3d as convert
from jmim.core import method as methods
from jmim.methods.parts import labels
from jmim.methods.parts import occupancy
from jmim.methods.parts import voxel_network
from jmim.methods.point import fastdit3d
from jmim.nn import sizes

SKIPPED = {}


def method(config):
  return fastdit3d.FastDiT3D(
    points=config["points"],
    masked=False,
    network=voxel_network.VoxelNetwork(
      size=config["input_size"],
      dims=sizes.Dims(
        variant=f"S/{config['patch_size']}",
        width=config["hidden_size"],
        depth=config["depth"],
        heads=config["num_heads"],
        mlp_ratio=config["mlp_ratio"],
      ),
    ),
    labels=labels.Labels(
      classes=config["num_classes"], drop=config["class_dropout_prob"]
    ),
  )


def last(array):
  """[b, 3, n] -> [b, n, 3]."""
  return jnp.asarray(einops.rearrange(array, "b c n -> b n c"))


def first(array):
  """[b, n, 3] -> [b, 3, n]."""
  return np.asarray(einops.rearrange(array, "b n c -> b c n"))


def run(case):
  m, i = method(case.config), case.inputs
  m.inputs()
  batch = {"points": last(i["points"]), "label": jnp.asarray(i["y"])}
  theirs = golden_kit.with_none(case.params, m.labels.classes)
  params = golden_kit.import_main(m, convert.full(m), theirs, batch)
  weights = methods.Weights(params)
  draws = {"t": jnp.asarray(i["t"]), "noise": last(i["noise"])}
  draws["label_drop"] = jnp.ones(len(i["t"]))  # labels are given after it
  (loss, _), grads = golden_kit.loss_and_grads(m, weights, batch, draws)
  x_t, _, _ = m.noise.add(batch["points"], draws["t"], draws["noise"])
  vox = m.network.voxelised(x_t)
  out = jax.jit(m.denoised)(params, x_t, draws["t"], batch["label"])
  filled = occupancy.filled(vox.count, m.network.dims.patch)
  return {
    "x_t": first(x_t),
    "vox_coords": first(vox.coords),
    "voxels": np.asarray(einops.rearrange(vox.grid, "b x y z c -> b c x y z")),
    "occupied": np.asarray(vox.count > 0, np.int32),
    "occupied_patch": np.asarray(filled, np.int32),
    "tokens": out["tokens"],
    "eps_pred": first(out["eps"]),
    "loss": loss,
    **golden_kit.named_grads(case, convert.full(m), grads),
  }
