"""What a picture holds, and where: ellipses with descriptions, as a condition.

Beside the caption, which `parts/conditions.py` makes a context of, the network
is told of some things: an ellipse each and the tokens of a few words, which go
through the encoder of captions. `nn/grounded.py` says what becomes of them.
Letters: b batch, k things, l tokens of a description, s of a caption, e width.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.core import runtime
from jmim.methods.parts import conditions
from jmim.methods.parts import labels
from jmim.nn import ellipses as forms
from jmim.nn import grounded

Array = jax.Array
TASKS = ("tokens", "text")  # whose captions are numbers of words


@dataclasses.dataclass(frozen=True, kw_only=True)
class Things:
  """How many there are, how they are described, and what is trained."""

  most: int = field.value(2, "things of a picture at most", low=1)
  length: int = field.value(4, "tokens of a description", low=1)
  waves: int = field.value(8, "frequencies of each number", low=1)
  hidden: int = field.value(512, "width inside a thing's token map", low=1)
  vague: float = field.value(
    0.0,
    "share of descriptions that are `vague_tokens` in training; their pictures "
    "have no caption then",
    low=0.0,
    high=1.0,
  )
  vague_tokens: tuple = field.value(
    (), "tokens of a description that says little ('object')"
  )
  alone: bool = field.value(
    False, "train what things need; all else stays as it began (init_from)"
  )
  rt: runtime.Runtime = field.runtime()

  def net(self, width: int) -> grounded.Tokens:
    """What makes a token of each thing."""
    options = dict(hidden=self.hidden, waves=self.waves, rt=self.rt)
    return grounded.Tokens(width=width, **options)

  def inputs(self, condition: conditions.Condition) -> dict[str, method.Input]:
    """ellipses [k, 5], see `nn.ellipses`, and thing_tokens [k, l].

    Half axes of 0: there are not as many things.

    Raises:
      ValueError: a caption that is made of no words, or fields that do not go
        together.
    """
    if condition.task not in TASKS:
      raise ValueError(
        f"condition.task {condition.task!r}: descriptions of things are "
        f"encoded as captions are, of task {' or '.join(TASKS)}"
      )
    if self.length > condition.contexts.longest:
      raise ValueError(
        f"things.length {self.length}: captions have "
        f"{condition.contexts.longest} tokens"
      )
    if bool(self.vague) != bool(self.vague_tokens):
      raise ValueError(
        f"things.vague={self.vague} with things.vague_tokens="
        f"{self.vague_tokens}: give both or neither"
      )
    if len(self.vague_tokens) > self.length:
      raise ValueError(
        f"things.vague_tokens {self.vague_tokens} of things.length "
        f"{self.length}"
      )
    tokens = condition.contexts.entries()["tokens"]
    return {
      "ellipses": method.Input((self.most, 5)),
      "thing_tokens": dataclasses.replace(
        tokens, shape=(self.most, self.length)
      ),
    }

  def init(self, key: Array, width: int) -> method.Tree:
    """Parameters of the map to tokens."""
    none = jnp.zeros((1, self.most, 5)), jnp.zeros((1, self.most, width))
    return self.net(width).init(key, *none)["params"]

  def draw(
    self, keys: randomness.Keys, shape: tuple[int, ...]
  ) -> dict[str, Array]:
    """vague [b, k] ~ U[0, 1), if any is to be; shape: [b, ...]."""
    if not self.vague:
      return {}
    return {"vague": jax.random.uniform(keys("vague"), (shape[0], self.most))}

  def groups(self) -> tuple[method.Group, ...]:
    """All but what is new is frozen, with `alone`."""
    if not self.alone:
      return ()
    new = r"^main/things/|/gated_\d+/|/gate_words_\d+$"
    return (method.Group(pattern=rf"^(?!.*({new}))", frozen=True),)

  def dropped(
    self,
    condition: conditions.Condition,
    batch: method.Batch,
    draws: method.Draws,
    label: labels.Labels,
  ) -> tuple[method.Batch, method.Draws]:
    """What is told in training: (batch, draws) of the condition.

    Where the caption is dropped there are no things; where a description is
    vague there is no caption, which would say more.
    """
    drop = draws["label_drop"] < label.drop
    if self.vague:
      vague = (draws["vague"] < self.vague) & forms.there(batch["ellipses"])
      row = self.filled(condition, self.vague_tokens)
      tokens = jnp.where(vague[..., None], row, batch["thing_tokens"])
      batch = batch | {"thing_tokens": tokens}
      # Below any share: dropped.
      low = jnp.where(vague.any(1), -1.0, draws["label_drop"])
      draws = draws | {"label_drop": low}
    ellipses = jnp.where(drop[:, None, None], 0.0, batch["ellipses"])
    return batch | {"ellipses": ellipses}, draws

  def filled(self, condition: conditions.Condition, tokens: tuple) -> Array:
    """int32 [l] of a description's tokens."""
    more = [condition.contexts.pad] * (self.length - len(tokens))
    return jnp.array([*tokens, *more], jnp.int32)

  def told(
    self,
    weights: method.Weights,
    batch: method.Batch,
    context: Array,
    *,
    condition: conditions.Condition,
    side: int,
  ) -> grounded.Things:
    """What the network reads of pictures.

    Args:
      weights: of the method, whose player "main" has "things".
      batch: ellipses and thing_tokens.
      context: [b, s, e] of their captions.
      condition: what made it.
      side: of what is diffused.
    """
    words, said = self._words(weights, batch, condition)
    count = jnp.maximum(said.sum(2, keepdims=True), 1)
    text = jnp.where(said[..., None], words, 0.0).sum(2) / count
    params, net = weights.params["main"]["things"], self.net(words.shape[-1])
    return grounded.Things(
      context=context,
      tokens=net.apply({"params": params}, batch["ellipses"], text),
      words=words,
      said=said,
      places=forms.inside(batch["ellipses"], side),
    )

  def _words(self, weights, batch, condition):
    """[b, k, l, e] vectors, and which of them are words of things."""
    context, ids = condition.contexts, batch["thing_tokens"]
    b, k, n = ids.shape
    room = (0, 0), (0, context.longest - n)
    flat = jnp.pad(ids.reshape(b * k, n), room, constant_values=context.pad)
    params = weights.params["main"].get("condition", {})
    vectors = context.embed(params, flat, weights)[:, :n]
    there = forms.there(batch["ellipses"])[..., None]
    return vectors.reshape(b, k, n, -1), there & (ids != context.pad)
