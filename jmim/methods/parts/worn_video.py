"""A video of somebody who wears a garment, and what is left without it.

    agnostic  the frames, grey at the garment       masks  1 where they are grey
    pose      drawn frames                          frames the video

each [b, T, H, W, ...], coded frame by frame by a first stage of images. What a
branch sees of a clip is E(pose), and E(agnostic) with the mask, its mean over
the pixels of a latent.

    loss = mean w (eps - e)^2      of frames that are not given; w = alpha in
                                   the mask, else 1
    pasted = m made + (1 - m) agnostic       in pixels
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.masks import tokens as masking
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import gaussian
from jmim.methods.parts import latent_mode
from jmim.nn import causal_conv

Array = jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class WornVideo:
  """Entries of a batch, and what an error at the garment weighs."""

  frames: str = field.value("frames", "entry of the video")
  masks: str = field.value("masks", "entry of the masks of the garment")
  agnostic: str = field.value(
    "agnostic", "entry of the video without the garment"
  )
  pose: str = field.value("pose", "entry of the drawn poses")
  alpha: float = field.value(
    1.0, "weight of an error in the mask; 1 elsewhere", above=0.0
  )

  def seen(self, branch: bool) -> tuple[str, ...]:
    """Entries that dressing reads: masks, and what a branch sees."""
    return (self.masks, *((self.agnostic, self.pose) if branch else ()))

  def inputs(
    self,
    stage: stages.FirstStage,
    shape: tuple[int, int, int],
    length: int,
    branch: bool,
  ) -> dict[str, method.Input]:
    """Frames and masks [T, H, W], and what a branch sees.

    Args:
      stage: between pixels and what is diffused.
      shape: [h, w, c] of what is diffused of a frame.
      length: T.
      branch: whether there is one.

    Raises:
      ValueError: a first stage that does not code frames of pixels.
    """
    if stage.net and (stage.read != "images" or stage.stage.of_clips):
      raise ValueError(
        f"first_stage.variant={stage.variant!r}, read={stage.read!r}: one of "
        "images that reads images, as each frame is coded, and its conditions"
      )
    (pixels,) = stage.inputs((length, *shape)).values()
    found = dict.fromkeys((self.frames, *self.seen(branch)), pixels)
    masks = method.Input(pixels.shape[:-1], jnp.int32, high=2)
    return found | {self.masks: masks}

  def small(self, masks: Array, factor: int) -> Array:
    """[b, t, h, w, 1] shares of masks [b, t, H, W] in each latent."""
    b, t, h, w = masks.shape
    x = masks.astype(jnp.float32)
    x = x.reshape(b, t, h // factor, factor, w // factor, factor)
    return x.mean((3, 5))[..., None]

  def beside(
    self,
    stage: stages.FirstStage,
    weights: method.Weights,
    clips: method.Batch,
  ) -> dict[str, Array]:
    """pose [b, t, h, w, c]; agnostic, with the mask [b, t, h, w, c + 1].

    Args:
      stage: encodes.
      weights: of the method, for the stage.
      clips: the entries of `seen` [b, t, H, W, ...].
    """
    pose, left = (
      latents(stage, weights, clips[n]) for n in (self.pose, self.agnostic)
    )
    mask = self.small(clips[self.masks], stage.factor)
    return {"pose": pose, "agnostic": jnp.concatenate([left, mask], axis=-1)}

  def terms(
    self,
    noise: gaussian.Gaussian,
    raw: Array,
    z: Array,
    draws: method.Draws,
    given: Array,
    mask: Array,
  ) -> dict[str, Array]:
    """mse [b], weighed, and vb [b] if a variance is learned.

    Args:
      noise: the process.
      raw: the network's prediction [b, t, h, w, c or 2 c].
      z: data [b, t, h, w, c].
      draws: of the process.
      given: bool [b, t], frames that do not count.
      mask: [b, t, h, w, 1], see `small`.
    """
    b, t, *_, c = z.shape
    error = (raw[..., :c] - draws["noise"]) ** 2
    weighed = jnp.where(mask > 0, self.alpha, 1.0) * error
    terms = {"mse": weighed.mean((2, 3, 4))}
    if noise.learn_variance:
      rows = lambda a: a.reshape(b * t, *a.shape[2:])
      times = jnp.repeat(draws["t"], t)
      each = {"t": times, "noise": rows(draws["noise"])}
      terms["vb"] = noise.errors(rows(raw), rows(z), each)["vb"].reshape(b, t)
    count = 1.0 - given.astype(jnp.float32)
    return {n: masking.row_means(x, count) for n, x in terms.items()}

  def pasted(self, clips: method.Batch, made: Array) -> Array:
    """[b, t, H, W, c]: made at the garment; around it what was there.

    All of it as it was made where there is no agnostic video.
    """
    if self.agnostic not in clips:
      return made
    hidden = clips[self.masks][..., None] > 0
    return jnp.where(hidden, made, clips[self.agnostic])


def latents(
  stage: stages.FirstStage,
  weights: method.Weights,
  clips: Array,
  noise: Array | None = None,
) -> Array:
  """[b, t, h, w, c] of clips [b, t, H, W, C], frame by frame; no gradient.

  Args:
    stage: of images.
    weights: of the method, for the stage.
    clips: normalised.
    noise: of the posterior, like the result; None: its mean.
  """
  encode = lambda x, *e: latent_mode.encoded(stage, weights, x, *e)
  more = () if noise is None else (noise,)
  return jax.lax.stop_gradient(causal_conv.by_frame(encode, clips, *more))
