r"""ThinkDiff: what a vision-language model thinks, told to a diffusion model.

Mi, Wang, Qian, Ye, Liu, Tulyakov, Aberman, Xu, ICML 2025 (arXiv 2502.10458).
Diffusion models are told texts by the encoder of a T5; its decoder reads the
same space. So a projector into that space is trained on the frozen decoder
alone, by its next token: no diffusion model, no image is drawn.

    h      = N(W_2 gelu(W_1 x))     x frozen features     `parts/projector.py`
    m      = h                      lvlm     x of tokens that were generated
    m      = [h, encoder(y_{<p})]   clip     x of an image, y its caption
    loss   = - mean over all tokens y_i, i >= p, of the batch
               log softmax(decoder(<start> y_p .. y_{i-1}, m))_{y_i}

p is uniform, of each example (`parts/heard.py`). At inference the decoder is
dropped, and h tells a diffusion model of T5 what the image shows, alone, or
beside texts and other images (`edit.prompted`).

Reference (CoBSAT, mean of ten tasks, 4 shots, %): 46.3, before 19.2; 5 hours on
4 A100, Qwen2-VL-7B and Flan-T5-XXL.

Equal to the authors' code (MiZhenxing/ThinkDiff@3ed85e6): `tests/golden`
compares h, the memory, logits, loss and gradients of both variants. As there,
the loss is a mean over tokens, so long rests count for more; and the rest of
what was generated is written out and cut into T5's tokens anew, so a blank may
shift (entry `rests`). Differs: who is told nothing (one token was generated)
says nothing, where they would fail; all places of features are kept, where
theirs are cut to the longest p of a batch.

Weights: family `thinkdiff` (the projector). Frozen T5: `hf_t5`.

    C=configs/thinkdiff_scenes.py:t5=runs/t5,captioner=runs/captioner
    python -m jmim.main --config=$C --workdir=W
    python -m jmim.tools.claim thinkdiff
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import generated_tokens
from jmim.methods.parts import heard as hearing
from jmim.methods.parts import host as hosts
from jmim.methods.parts import projector as projectors
from jmim.methods.parts import seen_image
from jmim.methods.parts import t5 as t5s

VARIANTS = {
  "lvlm": generated_tokens.Generated,
  "clip": seen_image.Seen,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ThinkDiff(method.Method):
  """A projector between frozen networks."""

  per_example = False  # a mean over the tokens of a batch

  variant: generated_tokens.Generated | seen_image.Seen = field.part(
    VARIANTS, "features that are told, and of which text"
  )
  text: hearing.Text = field.part(hearing.Text, "texts")
  t5: t5s.T5 = field.part(t5s.T5, "frozen T5")
  host: hosts.Host = field.part(hosts.Host, "weights of the T5")
  projector: projectors.Projector = field.part(
    projectors.Projector, "trained part"
  )

  @classmethod
  def tiny(cls) -> "ThinkDiff":
    """Five generated tokens of width 12, a T5 of width 16."""
    sizes = dict(words=11, width=16, depth=1, heads=2, head_width=8, hidden=24)
    return field.replace(
      cls(),
      variant=dict(length=5, width=12, shared=True),
      text=dict(length=6),
      t5=dict(buckets=8, distance=16, **sizes),
    )

  def inputs(self) -> dict[str, method.Input]:
    """Of the variant, see `parts/heard.py`.

    Raises:
      ValueError: fields that do not go together.
    """
    text = self.text
    self.t5.check("t5")
    self.t5.check_words("t5", **{"text.pad": text.pad, "text.end": text.end})
    if text.pad == text.end:
      raise ValueError(f"text.end {text.end} is text.pad: no text would end")
    self.variant.check(text)
    return self.variant.inputs(text, self.t5.words)

  def sample_reads(self) -> tuple[str, ...]:
    """What `prompt` reads of a batch."""
    return self.variant.told

  def consts(self) -> dict[str, method.Const]:
    """The sides of T5 that are read; what the variant reads."""
    sides = ["decoder"]
    sides += ["encoder"] if self.variant.reads_texts else []
    sides += ["norm"] if self.projector.copied else []
    own = {"t5": self.t5.const(self.host, *sides)}
    return own | self.variant.consts(self.t5.words)

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters of the projector; no extra state."""
    del batch
    sizes = (self.variant.channels, self.t5.width)
    return {"main": {"project": self.projector.init(key, *sizes)}}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """place [b] ~ U[0, 1): where texts are cut."""
    del step
    return hearing.draw(keys, method.batch_size(batch))

  def project(self, weights: method.Weights, x: jax.Array) -> jax.Array:
    """h [b, n, w] of features [b, n, c]."""
    own, scale = weights.params["main"]["project"], None
    if self.projector.copied:
      scale = weights.consts["t5"]["encoder"]["norm"]["scale"]
    return self.projector.project(own, scale, x)

  def memory(
    self, weights: method.Weights, heard: hearing.Heard
  ) -> tuple[jax.Array, jax.Array]:
    """(m [b, s, w], where it is [b, s]): the features, then the text."""
    h, there = self.project(weights, heard.features), heard.present
    if heard.before is None:
      return h, there
    tree = weights.consts["t5"]
    text = self.t5.ask(tree, "encode", heard.before, heard.before_present)
    both = (heard.present, heard.before_present)
    return jnp.concatenate([h, text], axis=1), jnp.concatenate(both, axis=1)

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Nats per token that is said."""
    del step, player
    heard = self.variant.heard(weights, batch, draws, self.text)
    return self.error(weights, heard)

  def error(self, weights: method.Weights, heard: hearing.Heard) -> method.Loss:
    """The loss of what was heard."""
    m, there = self.memory(weights, heard)
    nats = self.t5.nats(
      weights.consts["t5"],
      m,
      heard.labels,
      present=heard.said,
      memory_present=there,
      start=self.text.pad,
    )
    return t5s.mean(nats, heard.said), {}

  def predict(self) -> dict[str, method.Predict]:
    """prompt {context, present}; said [b, l]; features [b, w]."""
    return {n: getattr(self, n) for n in ("prompt", "said", "features")}

  def prompt(self, weights, batch, key) -> dict[str, jax.Array]:
    """context [b, n, w], h of all features; present [b, n]."""
    del key
    x, there = self.variant.whole(weights, batch, self.text)
    return {"context": self.project(weights, x), "present": there}

  def said(self, weights, batch, key) -> jax.Array:
    """[b, l] int32: what the decoder says, told h alone; up to an end."""
    tree, h = weights.consts["t5"], self.prompt(weights, batch, key)
    how = dict(length=self.text.length, special=self.text.special)
    return self.t5.say(tree, h["context"], h["present"], **how)

  def features(self, weights, batch, key) -> jax.Array:
    """[b, w] float32: mean of h."""
    return t5s.pooled(*self.prompt(weights, batch, key).values())
