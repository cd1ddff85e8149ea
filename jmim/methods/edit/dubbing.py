r"""Dubbing: clips whose mouths say something else, or the codes of clips.

Liu, Du, Chen, Du, Yu, "DiffDub", ICASSP 2024. A renderer (`edit.diffdub`) makes
codes of frames; a speech model (`edit.diffdub_speech`) makes codes of a sound
and of some known ones, and the renderer fills the mouth of every frame by them.

    z      = codes(frames)                      stored: what speech learns from
    known  = the first z of a clip (few), or z_1 again and again (one)
    z^     = speech(sound, known)
    video  = dubbed(frames, z^)     from one noise, beside one random frame

Without `speech` the frames' own codes are shown again; without `render` only
codes are made. `shuffled` puts the sound of another frame in each one's place.

    python -m jmim.main --mode=apply --workdir=W \
      --config=configs/dubbing_faces.py:renderer=R \
      --config.apply.store=face_codes
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import procedure
from jmim.methods.edit import diffdub
from jmim.methods.edit import diffdub_speech

SHOTS = ("few", "one")
RATE = diffdub_speech.RATE


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dubbing(procedure.Procedure):
  """Codes of clips, and clips of codes."""

  renderer: procedure.Needs = field.part(
    procedure.Needs, "renderer of codes, which also makes them"
  )
  speech: procedure.Needs = field.part(
    procedure.Needs, "speech to codes; without a path or recipe: none"
  )
  frames: int = field.value(40, "frames of a clip", low=1)
  shots: str = field.value(
    "few", "known codes: the first of a clip, or one of them", choices=SHOTS
  )
  render: bool = field.value(True, "frames are made; else codes alone")
  shuffled: bool = field.value(
    False, "sounds change places among frames, to compare"
  )
  kept: tuple = field.value(
    (), "other entries passed on: (name, side, side, ...) each"
  )

  @classmethod
  def tiny(cls) -> "Dubbing":
    """Three frames, both models."""
    needs = procedure.Needs(path="W")
    return cls(renderer=needs, speech=needs, frames=4, shuffled=True)

  @classmethod
  def stand_ins(cls) -> dict:
    """Tiny runs of both methods, with codes of one width."""
    renderer = diffdub.DiffDub.tiny()
    speech = field.replace(
      diffdub_speech.DiffDubSpeech.tiny(), width=renderer.width
    )
    return {"renderer": renderer, "speech": speech}

  @property
  def told(self) -> bool:
    """Whether there is a speech model."""
    return bool(self.speech.path or self.speech.recipe)

  def models(self) -> dict[str, procedure.Needs]:
    """The renderer, and the speech model if there is one."""
    return {"renderer": self.renderer} | (
      {"speech": self.speech} if self.told else {}
    )

  def in_own_units(self) -> tuple[str, ...]:
    """The speech model, which reads no pictures."""
    return ("speech",) if self.told else ()

  def offered(self, models: procedure.Models) -> None:
    """Raises ValueError for a model that makes other things."""
    needed = {"renderer": ("codes", "dubbed"), "speech": ("codes",)}
    for name, model in models.items():
      known = model.method.predict()
      if lacking := [n for n in needed[name] if n not in known]:
        raise ValueError(f"{name} is a model without the output {lacking[0]!r}")
    if self.told and "sound" not in models["speech"].method.inputs():
      raise ValueError("speech is a model that reads no `sound`")

  def inputs(self, models) -> dict[str, procedure.Input]:
    """Frames of a clip, landmarks if they are read, its sound, what is kept."""
    self.offered(models)
    seen = models["renderer"].method.inputs()
    image, n = seen["image"], self.frames
    found = {"frames": procedure.Input((n, *image.shape[-3:]))}
    if "landmarks" in seen:
      found["landmarks"] = procedure.Input((n, *seen["landmarks"].shape[-2:]))
    if self.told:
      layers, _, width = models["speech"].method.inputs()["sound"].shape
      found["sound"] = procedure.Input((layers, RATE * n, width))
    kept = {n: procedure.Input(tuple(sides)) for n, *sides in self.kept}
    return kept | found

  def check(self, models) -> None:
    """Raises ValueError for models that offer other things, or other codes."""
    self.offered(models)
    if self.told:
      ours, theirs = (models[n].method.width for n in ("renderer", "speech"))
      if ours != theirs:
        raise ValueError(
          f"codes of renderer.path have {ours} numbers, speech.path makes "
          f"{theirs}"
        )

  def draw(self, keys, models, example) -> procedure.Draws:
    """seed [2] of the noise; reference [r], frames shown; order [n]."""
    shape = models["renderer"].method.inputs()["image"].shape
    count = shape[0] - 1 if len(shape) == 4 else 0
    at = jax.random.randint(keys("reference"), (count,), 0, self.frames)
    order = jax.random.permutation(keys("order"), self.frames)
    seed = jax.random.key_data(keys("seed"))
    return {"seed": seed, "reference": at, "order": order}

  def apply(self, models, fitted, batch, draws) -> procedure.Arrays:
    """codes [b, n, d]; spoken, those of the sound; video, frames, outside."""
    renderer, key = models["renderer"], jax.random.key(0)  # of nothing drawn
    shown = {"image": batch["frames"], "index": batch["index"]}
    shown |= {n: batch[n] for n in ("landmarks",) if n in batch}
    codes = renderer.output("codes", shown, key)
    made = {"codes": codes} | {name: batch[name] for name, *_ in self.kept}
    if self.told:
      known = codes if self.shots == "few" else codes[:, :1]
      known = jnp.broadcast_to(known, codes.shape)
      said = {"sound": self.sound(batch, draws), "codes": known}
      codes = made["spoken"] = models["speech"].output("codes", said, key)
    if not self.render:
      return made
    told = {"codes": codes} | {n: draws[n] for n in ("seed", "reference")}
    found = renderer.output("dubbed", shown | told, key)
    return made | {**found, "frames": batch["frames"]}

  def sound(self, batch: procedure.Batch, draws: procedure.Draws) -> jax.Array:
    """[b, l, 2 n, w], of each frame in its place or in another's."""
    sound = batch["sound"]
    if not self.shuffled:
      return sound
    b, layers, _, w = sound.shape
    each = sound.reshape(b, layers, self.frames, RATE, w)
    turned = jax.vmap(lambda x, order: x[:, order])(each, draws["order"])
    return turned.reshape(sound.shape)

  def pictures(self) -> tuple[str, ...]:
    """The clip that is made, and what it was made of."""
    return ("video", "frames") if self.render else ()
