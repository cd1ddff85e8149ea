r"""A latent diffusion model that is told which thing is where: ellipses.

The localised model of DiffUHaul (Avrahami et al. 2024), a reconstruction: as
BlobGEN (Nie et al. 2024), which was not public, it is Stable Diffusion with
gated self-attention (GLIGEN, Li et al. 2023) and cross-attention that is
limited to a thing's ellipse.

    z     = s E(x);  x_t = a_t z + s_t eps
    e_k   = MLP([Fourier(ellipse k), mean of its words' vectors])
    e     = net(x_t, t, caption, {e_k, words k, ellipse k})  `nn/grounded.py`
    loss  = mean |eps - e|^p                                 that of latent.ldm

What is new is closed at the start: with the weights of another model
(`init_from`) it predicts what that predicts, bit for bit. `things.alone` trains
the new part only, as the paper's model was.

Caption and things are dropped together with probability `labels.drop`, for
guidance. A share of descriptions can be `things.vague`, so that the model knows
a word that says nothing ("object").

Chosen here, where the paper's value is not known: 8 frequencies of base 100 of
x, y, half axes and cosine and sine of twice the angle; the mean of the words'
vectors; words are read by the caption's own cross-attention, through a gate; a
cell of a coarser map belongs to an ellipse if any of its finest cells does; a
thing that is not there has zeros for ellipse and words.

Reference: the model has no numbers of its own. Published size (card; its
authors' figures are not known): 512 px, 1 M pictures with ellipses and
captions, batch 512, AdamW 5e-5, 400 k steps, all of Stable Diffusion frozen.

    python -m jmim.main --config=configs/blob_scenes.py --workdir=W
    python -m jmim.tools.claim diffuhaul
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.methods.latent import ldm
from jmim.methods.parts import conditions
from jmim.methods.parts import denoisers
from jmim.methods.parts import things as grounding
from jmim.nn import grounded
from jmim.nn.nets import unet


@dataclasses.dataclass(frozen=True, kw_only=True)
class Blob(ldm.LDM):
  """Latent diffusion told by ellipses, descriptions and a caption."""

  dims: denoisers.Dims = field.part(denoisers.UNET, "UNet", was="{}")
  condition: conditions.Condition = field.redefault(
    ldm.LDM, "condition", task="tokens", transformer=1
  )
  things: grounding.Things = field.part(
    grounding.Things, "ellipses and descriptions"
  )

  @classmethod
  def tiny(cls) -> "Blob":
    """8 x 8 images with two things, half of them undescribed or dropped."""
    small = dict(width=16, multipliers=(1, 2), blocks=1, attend_at=(2,))
    ids = dict(tokens=3, vocabulary=9, token_depth=1, token_heads=1)
    return field.replace(
      cls(size=8, channels=3),
      dims=dict(**small, heads=2, norm_groups=4),
      noise=dict(times=20, beta_start=1e-3, beta_end=0.5),
      labels=dict(drop=0.3),
      first_stage=dict(variant="none"),
      condition=dict(**ids, context=8),
      sampling=dict(steps=3),
      things=dict(length=2, waves=2, hidden=8, vague=0.3, vague_tokens=(3,)),
    )

  def net(self, dropout: float = 0.0) -> unet.UNet:
    """The network, whose transformers are told of things."""
    depth = self.condition.transformer
    mixer = functools.partial(grounded.transformer, depth=depth)
    return super().net(dropout).clone(mixer=mixer)

  def inputs(self) -> dict[str, method.Input]:
    """Those of a model told a caption, ellipses and thing_tokens."""
    return self.plain.inputs() | self.things.inputs(self.condition)

  def sample_reads(self) -> tuple[str, ...]:
    """What the condition is made of."""
    own = tuple(self.things.inputs(self.condition))
    return (*super().sample_reads(), *own)

  def groups(self) -> tuple[method.Group, ...]:
    """What is frozen; the rest as by default."""
    return self.things.groups()

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Those of the model without things, a closed network, and the tokens."""
    k_plain, k_net, k_things = jax.random.split(key, 3)
    params, extra = self.plain.init(k_plain, batch)
    wide = self.condition.contexts.width
    sizes = self.things.most, self.things.length
    blank = grounded.blank(*sizes, width=wide, side=self.size)
    x, t = jnp.zeros((1, *self.shape)), jnp.zeros(1)
    main = params["main"] | {
      "net": self.net().init(k_net, x, t, context=blank)["params"],
      "things": self.things.init(k_things, wide),
    }
    return {"main": main}, extra

  def draw(self, keys, batch, step) -> method.Draws:
    """Those of the model without things, and which are described vaguely."""
    drawn = self.plain.draw(keys, batch, step)
    return drawn | self.things.draw(keys, (len(drawn["t"]), *self.shape))

  def in_training(self, weights, batch, draws) -> dict[str, grounded.Things]:
    """What is told when some captions and things are dropped."""
    batch, draws = self.things.dropped(
      self.condition, batch, draws, self.labels
    )
    caption = super().in_training(weights, batch, draws)["context"]
    return {"context": self.told(weights, batch, caption)}

  def told(
    self, weights: method.Weights, batch: method.Batch, caption: jax.Array
  ) -> grounded.Things:
    """A caption [b, s, e] with the things of a batch."""
    options = dict(condition=self.condition, side=self.size)
    return self.things.told(weights, batch, caption, **options)

  def predict(self) -> dict[str, method.Predict]:
    """errors, and samples where there is a way to images."""
    sample = {"sample": self.sample} if self.first_stage.decodes else {}
    return {"errors": self.errors, **sample}

  def guiding(
    self, weights, batch
  ) -> tuple[dict[str, grounded.Things], dict[str, grounded.Things]]:
    """(what the network is told, the same of no caption and no thing)."""
    full, none = (c["context"] for c in super().guiding(weights, batch))
    empty = batch | {"ellipses": jnp.zeros_like(batch["ellipses"])}
    made = self.told(weights, batch, full), self.told(weights, empty, none)
    return tuple({"context": x} for x in made)
