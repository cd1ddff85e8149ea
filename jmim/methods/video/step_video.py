r"""Step-Video-T2V: clips of a text, by attention over all of space and time.

Ma et al. 2025 (arXiv 2502.10248). Equal to the authors' code (stepfun-ai/
Step-Video-T2V@675e08c): `tests/golden` compares modulation, attention, a block,
the velocity, the times of sampling and its states.

A transformer on all tokens of a clip's latents (`nn/nets/video_dit.py`), told
two kinds of features of a text (`parts/told_video.py`), predicts the velocity
of straight paths:

    z    = latents of the clip                  causal autoencoder; or pixels
    x_t  = (1 - t) eps + t z                    t = sigmoid(n), n ~ N(0, 1);
    v    = net(x_t, t, text)                    1 = data; no text: p = 0.1
    loss = mean (v - (z - eps))^2

Samples follow dx = v dt in Euler steps, short near noise: t = 1 - s, s from
1 down to 0 is made k s / (1 + (k - 1) s), k = 13 (`noise.shift`: 1 / k; 7 in
their default); guidance 9, away from an empty text (`told.null`).

Reference (30 B, 544 x 992; win-tie-loss against HunyuanVideo): 59-22-47, ...

Only inference is published: the density of t, how often there is no text, the
optimizer are ours. `attention="factorised"` is no part of it, but the baseline
that sees space and time in turn. The report's T / 8 latent frames: 3 of 17.

    python -m jmim.main --config=configs/step_video_shapes.py --workdir=W
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.diffusion import sampler as samplers
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import flow
from jmim.methods.parts import guided
from jmim.methods.parts import told_video
from jmim.nn import factorised
from jmim.nn.nets import video_dit
from jmim.nn.nets import video_dit_dims

Array = jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepVideo(method.Method):
  """Velocity of clips, by full attention in space and time."""

  frames: int = field.value(36, "frames of what is diffused", low=1)
  height: int = field.value(34, "rows of what is diffused", low=1)
  width: int = field.value(62, "columns of what is diffused", low=1)
  channels: int = field.value(64, "channels of what is diffused", low=1)
  attention: str = field.value(
    "full",
    "tokens that see each other: all, or a frame's and a place's in turn",
    choices=("full", "factorised"),
  )
  dims: video_dit_dims.Dims = field.part(video_dit_dims.Dims, "transformer")
  told: told_video.ToldVideo = field.part(
    told_video.ToldVideo, "texts that it is told"
  )
  first_stage: stages.FirstStage = field.part(
    stages.FirstStage, "clips or latents", scale=1.0
  )
  noise: flow.Flow = field.part(flow.Flow, "forward process", shift=1 / 13)
  sampling: guided.Guided = field.part(
    guided.Guided, "sampler", sampler="euler", guidance=9.0, clip=0.0
  )

  @classmethod
  def tiny(cls) -> "StepVideo":
    """3 frames of 2 x 2 patches, two blocks, rows and columns unlike."""
    few = dict(length=2, width=8, clip_length=1, clip_width=6)
    return field.replace(
      cls(frames=3, height=4, width=4, channels=3),
      dims=dict(variant="Ti/2", width=32, depth=2, heads=2, axes=(8, 2, 6)),
      told=dict(kind="label", classes=3, sizes="size", **few),
      sampling=dict(steps=3, guidance=2.0),
    )

  @property
  def shape(self) -> tuple[int, int, int, int]:
    """[t, h, w, c] of what is diffused."""
    return (self.frames, self.height, self.width, self.channels)

  @property
  def net(self) -> video_dit.VideoDiT:
    """The network."""
    return self.dims.net(self.channels, self.told.sizes, self.rt)

  def inputs(self) -> dict[str, method.Input]:
    """Clips or moments, and texts.

    Raises:
      ValueError: fields that do not go together.
    """
    self.dims.check(self.height, self.width)
    self.noise.check(self.sampling)
    self.sampling.check(self.told.drop, "told.drop")
    return self.first_stage.inputs(self.shape) | self.told.inputs()

  def consts(self) -> dict[str, method.Const]:
    """The first stage, to read clips or to decode; features of no text."""
    return self.first_stage.consts() | self.told.consts()

  def sample_reads(self) -> tuple[str, ...]:
    """Features of the text, and the rate."""
    return self.told.reads()

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters; no extra state."""
    k_net, k_told = jax.random.split(key)
    made = {"told": own} if (own := self.told.init(k_told)) else {}
    first = jax.tree.map(lambda x: x[:1], batch)
    told = self.told.told(method.Weights({"main": made}), first)
    x = jnp.zeros((1, *self.shape))
    net = self.net.init(k_net, x, jnp.zeros(1), told)["params"]
    return {"main": {"net": net} | made}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """t, told_drop [b]; noise, posterior [b, t, h, w, c]."""
    del step
    parts = (self.noise, self.told, self.first_stage)
    shape = (method.batch_size(batch), *self.shape)
    return method.draws_of(keys, shape, *parts)

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Squared error of the velocity."""
    del step, player
    return self.terms(weights, batch, draws)["flow"].mean(), {}

  def latents(
    self, weights: method.Weights, batch: method.Batch, draws: method.Draws
  ) -> Array:
    """What is diffused [b, t, h, w, c]."""
    return self.first_stage.encode(weights, batch, draws)

  def terms(
    self, weights: method.Weights, batch: method.Batch, draws: method.Draws
  ) -> dict[str, Array]:
    """flow [b], the squared error of each clip."""
    z = self.latents(weights, batch, draws).astype(jnp.float32)
    x, _, _ = self.noise.add(z, draws["t"], draws["noise"])
    told = self.told.shown(weights, batch, draws)
    raw = self.network(weights.params, x, draws["t"], told)
    return self.noise.errors(raw, z, draws)

  def network(
    self,
    params: method.Tree,
    x: Array,
    t: Array,
    told: video_dit.Told,
    of: str | tuple[str, ...] = "pred",
    **options: Any,
  ) -> Any:
    """Velocity [b, t, h, w, c] of noisy x at times t [b].

    Args:
      params: of all players.
      x: noisy clips.
      t: 1 = data.
      told: texts.
      of: which of the outputs of `video_dit.VideoDiT`; a tuple of several.
      **options: taps; where attention is over all, another one and its state.
    """
    variables, own = {"params": params["main"]["net"]}, {}
    if self.attention == "factorised":
      found = factorised.make(self.rt, self.frames, self.net.size.depth)
      own = dict(zip(("attend", "state"), found, strict=True))
    out = self.net.apply(variables, x, t, told, **own, **options)
    return out[of] if isinstance(of, str) else tuple(out[name] for name in of)

  def predict(self) -> dict[str, method.Predict]:
    """errors {flow [b]}; features [b, w]; pairs; sample, if it can decode."""
    seen = ("sample",) if self.first_stage.decodes else ()
    return {n: getattr(self, n) for n in ("errors", "features", "pairs", *seen)}

  def errors(self, weights, batch, key) -> dict[str, jax.Array]:
    """flow [b]: of the velocity, at times and noise of this key."""
    return self.terms(weights, batch, self.drawn(key, batch))

  def features(self, weights, batch, key) -> jax.Array:
    """Mean of the tokens after the last block, of clean clips, no text."""
    x = self.latents(weights, batch, self.drawn(key, batch))
    t, none = jnp.full(len(x), self.noise.clean), self.told.none(weights, batch)
    latent = self.network(weights.params, x, t, none, of="latent")
    return latent.mean(1).astype(jnp.float32)

  def sample(self, weights, batch, key) -> jax.Array:
    """Clips [b, t, h, w, c] in the units of the input; `parts/guided.py`."""
    z = self.pairs(weights, batch, key)["sample"]
    return self.first_stage.decode(weights, z)

  def pairs(self, weights, batch, key) -> dict[str, Array]:
    """noise and sample [b, t, h, w, c], where sampling begins and ends."""
    network = functools.partial(self.network, weights.params)
    how = dict(condition=self.told.condition(weights, batch), shape=self.shape)
    how |= dict(batch=batch, key=key, walk=samplers.ends(network))
    return self.sampling.sample(self.noise, network, **how)
