"""NViST (wbjang/nvist_official): tokens, field, rays, loss and gradient."""

import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert import table
from jmim.convert.tables import nvist as convert
from jmim.core import field
from jmim.methods.scene import nvist

SKIPPED = {}


def method(config):
  height, width = config["image_hw"]
  low, high = config["aabb"]
  near, far = config["near_far"]
  m = field.replace(
    nvist.NViST(),
    size=width,
    height=height,
    dims=dict(
      variant=f"Ti/{config['encoder_patch_size']}",
      width=config["embed_dim"],
      depth=config["encoder_depth"],
      heads=config["num_heads"],
    ),
    decoder_dims=dict(depth=config["decoder_depth"]),
    planes=dict(
      resolution=config["resolution"],
      patch=config["decoder_patch_size"],
      density=config["sigma_dim"],
      colours=config["rgb_dim"],
      frequencies=config["camera_pe_freq"],
      modulated=config["adaln"],
      own_norms=config["kv_separate_norm"],
    ),
    radiance=dict(
      near=near,
      far=far,
      low=tuple(low),
      high=tuple(high),
      samples=config["n_samples"],
      width=config["rgb_feature_dim"],
      frequencies=config["viewdir_pe"],
    ),
    rays=dict(whole=False, budget=1),
  )
  assert m.planes.channels == config["decoder_output_dim"]
  grid = m.nets[0].grid
  assert grid[0] * grid[1] == config["num_encoded_patches"]
  return m


def rules_of(m):
  """Those of arrays that are read."""
  return [r for r in convert.full(m) if not getattr(r, "unused", False)]


def run(case):
  m, i = method(case.config), case.inputs
  m.inputs()  # checks that the case fits together
  images = golden_kit.images(i["image"])
  batch = {"image": images[:, None]}
  rules = rules_of(m)
  unread = {
    r.theirs for r in convert.full(m) if isinstance(r, table.Constant)
  } - {r.theirs for r in rules if isinstance(r, table.Constant)}
  theirs = {n: a for n, a in case.params.items() if n not in unread}
  params = golden_kit.import_main(m, rules, theirs, batch)
  camera = jnp.asarray(i["camera"])
  rays = jnp.asarray(i["ray_origin"]), jnp.asarray(i["ray_direction"])
  target, jitter = jnp.asarray(i["rgb_target"]), jnp.asarray(i["jitter"][0])

  def rendered(params, jitter=None):
    grids = m.grids(params, images, camera)
    return grids, m.render(params, grids, rays, jitter)

  def loss(params):
    _, out = rendered(params, jitter)
    return m.radiance.loss(out, target)[0], out

  grids, out = jax.jit(rendered)(params)
  (total, trained), grads = jax.jit(jax.value_and_grad(loss, has_aux=True))(
    params
  )
  latent = jax.jit(lambda p: m.planes.latent(p, m.nets[0], images))(
    params["main"]["encoder"]
  )
  theirs = table.export_tree(rules, grads["main"], constants=False)
  first = lambda x: np.moveaxis(np.moveaxis(x, -1, 2), 0, 1)  # [3, b, c, h, w]
  found = {
    "latent": latent,
    "planes": first(grids["planes"]),
    "lines": first(grids["lines"]),
    "rgb": out["rgb"],
    "depth": out["depth"],
    "weight": out["weight"],
    "distloss": out["distortion"].mean(),
    "rgb_train": trained["rgb"],
    "distloss_train": trained["distortion"].mean(),
    "loss_train": total,
    "grad_output_token": theirs["decoder.output_token"],
  }
  more = {
    name: theirs[name.removeprefix("grad/")]
    for name in case.outputs
    if name.startswith("grad/")
  }
  return golden_kit.asked(case, found | more)
