r"""DiffDub, its second stage: from speech to the codes of a mouth.

Liu, Du, Chen, Du, Yu, "DiffDub", ICASSP 2024 (liutaocode/DiffDub@a67d4c4, which
has the network, but neither its training nor its weights: no code was there to
compare with; `tests` hold every property the paper states).

A clip has codes z_t, made once by a trained `edit.diffdub` and stored
(`edit.dubbing`), and features of its sound, two per frame, of all layers of a
speech encoder (HuBERT-large: 25 of width 1024 at 50 Hz; MFCC: one of 13):

    z^   = net(sound[2 s : 2 (s + f)], z[s + f : s + f + r])       s random
    loss = mean over all numbers of valid (z - z^)^2

f = 250 frames (10 s) are predicted, the next r = 75 (3 s) tell whose mouth it
is. At test these are the first of a clip, or one code r times (one-shot).

Reference: see `edit.diffdub`. Adam 1e-4, neither decay nor average; the batch
is not stated.

By what the paper leaves open the blocks are ESPnet's Conformers (`nn/
conformer.py`); what attends to the references is the convolution's output, and
both stacks of blocks come after it. Where the width is that of the codes they
are read as they are.

    python -m jmim.main --config=configs/diffdub_speech_faces.py --workdir=W
    python -m jmim.tools.claim diffdub
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.masks import tokens as masking
from jmim.nn import batchnorm
from jmim.nn import conformer
from jmim.nn import dropout
from jmim.nn.nets import speech_codes

Array = jax.Array
RATE = 2  # features of the sound per frame


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiffDubSpeech(method.Method):
  """Codes of a mouth from speech."""

  per_example = False

  layers: int = field.value(25, "layers of the sound's features", low=1)
  sound_width: int = field.value(1024, "numbers of a feature", low=1)
  width: int = field.value(512, "numbers of a code", low=1)
  length: int = field.value(325, "frames of a stored clip", low=2)
  frames: int = field.value(250, "frames that are predicted", low=1)
  references: int = field.value(
    75, "frames after these whose codes are known", low=1
  )
  padded: bool = field.value(
    False, "clips end at `valid` of their frames, a stored number"
  )
  dims: speech_codes.Dims = field.part(speech_codes.Dims, "network")
  blocks: conformer.Dims = field.part(conformer.Dims, "Conformers")

  @classmethod
  def tiny(cls) -> "DiffDubSpeech":
    """Two layers of 5 numbers, codes of 4, one block of each kind."""
    one = dict(reference_blocks=1, speech_blocks=1, decoder_blocks=1)
    return field.replace(
      cls(),
      layers=2,
      sound_width=5,
      width=4,
      length=9,
      frames=5,
      references=3,
      dims=dict(**one, cross_heads=2),
      blocks=dict(width=8, hidden=12, kernel=3),
    )

  @property
  def net(self) -> speech_codes.SpeechCodes:
    """The network."""
    return speech_codes.SpeechCodes(
      dims=self.dims, blocks=self.blocks, codes=self.width, rt=self.rt
    )

  def inputs(self) -> dict[str, method.Input]:
    """Sound and codes of clips, and how much of them counts."""
    self.blocks.check()
    self.dims.check(self.blocks.width)
    if self.frames + self.references > self.length:
      raise ValueError(
        f"frames={self.frames} and references={self.references} of a clip of "
        f"length={self.length}"
      )
    sound = (self.layers, RATE * self.length, self.sound_width)
    found = {
      "sound": method.Input(sound),
      "codes": method.Input((self.length, self.width)),
    }
    if self.padded:
      found["valid"] = method.Input((), jnp.int32, high=self.length + 1)
    return found

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters, and the running statistics of BatchNorm."""
    del batch
    sound = jnp.zeros((1, self.layers, RATE * self.frames, self.sound_width))
    known = jnp.zeros((1, self.references, self.width))
    made = self.net.init(key, sound, known)
    extra = {"statistics": made.get(batchnorm.STATISTICS, {})}
    return {"main": made["params"]}, extra

  def draw(self, keys, batch, step) -> method.Draws:
    """start [b] of the window; dropout."""
    del step
    b = method.batch_size(batch)
    last = self.length - self.frames - self.references
    start = jax.random.randint(keys("start"), (b,), 0, last + 1)
    rate = max(self.blocks.dropout, self.dims.cross_dropout)
    return {"start": start} | dropout.draw(keys("dropout"), rate, b)

  def window(
    self, batch: method.Batch, start: Array
  ) -> tuple[Array, Array, Array, Array]:
    """Of windows that begin at frames [b]: sound, references, truth, valid.

    [b, l, 2 f, w], [b, r, d], [b, f, d] and bool [b, f].
    """
    cut = jax.lax.dynamic_slice_in_dim
    size = RATE * self.frames
    sound = lambda x, s: cut(x, RATE * s, size, axis=1)
    codes = lambda x, s: cut(x, s, self.frames + self.references)
    heard = jax.vmap(sound)(batch["sound"], start)
    both = jax.vmap(codes)(batch["codes"], start).astype(jnp.float32)
    at = start[:, None] + jnp.arange(self.frames)
    truth, known = both[:, : self.frames], both[:, self.frames :]
    return heard, known, truth, self.valid(batch, at)

  def valid(self, batch: method.Batch, at: Array) -> Array:
    """bool, like `at` [b, n], numbers of frames: those that count."""
    return at < batch["valid"][:, None] if self.padded else at >= 0

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Error of the codes; aux: statistics, the greatest share of a layer."""
    del step, player
    heard, known, truth, valid = self.window(batch, draws["start"])
    keys = draws.get("dropout")
    made, statistics = self.run(weights, heard, known, keys=keys, train=True)
    error = valid[..., None] * (made - truth) ** 2
    share = self.shares(weights).max()
    return error.mean(), {"share": share, **batchnorm.as_aux(statistics)}

  def run(
    self, weights: method.Weights, sound: Array, known: Array, **how: Any
  ) -> tuple[Array, method.Tree]:
    """(codes, new statistics); `how`: of the network."""
    params, before = weights.params["main"], weights.extra["statistics"]
    return batchnorm.applied(self.net, params, before, sound, known, **how)

  def after(self, weights, aux, step, player="main") -> method.Tree:
    """Running statistics."""
    del step, player
    return {**weights.extra, "statistics": batchnorm.from_aux(aux)}

  def shares(self, weights: method.Weights) -> Array:
    """[l] of each layer of the sound; they sum to 1."""
    return jax.nn.softmax(weights.params["main"]["shares"])

  def predict(self) -> dict[str, method.Predict]:
    """codes of clips; errors of them; shares of the layers."""
    return {"codes": self.codes, "errors": self.errors, "shares": self.mixed}

  def codes(self, weights, batch, key) -> Array:
    """[b, n, d]: codes of all of a clip's frames.

    Those of its first frames are known, or `references` [b, r, d], where the
    batch has them.
    """
    del key
    known = batch.get("references")
    if known is None:
      known = batch["codes"][:, : self.references]
    return self.run(weights, batch["sound"], known, train=False)[0]

  def errors(self, weights, batch, key) -> dict[str, Array]:
    """mse [b] of a clip's codes; still: of the mean of those that are known."""
    truth = batch["codes"].astype(jnp.float32)
    at = jnp.broadcast_to(jnp.arange(truth.shape[1]), truth.shape[:2])
    valid = self.valid(batch, at)
    mean = lambda x: masking.row_means(((x - truth) ** 2).mean(-1), valid)
    known = truth[:, : self.references].mean(1, keepdims=True)
    return {"mse": mean(self.codes(weights, batch, key)), "still": mean(known)}

  def mixed(self, weights, batch, key) -> dict[str, Array]:
    """layerK [b]: the share of each layer, the same for all."""
    del key
    b = method.batch_size(batch)
    shares = self.shares(weights)
    return {f"layer{k}": jnp.full(b, s) for k, s in enumerate(shares)}
