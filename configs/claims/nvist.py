"""NViST: views of new scenes from one image, and what they depend on.

Spheres and boxes on a disc, 24 x 32 px, 400 scenes to train on and 40 others;
a masked autoencoder of the frames, 1000 steps, then 1500 steps of scenes with
its encoder. Exact, without training:

1. Weights of a ray sum to 1 - prod (1 - a).
2. The distortion in linear time is the double sum.
3. Where nothing is dense a ray is black and has no depth.

Five views of each new scene, rendered from its middle frame:

4. PSNR above the mean training image: at least 1.5 dB.
5. Views with exchanged cameras are worse: at least 2 dB.
6. So are views of a decoder that sees the class token alone: at least 0.5 dB.

Beside them, as a report: the card expects at least 3 dB above the input in the
place of every view (`psnr` less `psnr_input`), which nobody has measured.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import config as configs
from jmim.core import discovery
from jmim.nn import volume
from jmim.tools import claims

RECIPE = "configs/nvist_views.py"
PSNR, MEAN, INPUT, SHUFFLED = (
  f"views/psnr{kind}" for kind in ("", "_mean", "_input", "_shuffled")
)


@functools.cache
def of_rays() -> tuple[float, float]:
  """Largest errors of sums of weights, and of distortions (relative)."""
  rng = np.random.default_rng(0)
  density = jnp.asarray(rng.gamma(0.5, 8.0, (256, 24)), jnp.float32)
  bounds = volume.boundaries(0.6, 2.2, 24, jnp.asarray(rng.random(25), "f4"))
  w, left = volume.weights(density, bounds)
  sums = jnp.abs(w.sum(-1) - (1 - left.prod(-1))).max()
  m = volume.middles(bounds)
  double = jnp.einsum("ri,rj,ij->r", w, w, jnp.abs(m[:, None] - m))
  double += (w**2 * jnp.diff(bounds)).sum(-1) / 3
  linear = volume.distortion(w, bounds)
  return float(sums), float(jnp.abs(linear / double - 1).max())


@functools.cache
def of_nothing() -> float:
  """Largest value of what is rendered of grids without density."""
  m = discovery.make(configs.load(RECIPE).method)
  m = dataclasses.replace(m, rt=dataclasses.replace(m.rt, dtype=jnp.float32))
  part, r, c = m.radiance, m.planes.resolution, m.planes.channels
  params = part.init(jax.random.key(0), m.planes.colours)
  grids = {
    "planes": jnp.ones((1, 3, r, r, c)),
    "lines": jnp.ones((1, 3, r, 1, c)),
  }
  grids["lines"] = grids["lines"].at[..., : m.planes.density].set(0.0)
  rays = jnp.zeros((1, 8, 3)).at[..., 2].set(-1.3), jnp.ones((1, 8, 3))
  out = part.render(params, grids, rays, density=m.planes.density)
  return max(float(jnp.abs(x).max()) for x in out.values())


def get_claim() -> claims.Claim:
  scenes = f"{RECIPE}:frames={{workdir:frames}}"
  condition = claims.Condition
  return claims.Claim(
    runs={
      "frames": claims.Run("configs/mae_views.py"),
      "scenes": claims.Run(scenes),
      "untold": claims.Run(f"{scenes},told=False"),
    },
    conditions=(
      condition(
        text="1: sum of weights, off 1 - prod (1 - a)",
        value=lambda r: of_rays()[0],
        at_most=1e-5,
      ),
      condition(
        text="2: distortion in linear time, off the double sum (relative)",
        value=lambda r: of_rays()[1],
        at_most=1e-4,
      ),
      condition(
        text="3: what is rendered without density",
        value=lambda r: of_nothing(),
        at_most=0.0,
      ),
      condition(
        text="4: PSNR of new scenes, above the mean image [dB]",
        value=lambda r: r["scenes"][PSNR] - r["scenes"][MEAN],
        at_least=1.5,
      ),
      condition(
        text="5: PSNR lost with exchanged cameras [dB]",
        value=lambda r: r["scenes"][PSNR] - r["scenes"][SHUFFLED],
        at_least=2.0,
      ),
      condition(
        text="6: PSNR lost without cross-attention [dB]",
        value=lambda r: r["scenes"][PSNR] - r["untold"][PSNR],
        at_least=0.5,
      ),
    ),
    metrics=(PSNR, INPUT, MEAN, SHUFFLED),
  )
