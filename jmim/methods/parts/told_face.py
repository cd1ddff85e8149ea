"""What a network is told of a face that it changes (DiffFAE).

What is kept of the source, and a rendering of what it is to become, as the
conditions "tokens" (with the identity) and "rendering" (with its parameters),
which are left out by themselves.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.methods.parts import attention_regions
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import latent_mode
from jmim.methods.parts import named_conditions
from jmim.methods.parts import renderings
from jmim.methods.parts import source_tokens
from jmim.nn.nets import region_tokens
from jmim.nn.nets import rendered_unet

Told = rendered_unet.Told
NAMES = ("tokens", "rendering")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ToldFace:
  """Rendering, source, the attention to it, and the conditions by name."""

  rendering: renderings.Renderings = field.part(
    renderings.Renderings, "rendering and its parameters"
  )
  source: source_tokens.SourceTokens = field.part(
    source_tokens.SourceTokens, "tokens of the source"
  )
  attention: attention_regions.AttentionRegions = field.part(
    attention_regions.AttentionRegions, "attention that keeps to regions"
  )
  conditions: named_conditions.NamedConditions = field.part(
    named_conditions.NamedConditions,
    "conditions left out in training, and guidance",
    names=NAMES,
    drop=(0.1, 0.1),
    guide=NAMES,
  )

  def check(self, sides: tuple[int, ...], guidance: float) -> None:
    """Raises ValueError for fields that do not go together.

    Args:
      sides: of the network's maps with attention.
      guidance: scale of guidance.
    """
    self.rendering.check()
    self.attention.check(self.source.count, sides)
    lacking = {}
    if not self.source.count and not self.source.features:
      lacking["tokens"] = "told.source.count=0"
    if not self.rendering.used:
      lacking["rendering"] = "told.rendering.used=False"
    self.conditions.check(NAMES, guidance, "told.conditions", lacking)

  def inputs(
    self, stage: stages.FirstStage, shape: tuple[int, ...]
  ) -> dict[str, method.Input]:
    """Pictures image, source, rendering; numbers and regions.

    Args:
      stage: between pixels and what is diffused.
      shape: [h, w, c] of what is diffused.

    Raises:
      ValueError: a first stage that does not read pictures.
    """
    if stage.net and stage.read != "images":
      raise ValueError(
        f"first_stage.read={stage.read!r}: 'images', as renderings are encoded"
      )
    (picture,) = stage.inputs(shape).values()
    found = {"image": picture} | self.rendering.inputs(picture)
    found |= self.source.inputs(picture)
    side = picture.shape[0]
    return found | self.attention.inputs(self.source.count, side)

  def reads(self, inputs: dict[str, method.Input]) -> tuple[str, ...]:
    """Entries that an edit reads, of all."""
    hidden = ("image", self.attention.read)
    return tuple(name for name in inputs if name not in hidden)

  def draw(
    self, keys: randomness.Keys, shape: tuple[int, ...], times: int
  ) -> dict[str, jax.Array]:
    """drop_<name> [b]; t_other [b] below `times`, if it is needed."""
    found = self.conditions.draw(keys, shape)
    if self.attention.twice(self.source.count):
      t = jax.random.randint(keys("t_other"), shape[:1], 0, times)
      found["t_other"] = t
    return found

  def blank(self, side: int, shape: tuple[int, ...]) -> Told:
    """Zeros for one example, to make parameters with.

    Args:
      side: of a picture.
      shape: [h, w, c] of what is diffused.
    """
    source, shown = self.source, self.rendering
    zeros = lambda there, *each: jnp.zeros((1, *each)) if there else None
    return Told(
      rendering=zeros(shown.used, side, side, 3),
      latent=zeros(shown.used, *shape),
      numbers=zeros(shown.wide, shown.wide),
      tokens=zeros(source.count, source.count, source.encoder.size.width),
      identity=zeros(source.features, source.features),
      keep_rendering=jnp.ones(1),
      keep_tokens=jnp.ones(1),
    )

  def told(
    self,
    stage: stages.FirstStage,
    weights: method.Weights,
    batch: method.Batch,
    draws: method.Draws | None = None,
    factor: int | None = None,
  ) -> tuple[Told, region_tokens.Seen | None]:
    """What the network is told, and what was seen of the source.

    Args:
      stage: encodes the rendering, at the mean of its posterior.
      weights: of the method.
      batch: of its inputs.
      draws: of a training step; None: nothing is left out.
      factor: number of the only one that is the query's; None: all are.
    """
    rendering, numbers = self.rendering.told(batch, factor)
    latent = seen = None
    if rendering is not None:
      latent = latent_mode.encoded(stage, weights, rendering)
      latent = jax.lax.stop_gradient(latent)
    if self.source.count:
      params, picture = weights.params["main"], batch[self.source.read]
      seen = self.source.net(picture.shape[1]).seen(params["source"], picture)
    keep = self.conditions.kept(NAMES, draws or {}, method.batch_size(batch))
    told = Told(
      rendering=rendering,
      latent=latent,
      numbers=numbers,
      tokens=seen.tokens if seen else None,
      identity=self.source.who(weights, batch),
      keep_rendering=keep["rendering"],
      keep_tokens=keep["tokens"],
    )
    return told, seen

  def both(self, told: Told) -> tuple[Told, Told]:
    """(all that is told, the same without what guidance is by)."""
    keeps = self.conditions.guided(NAMES, len(told.keep_tokens))
    put = lambda keep: {f"keep_{name}": keep[name] for name in NAMES}
    return tuple(told._replace(**put(keep)) for keep in keeps)
