"""VideoMAE V2: half of the positions decoded, tubes harder than single tokens.

Moving shapes, 90 % hidden, decoder 48x2.

B. The decoder's FLOPs fall by at least 35 % with half of the positions decoded
   (counted from the program, by the rule of core/flops.py).
C. At the same ratio the tube mask ends at a higher held-out loss than masking
   each token on its own: less can be copied from other times.

Claim A of the card (a probe of the direction of motion, dual masking within 3
points of full decoding) needs clips labelled by direction, which the built-in
data sets do not have.
"""

import jax
import jax.numpy as jnp

from jmim.core import flops
from jmim.methods.video import videomae_v2
from jmim.tools import claims

RECIPE, LOSS = "configs/videomae_v2_shapes.py", "loss/loss"


def decoder_flops(ratio: float) -> int:
  """Of one clip of the card: 8 frames of 32 pixels, patch 4."""
  m = videomae_v2.VideoMAE(
    variant="Ti/4", size=32, frames=8, width=96, depth=4, heads=4,
    decoder_width=48, decoder_depth=2, decoder_heads=4, decoder_ratio=ratio,
  )  # fmt: skip
  k, wanted = m.counts
  latent, ids = jnp.zeros((1, k, 96)), jnp.zeros((1, k), int)
  places = jnp.zeros((1, wanted), int)
  shapes = jax.eval_shape(
    m.decoder.init, jax.random.key(0), latent, ids, places
  )
  return flops.count(m.decoder.apply, shapes, latent, ids, places)


def get_claim() -> claims.Claim:
  return claims.Claim(
    runs={
      "tube": claims.Run(RECIPE),
      "random": claims.Run(f"{RECIPE}:mask=random"),
    },
    conditions=(
      claims.Condition(
        "B: decoder FLOPs, half / all hidden positions",
        lambda r: decoder_flops(0.5) / decoder_flops(0.0),
        at_most=0.65,
      ),
      claims.Condition(
        "C: loss, tube / random",
        lambda r: r["tube"][LOSS] / r["random"][LOSS],
        at_least=1.0,
      ),
    ),
    metrics=(LOSS,),
  )
