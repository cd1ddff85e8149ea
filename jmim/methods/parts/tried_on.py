"""What a network on clips is told of somebody in a garment (VITON-DiT).

A garment, and with a branch the pose and the video without the garment, as
`parts/clip_network.py` has them; of a clip in training, or of a whole video
that is dressed in what is asked for.
"""

import dataclasses

import jax

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.methods.parts import clip_choice
from jmim.methods.parts import clip_network
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import garments as clothes
from jmim.methods.parts import named_conditions
from jmim.methods.parts import worn_video

Array = jax.Array
NAMES = ("garment", "pose", "agnostic")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TriedOn:
  """Garment, video, and the conditions that they are by name."""

  garment: clothes.Garments = field.part(clothes.Garments, "garment")
  video: worn_video.WornVideo = field.part(
    worn_video.WornVideo, "video, and what is left without the garment"
  )
  conditions: named_conditions.NamedConditions = field.part(
    named_conditions.NamedConditions,
    "conditions by name",
    names=NAMES,
    drop=(0.1, 0.1, 0.1),
    guide=NAMES[:1],
  )

  def inputs(
    self,
    stage: stages.FirstStage,
    shape: tuple[int, int, int],
    length: int,
    network: clip_network.ClipNetwork,
  ) -> dict[str, method.Input]:
    """Videos, masks and garments; with a branch poses and agnostic videos.

    Args:
      stage: between pixels and what is diffused.
      shape: [h, w, c] of what is diffused of a frame.
      length: frames of a video.
      network: that is told.
    """
    self.garment.check(network.body.patch * stage.factor, "told.garment")
    branch = bool(network.branch)
    found = self.video.inputs(stage, shape, length, branch)
    return found | self.garment.inputs(found[self.video.frames].shape[-1])

  def check(self, network: clip_network.ClipNetwork, guidance: float) -> None:
    """Raises ValueError for conditions that guidance cannot be by.

    Args:
      network: that is told.
      guidance: scale of guidance; 1: there is none.
    """
    branch = () if network.branch else NAMES[1:]
    lacking = dict.fromkeys(branch, "dims.branch=0")
    self.conditions.check(NAMES, guidance, "told.conditions", lacking)

  def reads(self, network: clip_network.ClipNetwork) -> tuple[str, ...]:
    """Entries that are read to dress somebody."""
    seen = self.video.seen(bool(network.branch))
    return (*seen, *self.garment.wanted)

  def draw(
    self, keys: randomness.Keys, shape: tuple[int, ...]
  ) -> dict[str, Array]:
    """reference [b] of a garment that is cut out; drop_<name> [b]."""
    return method.draws_of(keys, shape, self.garment, self.conditions)

  def names(self, shown: clip_network.Shown) -> tuple[str, ...]:
    """Conditions that are shown."""
    return NAMES if "beside" in shown else NAMES[:1]

  def both(
    self, shown: clip_network.Shown
  ) -> tuple[clip_network.Shown, clip_network.Shown]:
    """(all that is shown, the same without what guidance is by)."""
    names, b = self.names(shown), len(shown["told"])
    keeps = self.conditions.guided(names, b)
    return tuple(shown | {"keep": keep} for keep in keeps)

  def training(
    self,
    stage: stages.FirstStage,
    network: clip_network.ClipNetwork,
    weights: method.Weights,
    batch: method.Batch,
    *,
    draws: method.Draws,
    clip: clip_choice.ClipChoice,
  ) -> tuple[Array, Array, clip_network.Shown]:
    """(z [b, t, h, w, c], mask [b, t, h, w, 1], what is shown).

    Args:
      stage: encodes.
      network: that is told.
      weights: of the method.
      batch: of whole videos.
      draws: of the step.
      clip: which frames are seen, and which of them are given.
    """
    video, at = self.video, clip.chosen(draws)
    frames, masks = batch[video.frames], batch[video.masks]
    which = dict(frames=frames, masks=masks, chosen=at)
    worn = self.garment.picture(batch, draws, **which)
    own = dict(picture=worn, name=self.garment.read)
    shown = self._told(stage, network, weights, batch, **own)
    at_clip = lambda x: clip_choice.frames_at(x, at)
    clips = {n: at_clip(batch[n]) for n in video.seen(bool(network.branch))}
    if network.branch:
      shown["beside"] = video.beside(stage, weights, clips)
    noise = draws.get("posterior")
    z = worn_video.latents(stage, weights, at_clip(frames), noise)
    shown |= {"known": z, "given": clip.given_frames(draws)}
    shown["keep"] = self.conditions.kept(self.names(shown), draws, len(z))
    return z, video.small(clips[video.masks], stage.factor), shown

  def asked(
    self,
    stage: stages.FirstStage,
    network: clip_network.ClipNetwork,
    weights: method.Weights,
    batch: method.Batch,
    n: int,
  ) -> tuple[method.Batch, clip_network.Shown]:
    """(n frames of the video's entries, what is shown to dress them)."""
    name = self.garment.asked
    own = dict(picture=batch[name], name=name)
    shown = self._told(stage, network, weights, batch, **own)
    seen = self.video.seen(bool(network.branch))
    clips = {name: batch[name][:, :n] for name in seen}
    if network.branch:
      shown["beside"] = self.video.beside(stage, weights, clips)
    return clips, shown

  def _told(self, stage, network, weights, batch, picture, name):
    """told and, if it is stored, context: of a picture [b, H, W, c]."""
    z = worn_video.latents(stage, weights, picture[:, None])[:, 0]
    context = self.garment.embedding(batch, name)
    found = {} if context is None else {"context": context}
    return found | {"told": network.told(weights.params["main"], z)}
