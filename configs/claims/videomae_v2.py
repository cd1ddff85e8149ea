"""VideoMAE V2: half of the positions decoded, tubes harder than single tokens.

One shape moves over a texture in one of eight directions; 8 frames of 32
pixels, patch 4, 90 % hidden, encoder 96x4, decoder 48x2, 1000 steps of 64.

A. Ridge probe of the direction on mean-pooled frozen features (chance 12.5 %):
   dual masking within 3 points of full decoding, both at least 20 points above
   the untrained encoder. Seeds 0, 1, 2: dual less full 1.70, 3.90, -1.85; above
   untrained 29.1, 24.5, 12.2 (dual) and 27.4, 20.6, 14.1 (full). Seeds find the
   motion sooner or later, so A is a statement about their mean, which is 1.25,
   21.9 and 20.7 (--seeds 0,1,2); a single seed can miss it.
B. The decoder's FLOPs fall by at least 35 % with half of the positions decoded
   (counted from the program, by the rule of cost/flops.py).
C. At the same ratio the tube mask ends at a higher held-out loss than masking
   each token on its own: less can be copied from other times.
"""

import jax
import jax.numpy as jnp

from jmim.cost import flops
from jmim.methods.parts import dual_masks
from jmim.methods.video import videomae_v2
from jmim.nn import sizes
from jmim.tools import claims

RECIPE, LOSS = "configs/videomae_v2_shapes.py:steps=1000", "loss/loss"
PROBE, FRESH = "probe/accuracy", "probe/untrained_accuracy"


def decoder_flops(ratio: float) -> int:
  """Of one clip of the card: 8 frames of 32 pixels, patch 4."""
  m = videomae_v2.VideoMAE(
    size=32,
    frames=8,
    dims=sizes.Dims(variant="Ti/4", width=96, depth=4, heads=4),
    decoder_dims=sizes.Blocks(width=48, depth=2, heads=4),
    masks=dual_masks.Masks(decoder_ratio=ratio),
  )
  visible, decoded = m.masks.counts(m.grid)
  latent = jnp.zeros((1, visible, m.dims.size.width))
  ids = jnp.zeros((1, visible), int), jnp.zeros((1, decoded), int)
  shapes = jax.eval_shape(m.decoder.init, jax.random.key(0), latent, *ids)
  return flops.count(m.decoder.apply, shapes, latent, *ids)


def get_claim() -> claims.Claim:
  return claims.Claim(
    runs={
      "tube": claims.Run(RECIPE),
      "full": claims.Run(f"{RECIPE},decoder_ratio=0.0"),
      "random": claims.Run(f"{RECIPE},mask=random", ("evals.probe=None",)),
    },
    conditions=(
      claims.Condition(
        text="A: probe points, dual masking - full decoding",
        value=lambda r: r["tube"][PROBE] - r["full"][PROBE],
        at_least=-3.0,
      ),
      claims.Condition(
        text="A: probe points above the untrained encoder, dual",
        value=lambda r: r["tube"][PROBE] - r["tube"][FRESH],
        at_least=20.0,
      ),
      claims.Condition(
        text="A: probe points above the untrained encoder, full",
        value=lambda r: r["full"][PROBE] - r["full"][FRESH],
        at_least=20.0,
      ),
      claims.Condition(
        text="B: decoder FLOPs, half / all hidden positions",
        value=lambda r: decoder_flops(0.5) / decoder_flops(0.0),
        at_most=0.65,
      ),
      claims.Condition(
        text="C: loss, tube / random",
        value=lambda r: r["tube"][LOSS] / r["random"][LOSS],
        at_least=1.0,
      ),
    ),
    metrics=(LOSS, PROBE, FRESH),
  )
