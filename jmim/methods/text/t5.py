r"""T5: an encoder and a decoder of texts that learn to fill in what is missing.

Raffel et al., JMLR 2020; gated GELUs and untied scores of v1.1 (Shazeer 2020).
No paper here is about it: others read what its encoder makes of a text, or are
told by its decoder (`text.thinkdiff`).

    r, y   = what is read of a text, and what is to be said     `masks/spans.py`
    m      = encoder(r)
    p_i    = softmax(W decoder(<start> y_1 .. y_{i-1}, m))
    loss   = - mean over all tokens of y in the batch of log p_i(y_i)

`objective`:
    span    r has gaps, y is what was there (15 % in spans of 3, T5's own)
    prefix  r is a text up to a random token, y the rest: tokens 1 .. n - 1
A share `whole` of the examples is read whole and said whole: a decoder of
small, unpredictable worlds (captions of scenes) would not listen otherwise.

Reference: none of ours. v1.1 learnt C4 for 1 M steps of 2^20 tokens without
dropout, by Adafactor, rate 1 / sqrt(max(step, 10^4)), with spans as here.
Weights: family `hf_t5`. The golden files of ThinkDiff hold encoder and decoder
of Transformers; `tests/golden/thinkdiff.py` compares them.

Tokens begin with no start (`data.text_start=-1`); a text ends at its first end
or padding. The decoder's start is the padding, as there.

    python -m jmim.main --config=configs/t5_scenes.py --workdir=runs/t5
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.masks import spans
from jmim.methods.parts import t5

OBJECTIVES = ("span", "prefix")


@dataclasses.dataclass(frozen=True, kw_only=True)
class T5(method.Method):
  """Encoder and decoder, trained together."""

  per_example = False  # a mean over the tokens of a batch

  network: t5.T5 = field.part(t5.T5, "encoder and decoder")
  length: int = field.value(512, "tokens of a text at most", low=2)
  vocabulary: int = field.value(32_100, "tokens of texts are below it", low=2)
  pad: int = field.value(
    0, "token that fills up, and starts the decoder", low=0
  )
  end: int = field.value(1, "token after a text", low=0)
  objective: str = field.value(
    "span", "missing part: gaps, or all from a place on", choices=OBJECTIVES
  )
  sentinel: int = field.value(
    32_099, "token of the first gap; of the next the one before it", low=0
  )
  sentinels: int = field.value(
    100, "tokens that stand for gaps, from `sentinel` downwards", low=1
  )
  share: float = field.value(
    0.15, "share of the tokens in gaps", above=0, below=1
  )
  span: float = field.value(3.0, "mean length of a gap [tokens]", low=1)
  whole: float = field.value(
    0.0, "share of the texts that are read whole and said whole", low=0, high=1
  )

  @classmethod
  def tiny(cls) -> "T5":
    """Six tokens of nine, gaps; width 16, one block on either side."""
    sizes = dict(words=14, width=16, depth=1, heads=2, head_width=8, hidden=24)
    return field.replace(
      cls(),
      network=dict(buckets=8, distance=16, **sizes),
      length=6,
      vocabulary=9,
      sentinel=13,
      sentinels=5,
      share=0.3,
      span=1.5,
      whole=0.25,
    )

  @property
  def special(self) -> spans.Special:
    """Tokens that are no words."""
    return spans.Special(pad=self.pad, end=self.end, sentinel=self.sentinel)

  def inputs(self) -> dict[str, method.Input]:
    """tokens [l].

    Raises:
      ValueError: fields that do not go together.
    """
    self.network.check("network")
    own = {n: getattr(self, n) for n in ("pad", "end", "sentinel")}
    own["vocabulary"] = self.vocabulary - 1
    self.network.check_words("network", **own)
    if self.pad == self.end:
      raise ValueError(f"end {self.end} is pad: no text would end")
    if self.objective == "span":
      self._check_sentinels()
    return {"tokens": method.Input((self.length,), jnp.int32, self.vocabulary)}

  def _check_sentinels(self):
    """Enough of them, and none that is another token, too."""
    gaps = spans.most_gaps(self.length, self.share, self.span)
    if gaps > self.sentinels:
      raise ValueError(
        f"sentinels {self.sentinels}, and length {self.length}, share "
        f"{self.share:g} and span {self.span:g} make {gaps} gaps"
      )
    # Of words below `vocabulary` sentinels may be the last, as T5's are.
    apart = self.sentinel >= self.vocabulary
    least = self.vocabulary if apart else 1 + max(self.pad, self.end)
    if self.sentinel - gaps + 1 < least:
      raise ValueError(
        f"sentinel {self.sentinel}, and {gaps} gaps: tokens from "
        f"{self.sentinel - gaps + 1} on stand for one, and those below {least} "
        "are others (vocabulary, pad, end)"
      )

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters of the network; no extra state."""
    del batch
    return {"main": self.network.init(key)}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """whole [b] ~ U[0, 1); of gaps scores [b, 2, l], else place [b]."""
    del step
    b = len(batch["tokens"])
    drawn = {"whole": jax.random.uniform(keys("whole"), (b,))}
    if self.objective == "span":
      shape = (b, 2, self.length)
      return drawn | {"scores": jax.random.uniform(keys("scores"), shape)}
    return drawn | {"place": jax.random.uniform(keys("place"), (b,))}

  def task(self, batch: method.Batch, draws: method.Draws) -> spans.Task:
    """What is read and what is said, of the whole batch."""
    tokens, special = batch["tokens"], self.special
    count = spans.present(tokens, special).sum(1)
    size, none = self.length + 1, jnp.zeros_like(count)
    whole = spans.parted(tokens, count, none, length=size, special=special)
    if self.objective == "span":
      how = dict(share=self.share, mean=self.span)
      hidden = spans.gaps(draws["scores"], count, **how)
      task = spans.gapped(tokens, hidden, special)
    else:
      at = spans.place(draws["place"], count)
      task = spans.parted(tokens, at, at, length=size, special=special)
    again = (draws["whole"] < self.whole)[:, None]
    pick = lambda a, b: jnp.where(again, a, b)
    return spans.Task(*map(pick, whole, task))

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Nats per token that is said."""
    del step, player
    task, tree = self.task(batch, draws), weights.params["main"]
    memory = self.network.ask(tree, "encode", task.inputs, task.read)
    nats = self.network.nats(
      tree,
      memory,
      task.targets,
      present=task.said,
      memory_present=task.read,
      start=self.pad,
    )
    return t5.mean(nats, task.said), {}

  def predict(self) -> dict[str, method.Predict]:
    """features [b, w]; said [b, l + 1], what it says of a whole text."""
    return {"features": self.features, "said": self.said}

  def encode(
    self, weights: method.Weights, batch: method.Batch
  ) -> tuple[jax.Array, jax.Array]:
    """(memory [b, l + 1, w], where something is) of whole texts."""
    texts, there = spans.closed(batch["tokens"], self.length + 1, self.special)
    tree = weights.params["main"]
    return self.network.ask(tree, "encode", texts, there), there

  def features(self, weights, batch, key) -> jax.Array:
    """[b, w] float32: mean over what the encoder gives of a text."""
    del key
    return t5.pooled(*self.encode(weights, batch))

  def said(self, weights, batch, key) -> jax.Array:
    """[b, l + 1] int32: the likeliest token after token, up to an end."""
    del key
    tree, memory = weights.params["main"], self.encode(weights, batch)
    return self.network.say(tree, *memory, self.length + 1, self.special)
