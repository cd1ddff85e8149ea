r"""MicroDiT: Stretching Each Dollar, diffusion from scratch on a micro-budget.

Sehwag, Kong, Li, Spranger, Lyu, CVPR 2025 (arXiv 2407.15811). Equal to the
authors' code (SonyResearch/micro_diffusion@900d7d4): `tests/golden` compares
mixer, blocks, text, both losses, gradients and guided Heun trajectories. Three
quarters of the patches are removed, but behind a mixer that sees all of them:

    x     = z + sigma eps,   log sigma ~ N(mean, std^2)     `parts/edm.py`
    p     = mixer(in x)                            all patches
    F     = backbone(p[kept])                      0 where removed
    D     = skip x + out F
    loss  = mean over kept patches of (sigma^2 + d^2) / (sigma d)^2 (D - z)^2

with the text by cross-attention, and its mean beside the time. mask_ratio 0 is
the unmasked loss, which ends a training.

Reference (COCO, zero-shot FID-30K): 12.66 with 37 M images, 12.72 with 22 M
real ones, GenEval 0.46 [XL/2, 1.16 B parameters, four stages].

Following the released code: an expert's places are an integer part and count
patches that are present, so masked training and sampling differ in them;
no caption is zeros through the text's layers; guidance acts on F; experts have
the rate of all others ("moe" is in no name there). Differs: a float32 sampler;
averages of the weights, which its trainer lacks. That masking pays at equal
compute is disputed there (issue 10). Weights: family `microdit`.

    python -m jmim.main --config=configs/microdit_shapes.py --workdir=runs/micro
    python -m jmim.tools.claim microdit
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.masks import tokens as masking
from jmim.methods.parts import edm
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import guided
from jmim.methods.parts import mixed_patches
from jmim.methods.parts import told_caption
from jmim.nn import patch as patching


@dataclasses.dataclass(frozen=True, kw_only=True)
class MicroDiT(method.Method):
  """Text-to-image diffusion, most patches removed behind a mixer."""

  size: int = field.value(
    32, "side of what is diffused, in pixels or latents", low=1
  )
  channels: int = field.value(4, "channels of what is diffused", low=1)
  mask_ratio: float = field.value(
    0.75, "share of patches removed in training", low=0.0, below=1.0
  )
  patches: mixed_patches.MixedPatches = field.part(
    mixed_patches.MixedPatches, "transformer"
  )
  caption: told_caption.ToldCaption = field.part(
    told_caption.ToldCaption, "text that it is told"
  )
  first_stage: stages.FirstStage = field.part(
    stages.FirstStage, "images or latents", scale=0.13025
  )
  noise: edm.EDM = field.part(
    edm.EDM, "forward process", mean=-0.6, data_std=0.9
  )
  sampling: guided.Guided = field.part(
    guided.Guided, "sampler", sampler="heun", steps=30, guidance=5.0, clip=0.0
  )

  @classmethod
  def tiny(cls) -> "MicroDiT":
    """16 patches of an 8-pixel image, experts in one of three blocks."""
    blocks = dict(width=16, depth=2, head=8, multiple=8, experts=2, every=1)
    return field.replace(
      cls(),
      size=8,
      channels=3,
      mask_ratio=0.5,
      patches=dict(backbone=blocks, mixer=dict(depth=1, width=8)),
      caption=dict(kind="words", length=3, width=8, vocabulary=6),
      noise=dict(data_std=0.4),
      sampling=dict(steps=2, guidance=2.0),
    )

  @property
  def shape(self) -> tuple[int, int, int]:
    """[h, w, c] of what is diffused."""
    return (self.size, self.size, self.channels)

  def inputs(self) -> dict[str, method.Input]:
    """Normalised images (or moments), and captions: context or tokens."""
    self.patches.check(self.size, self.mask_ratio, "patches")
    self.noise.check(self.sampling)
    self.sampling.check(self.caption.drop, "caption.drop")
    return self.first_stage.inputs(self.shape) | self.caption.inputs()

  def consts(self) -> dict[str, method.Const]:
    """The first stage, in latent mode; a frozen text encoder."""
    return self.first_stage.consts() | self.caption.consts()

  def sample_reads(self) -> tuple[str, ...]:
    """The caption."""
    return tuple(self.caption.inputs())

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters; no extra state."""
    del batch
    k_net, k_caption = jax.random.split(key)
    net = self.patches.init(k_net, self.shape, self.caption.shape)
    own = self.caption.init(k_caption)
    return {"main": {"net": net} | ({"caption": own} if own else {})}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """level, caption_drop [b]; noise, posterior [b, h, w, c]; mask [b, n]."""
    del step
    parts = (self.noise, self.patches, self.caption, self.first_stage)
    shape = (method.batch_size(batch), *self.shape)
    return method.draws_of(keys, shape, *parts)

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """The error of the patches that are kept."""
    del step, player
    return self.errors(weights, batch, draws, self.mask_ratio).mean(), {}

  def errors(
    self,
    weights: method.Weights,
    batch: method.Batch,
    draws: method.Draws,
    ratio: float,
  ) -> jax.Array:
    """Weighted errors [b] with a share of the patches removed."""
    z = self.first_stage.encode(weights, batch, draws).astype(jnp.float32)
    mask, sigma = masking.hide(draws["mask"], ratio), self.noise.sigma(draws)
    t, told = self.noise.time(sigma), self.caption.shown(weights, batch, draws)
    x, _, _ = self.noise.add(z, t, draws["noise"])
    raw = self.network(weights.params, x, t, told, mask=mask)
    error = self.noise.errors(self.noise.denoised(raw, x, t), z, sigma)
    error = patching.patchify(error, self.patches.patch).mean(-1)
    kept = jnp.ones_like(error) if mask is None else 1 - mask.mask
    return masking.row_means(error, kept)

  def network(
    self,
    params: method.Tree,
    x: jax.Array,
    t: jax.Array,
    told: jax.Array,
    mask: masking.Mask | None = None,
    of: str = "pred",
  ) -> jax.Array:
    """F [b, h, w, c] of noisy x at times t [b], 0 where a patch is removed.

    Args:
      params: of all players.
      x: [b, h, w, c].
      t: the network's times.
      told: [b, l, d] of the caption.
      mask: what is removed.
      of: which of the outputs of `nn.nets.micro_dit`.
    """
    variables, seen = {"params": params["main"]["net"]}, self.noise.seen(x, t)
    net = self.patches.net(self.shape)
    return net.apply(variables, seen, t, told, mask)[of]

  def predict(self) -> dict[str, method.Predict]:
    """errors {whole, masked [b]}; features [b, w]; sample."""
    sample = {"sample": self.sample} if self.first_stage.decodes else {}
    return {"errors": self.measured, "features": self.features, **sample}

  def measured(self, weights, batch, key) -> dict[str, jax.Array]:
    """Errors [b] of all patches, and of those kept, at the same noise."""
    draws = self.drawn(key, batch)
    error = functools.partial(self.errors, weights, batch, draws)
    return {"whole": error(0.0), "masked": error(self.mask_ratio)}

  def features(self, weights, batch, key) -> jax.Array:
    """Mean of the tokens after the last block, of clean images, no caption."""
    x = self.first_stage.encode(weights, batch, self.drawn(key, batch))
    t = jnp.full(len(x), self.noise.clean)
    none = jnp.zeros((len(x), *self.caption.shape))
    latent = self.network(weights.params, x, t, none, of="latent")
    return latent.mean(1).astype(jnp.float32)

  def sample(self, weights, batch, key) -> jax.Array:
    """Images [b, h, w, c] in the units of the input; see `parts/guided.py`."""
    z = self.sampling.sample(
      self.noise,
      functools.partial(self.network, weights.params),
      condition=self.caption.condition(weights, batch),
      shape=self.shape,
      batch=batch,
      key=key,
      start=self.noise.start,
    )
    return self.first_stage.decode(weights, z)

  def groups(self) -> tuple[method.Group, ...]:
    """All parameters are decayed."""
    return (method.Group(pattern="", decay=1.0),)
