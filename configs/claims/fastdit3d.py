"""FastDiT-3D: masks that know what is occupied beat random ones.

Clouds of 256 points on eight kinds of surfaces, 16 voxels of a side, patches of
2, 500 steps of 16 clouds (the card: 2000 of 32). The encoder has room for 12 of
512 tokens: (aware) at most 8 occupied and 4 empty ones, (random) any 12, (none)
all 512. Errors are of the noise in held-out clouds with nothing masked.

1. At low noise (a tenth and three tenths of the times): aware at most 0.97 of
   random.
2. The same over the whole grid of times; the card has this one.
3. Aware at most 1.15 of none, over the grid.
4. Products of the encoder in a forward pass, aware / none: at most a tenth.
5. Products of a whole training step, aware / none: at most half (the card has
   its time, which depends on the machine; the decoder sees all tokens).
"""

import jax
import jax.numpy as jnp

from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import method as methods
from jmim.cost import flops
from jmim.tools import claims

RECIPE = "configs/fastdit3d_shapes.py"
LEAN = ("evals.samples=None", "evals.clouds=None", "train.checkpoint_steps=500")


def encoder(mask: str) -> int:
  """FLOPs of the encoder of one cloud, from its patches to its last block."""
  method = discovery.make(configs.load(f"{RECIPE}:mask={mask}").method)
  network = method.network
  net = network.net(method.masked, method.labels.classes)
  volume = jnp.zeros((1, *(network.size,) * 3, 3))
  zero = jnp.zeros(1, jnp.int32)
  params = jax.eval_shape(net.init, jax.random.key(0), volume, zero, zero)
  draws = method.drawn(jax.random.key(0), {"points": jnp.zeros((1, 256, 3))})

  def latent(variables, points):
    vox = network.voxelised(points)
    kept = method.masks.keep(draws, vox, network.dims.patch)
    out = net.apply(variables, vox.grid, zero, zero, kept)
    return out["latent"]

  points = jax.ShapeDtypeStruct((1, method.points, 3), jnp.float32)
  return flops.count(latent, params, points)


def step(mask: str) -> int:
  """FLOPs of the gradients of one cloud."""
  method = discovery.make(configs.load(f"{RECIPE}:mask={mask}").method)
  batch = {
    name: jax.ShapeDtypeStruct((1, *entry.shape), entry.dtype)
    for name, entry in method.inputs().items()
  }
  key = jax.random.key(0)
  params, _ = jax.eval_shape(method.init, key, batch)

  def gradients(params, batch):
    draws = method.drawn(key, batch)
    loss = lambda p: method.loss(methods.Weights(p), batch, draws, 0)[0]
    return jax.grad(loss)(params)

  return flops.count(gradients, params, batch)


def ratio(key: str, one: str, other: str):
  """Of held-out errors of two runs."""
  return lambda r: r[one][f"errors/{key}"] / r[other][f"errors/{key}"]


def get_claim() -> claims.Claim:
  masks = ("aware", "random", "none")
  condition = claims.Condition
  return claims.Claim(
    runs={
      mask: claims.Run(f"{RECIPE}:steps=500,mask={mask}", LEAN)
      for mask in masks
    },
    conditions=(
      condition(
        text="1: error at low noise, aware / random",
        value=ratio("low", "aware", "random"),
        at_most=0.97,
      ),
      condition(
        text="2: error over the times, aware / random",
        value=ratio("eps", "aware", "random"),
        at_most=0.97,
      ),
      condition(
        text="3: error over the times, aware / none",
        value=ratio("eps", "aware", "none"),
        at_most=1.15,
      ),
      condition(
        text="4: products of the encoder, aware / none",
        value=lambda r: encoder("aware") / encoder("none"),
        at_most=0.1,
      ),
      condition(
        text="5: products of a training step, aware / none",
        value=lambda r: step("aware") / step("none"),
        at_most=0.5,
      ),
    ),
    metrics=("errors/eps", "errors/low"),
  )
