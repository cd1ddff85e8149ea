"""Several flows of a pair of images, and how their model is tested.

    flow = mean_k x0_k, clipped to -1 .. 1 at the end     x0_k from noise k

Images may be spoilt on the way, both of a pair, by a function of their pixels
(`nn/degrade/corruptions.py`). (DiffMatch.)
"""

import dataclasses
from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.methods.parts import degraded
from jmim.nn import matching
from jmim.nn.degrade import corruptions

Array = jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class FlowSamples:
  """How many flows are sampled, and how badly images are spoilt."""

  asked: ClassVar[bool] = True  # a run may be tested otherwise

  count: int = field.value(3, "flows that are sampled and averaged", low=1)
  severity: int = field.value(
    5, "severity of corruptions, where images are spoilt", low=1, high=5
  )

  def starts(
    self, key: Array, batch: method.Batch, shape: tuple[int, ...]
  ) -> Array:
    """Standard normal [n, b, *shape].

    A function of (key, number of the hypothesis, number of the example).

    Args:
      key: of all.
      batch: of the examples.
      shape: of each.
    """
    numbers = method.numbers(batch)
    one = lambda k: randomness.normals(k, numbers, shape)(0)
    return jax.vmap(one)(randomness.numbered(key, jnp.arange(self.count)))

  def corrupted(self, images: Array, name: str) -> Array:
    """Pairs [b, 2, h, w, c] in -1 .. 1, spoilt by a function of their pixels.

    Args:
      images: source and target.
      name: of a corruption; "": as they are.
    """
    if not name:
      return images
    flat = (images.reshape(-1, *images.shape[2:]) + 1) / 2
    spoil = corruptions.Corruption(name=name, severity=self.severity)
    made = spoil(flat, jax.random.key(0), degraded.number(flat))
    return 2 * made.reshape(images.shape) - 1

  def outputs(
    self, flows: Callable[..., method.Predict]
  ) -> dict[str, method.Predict]:
    """flow; flow_blind, of costs of 0; flow_<corruption>.

    Args:
      flows: (corruption=, blind=) -> an output.
    """
    spoilt = {f"flow_{n}": flows(corruption=n) for n in corruptions.NAMES}
    return {"flow": flows(), "flow_blind": flows(blind=True)} | spoilt


def described(
  made: Array, initial: Array, *, batch: method.Batch, images: Array
) -> dict[str, Array]:
  """What the evaluator `flow` reads, in pixels, as large as true flows.

  Args:
    made: flows [n, b, h, w, 2] in shares of the sides.
    initial: [b, h, w, 2], what they began with.
    batch: has flow [b, H, W, 2] and flow_known [b, H, W].
    images: [b, 2, h, w, c] as they were seen.
  """
  sides = batch["flow"].shape[1:3]
  pixels = lambda flow: matching.in_pixels(flow, sides)
  return {
    "flow": pixels(mean(made)),
    "initial": pixels(initial),
    "hypotheses": jax.vmap(pixels, 0, 1)(made),
    "flow_true": batch["flow"],
    "flow_known": batch["flow_known"],
    "images": images,
  }


def mean(flows: Array) -> Array:
  """Of flows [n, b, h, w, 2] in shares of the sides, at most 1 either way."""
  return jnp.clip(flows.mean(0), -1.0, 1.0)
