r"""VITON-DiT: who dances in a video is dressed in another garment.

Zheng et al. 2024 (arXiv 2405.18326, "Learning In-the-Wild Video Try-On from
Human Dance Videos via Diffusion Transformers"). No code was released, and there
are no goldens: what the paper leaves open is our choice (below), and
`tests/methods/edit` holds the identities that must be.

A garment is cut out of the video that is made again with it: nobody has to be
filmed in two. A transformer on clips (`nn/nets/stdit.py`) is told it by a copy
of its blocks on the picture; a branch, a copy of its first blocks, is told the
pose and the video without the garment:

    z    = E(frames start, start + s, ..)         s ~ U{1..4}, start ~ U
    G_j  = Told_j(E(garment), 0)                  of frame r ~ U of the video
    x_t  = a_t z + s_t eps; z where given         t ~ U{0..T-1}
    e    = net([x_t, given], t; G, branch([E(pose), E(agnostic), mask]))
    h    = SA(h) + gamma_j CA(h, G_j)             each block; gamma_j from 0
    loss = mean w (eps - e)^2                     of frames not given
    e_g  = e(no garment) + g (e - e(no garment))  g = 2

Drawn are the clip's start and stride; the frame of the garment; which of
garment, pose and agnostic video are left out (0.1 each); and up to a quarter of
the frames, which are given clean: first, last or evenly (`parts/clip_choice`).
So long videos are made in two passes, key frames and what is between them
(`diffusion/two_pass`).

Stages, each from the one before (`init_from`): image (clip.frames=1, no
dims.temporal), video, control (dims.branch). What a stage adds begins by adding
nothing, so it starts as the stage before ended, bit for bit; what learns less,
or nothing, the recipes say (`optim.lr_mults`, `optim.freeze`).

Reference: no numbers of the paper were checked. Ours: all sizes, blocks of
Open-Sora 1.0 (but places along time in all of them, not the first alone, and a
LayerNorm before attention to a context, which has none there), gamma, shares
and strides, g, both passes; one time for given and noised frames; zeros for
what is left out. The video's own pixels are pasted back around the garment
(`made` of the output `dress` is without).

    python -m jmim.main --config=configs/viton_dit_dancers.py --workdir=A
    python -m jmim.tools.claim viton_dit
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import clip_choice
from jmim.methods.parts import clip_network
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided
from jmim.methods.parts import long_clips
from jmim.methods.parts import tried_on

Array = jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class VitonDiT(method.Method):
  """Clips denoised, told a garment, a pose and what is left without it."""

  size: tuple = field.value(
    (64, 48), "height and width of what is diffused [latents or pixels]"
  )
  channels: int = field.value(4, "channels of what is diffused", low=1)
  dims: clip_network.ClipNetwork = field.part(
    clip_network.ClipNetwork, "transformer"
  )
  clip: clip_choice.ClipChoice = field.part(
    clip_choice.ClipChoice, "clips of a video in training"
  )
  told: tried_on.TriedOn = field.part(tried_on.TriedOn, "garment and video")
  long: long_clips.LongClips = field.part(
    long_clips.LongClips, "videos that are dressed"
  )
  first_stage: stages.FirstStage = field.part(
    stages.FirstStage, "frames or latents", variant="kl-f8", read="images"
  )
  noise: gaussian.Gaussian = field.part(gaussian.Gaussian, "forward process")
  sampling: guided.Guided = field.part(
    guided.Guided, "sampler", steps=30, guidance=2.0, clip=0.0
  )

  @classmethod
  def tiny(cls) -> "VitonDiT":
    """All stages at once: clips of 8 frames of 4 x 8 pixels, of 9."""
    body = dict(variant="S/2", width=16, depth=2, heads=2)
    return field.replace(
      cls(),
      size=(4, 8),
      channels=3,
      dims=dict(body=body, branch=1),
      clip=dict(length=9, frames=8, stride=1),
      told=dict(garment=dict(size=(4, 4), tokens=2, width=6)),
      long=dict(frames=9, stride=3),
      first_stage=dict(variant="none"),
      noise=dict(times=20, beta_start=1e-3, beta_end=0.5),
      sampling=dict(steps=2),
    )

  @property
  def shape(self) -> tuple[int, int, int]:
    """[h, w, c] of what is diffused of a frame."""
    return (*self.size, self.channels)

  @property
  def out(self) -> int:
    """Channels of the network's prediction."""
    return self.channels * self.noise.outputs

  def inputs(self) -> dict[str, method.Input]:
    """Videos, masks, garments; poses and agnostic videos for a branch."""
    clip = self.clip
    self.dims.check(self.size)
    clip.check()
    self.told.check(self.dims, self.sampling.guidance)
    self.long.check(clip.length, clip.frames, clip.most)
    self.sampling.check()
    self.noise.check(self.sampling)
    stage = self.first_stage
    return self.told.inputs(stage, self.shape, clip.length, self.dims)

  def consts(self) -> dict[str, method.Const]:
    """The first stage."""
    return self.first_stage.consts()

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters; the garment's network and the branch begin as copies."""
    del batch
    garment, beside = self.told.garment, 2 * self.channels + 1
    more = dict(beside=beside, context=garment.tokens and garment.width)
    return {"main": self.dims.init(key, self.shape, out=self.out, **more)}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """t, noise, posterior [b, t, h, w, c], and the four choices."""
    del step
    parts = (self.noise, self.first_stage, self.clip, self.told)
    shape = (method.batch_size(batch), self.clip.frames, *self.shape)
    return method.draws_of(keys, shape, *parts)

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Error of the noise; with a learned variance its bound, too."""
    del step, player
    terms = {n: x.mean() for n, x in self.terms(weights, batch, draws).items()}
    return sum(terms.values()), {f"loss_{n}": x for n, x in terms.items()}

  def terms(
    self, weights: method.Weights, batch: method.Batch, draws: method.Draws
  ) -> dict[str, Array]:
    """mse [b], and vb [b] of a learned variance."""
    stage, told = (self.first_stage, self.dims, weights), self.told
    z, mask, shown = told.training(*stage, batch, draws=draws, clip=self.clip)
    x_t, _, _ = self.noise.add(z, draws["t"], draws["noise"])
    raw = self.network(weights.params, x_t, draws["t"], shown)
    which = dict(given=shown["given"], mask=mask)
    return told.video.terms(self.noise, raw, z, draws, **which)

  def network(
    self, params: method.Tree, x: Array, t: Array, shown: clip_network.Shown
  ) -> Array:
    """Raw prediction [b, t, h, w, c or 2 c] of x at times t [b]."""
    return self.dims.predict(params["main"], x, t, shown, out=self.out)

  def predict(self) -> dict[str, method.Predict]:
    """errors; dress, and sample, its image, if it can decode."""
    if not self.first_stage.decodes:
      return {"errors": self.errors}
    sample = lambda *args: self.dress(*args)["image"]
    return {"errors": self.errors, "dress": self.dress, "sample": sample}

  def errors(self, weights, batch, key) -> dict[str, Array]:
    """mse [b] at random times, vb if it is learned; nothing is left out."""
    draws = self.told.conditions.whole(self.drawn(key, batch))
    return self.terms(weights, batch, draws)

  def sample_reads(self) -> tuple[str, ...]:
    """Masks, the garment that is asked for; with a branch what it sees."""
    return self.told.reads(self.dims)

  def dress(self, weights, batch, key) -> dict[str, Array]:
    """image, pasted with a branch, and made [b, t, H, W, c]."""
    stage, n = self.first_stage, self.long.frames
    clips, shown = self.told.asked(stage, self.dims, weights, batch, n=n)
    network = functools.partial(self.network, weights.params)
    make = long_clips.maker(
      self.sampling,
      self.noise,
      network,
      shown=shown,
      both=self.told.both,
      batch=batch,
      key=key,
    )
    like = jnp.zeros((len(shown["told"]), n, *self.shape))
    z = self.long.sample(make, self.clip.frames, like)
    made = stage.decode(weights, z)
    return {"image": self.told.video.pasted(clips, made), "made": made}
