"""A student that copies its host: the prediction, and outputs of attention.

    taught   = mean (e - e')^2
    features = mean_l mean (f_l - f'_l)^2

f_l: output of self-attention l, after its projection and before the residual.
Means are over all elements of an array, in float32.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.nn.nets import unet

Array = jax.Array
# (prediction [b, h, w, c], output [b, n, d] of each self-attention).
Seen = tuple[Array, list[Array]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Copying:
  """Weights of what is copied."""

  prediction: float = field.value(
    0.5, "weight of the distance to the host's prediction", low=0.0
  )
  features: float = field.value(
    0.5, "weight of the distance to its attentions' outputs", low=0.0
  )

  def total(self, each: dict[str, Array]) -> Array:
    """noise + weighted `terms`; each: those and "noise"."""
    copied = self.features * each["features"]
    return each["noise"] + self.prediction * each["taught"] + copied


def see(
  net: unet.UNet, params: method.Tree, *, x: Array, t: Array, context: Array
) -> Seen:
  """Prediction of a network and what its self-attentions give, by name.

  Args:
    net: host or student.
    params: of that network.
    x: [b, h, w, c] noisy state.
    t: [b] times.
    context: [b, s, d].
  """
  options = dict(context=context, method="tapped")
  pred, taps = net.apply({"params": params}, x, t, **options)
  return pred, [taps.attention[name] for name in sorted(taps.attention)]


def terms(ours: Seen, theirs: Seen) -> dict[str, Array]:
  """taught and features."""
  square = lambda a, b: _square(a - b).mean()
  pairs = [square(a, b) for a, b in zip(ours[1], theirs[1], strict=True)]
  features = sum(pairs) / len(pairs)
  return {"taught": square(ours[0], theirs[0]), "features": features}


def errors(ours: Seen, theirs: Seen, target: Array) -> dict[str, Array]:
  """Squared errors [b] of a student beside those of its host.

  Args:
    ours: of the student.
    theirs: of the host.
    target: [b, h, w, c] of both predictions.

  Returns:
    target and host_target, of student and host; taught, between them;
    features, between their features over the square of the host's.
  """
  mean = lambda x: _square(x).mean(tuple(range(1, x.ndim)))
  pairs = zip(ours[1], theirs[1], strict=True)
  shares = [mean(a - b) / mean(b) for a, b in pairs]
  return {
    "target": mean(ours[0] - target),
    "host_target": mean(theirs[0] - target),
    "taught": mean(ours[0] - theirs[0]),
    "features": sum(shares) / len(shares),
  }


def _square(x):
  return jnp.square(x.astype(jnp.float32))
