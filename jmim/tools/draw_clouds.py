"""Pictures of methods on point clouds, for `draw_methods`; none is trained."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import recipes
from jmim.data.procedural import surfaces
from jmim.evals.lib import clouds
from jmim.evals.lib import draw
from jmim.tools import sheets

KINDS = ("box", "cone", "torus", "helix")
TIME = 0.1  # share of the times


def fastdit3d(path: pathlib.Path) -> None:
  """Clouds, noised ones, and which of their points the encoder sees."""
  recipe = configs.load(str(recipes.folder() / "fastdit3d_shapes.py"))
  method, rng = discovery.make(recipe.method), np.random.default_rng(0)
  label = [surfaces.CLASSES.index(kind) for kind in KINDS]
  points = np.stack([surfaces.cloud(i, method.points, rng) for i in label])
  x = jnp.asarray(points) / recipe.data.points_std[0]
  draws = method.drawn(jax.random.key(0), {"points": x})
  t = jnp.full(len(x), int(TIME * method.noise.times))
  x_t, _, _ = method.noise.add(x, t, draws["noise"])
  vox = method.network.voxelised(x_t)
  kept = method.masks.keep(draws, vox, method.network.dims.patch)
  seen = np.asarray(method.network.seen(vox, kept))
  columns = {
    "cloud": clouds.views(points),
    "noised": clouds.views(x_t),
    "seen": clouds.views(x_t, 0.1 + 0.9 * seen),
  }
  sheets.write_few(path, draw.sheet(columns, pairs=1, scale=1))


FIGURES = {"fastdit3d": fastdit3d}
