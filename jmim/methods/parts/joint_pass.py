"""Passes of a language model and a ViT over a text and an image (MMAR).

Over whole sequences, for training; and in pieces, where what does not change is
computed once: the text, while an image is drawn in many calls; the image, while
its text is said word after word. Letters: b batch, s places of a text with its
begin, n tokens of an image, w width of the language model.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import method
from jmim.diffusion import autoregressive
from jmim.masks import tokens as masking
from jmim.methods.parts import captions
from jmim.methods.parts import joint_sequence as joint
from jmim.methods.parts import random_order
from jmim.methods.parts import word_lm
from jmim.nn import losses
from jmim.nn.nets import token_vision


@dataclasses.dataclass(frozen=True, kw_only=True)
class Joint:
  """Both networks with their parameters.

  Attributes:
    lm: the language model.
    vision: the ViT.
    words: different words.
    language: parameters of the first, as of `WordLM.tree`.
    sight: parameters of the second.
    piece: places whose scores of all words are in memory at once.
  """

  lm: word_lm.WordLM
  vision: token_vision.TokenVision
  words: int
  language: method.Tree
  sight: method.Tree
  piece: int

  def sees(self, x: jax.Array, mask: jax.Array | None = None) -> jax.Array:
    """[b, n, w] of tokens [b, n, c], in place of a masked one a vector.

    Args:
      x: tokens.
      mask: [b, n] bool; None: none is masked.
    """
    mask = jnp.zeros(x.shape[:2], bool) if mask is None else mask
    return self.vision.apply({"params": self.sight}, x, mask)

  def whole(
    self,
    texts: captions.Texts,
    x: jax.Array,
    forms: joint.Forms,
    sequence: joint.JointSequence,
  ) -> tuple[jax.Array, jax.Array]:
    """(what is said of texts [b], in nats, conditions z [b, n, w] float32).

    Args:
      texts: that are read and said.
      x: [b, n, c] tokens.
      forms: of the examples.
      sequence: makes places of them.
    """
    ids, n = texts.inputs, x.shape[1]
    order = dict(describes=forms.describes, told=forms.told)
    places = sequence.places(texts.present, n, **order)
    e = [self._lm("read", ids), self.sees(x, forms.mask)]
    latent = self._run(jnp.concatenate(e, axis=1), places, 0)["latent"]
    said, z = jnp.split(latent, [ids.shape[1]], axis=1)
    scores = lambda h: self._lm("scores", h)
    nats = losses.cross_entropy_in_pieces(
      said, texts.targets, scores, self.piece
    )
    return masking.row_means(nats, texts.weight), z.astype(jnp.float32)

  def drawing(
    self,
    texts: captions.Texts,
    n: int,
    sequence: joint.JointSequence,
    sampling: random_order.RandomOrder,
  ) -> Callable[[jax.Array, jax.Array, jax.Array], list[jax.Array]]:
    """(tokens, order, how many are masked) -> z [b, n, w], as a sampler asks.

    Args:
      texts: whose keys and values are computed once.
      n: tokens of an image.
      sequence: makes places.
      sampling: with guidance another z follows, of the image alone; both are
        one batch.
    """
    told = (True, False) if sampling.guidance != 1 else (True,)
    every = [sequence.places(texts.present, n, False, t) for t in told]
    places = jax.tree.map(lambda *x: jnp.concatenate(x), *every)
    again = lambda x: jnp.concatenate([x] * len(told))
    e = again(self._lm("read", texts.inputs))
    cache = self._run(e, places, 0, cache=self._empty(places))["cache"]

    def conditions(x, order, masked):
      e = again(self.sees(x, jnp.argsort(order, axis=1) < masked))
      z = self._run(e, places, texts.inputs.shape[1], cache=cache)["latent"]
      return jnp.split(z.astype(jnp.float32), len(told))

    return conditions

  def say(
    self,
    x: jax.Array,
    text: captions.Captions,
    sequence: joint.JointSequence,
    known: jax.Array | None = None,
  ) -> jax.Array:
    """[b, s - 1] int32: the likeliest word, after it the likeliest, to the end.

    Args:
      x: [b, n, c] tokens of images, seen whole.
      text: special words, and how many there may be.
      sequence: makes places.
      known: [b, s - 1] words that are given, -1 elsewhere.
    """
    b, n, _ = x.shape
    present = jnp.ones((b, 1 + text.longest), bool)
    places = sequence.places(present, n, describes=True, told=False)
    empty, at = self._empty(places), present.shape[1]
    cache = self._run(self.sees(x), places, at, cache=empty)["cache"]

    def advance(cache, before, i):
      e = self._lm("read", before[:, None])
      out = self._run(e, places, i, cache=cache)
      return self._lm("scores", out["latent"][:, 0]), out["cache"]

    first = jnp.full(b, text.special[1])
    keys = jax.random.split(jax.random.key(0), b)  # of which nothing is drawn
    how = dict(length=text.longest, top_k=1, known=known)
    said = autoregressive.generate(keys, advance, cache, first, **how)
    return text.cut(said, known)

  def _empty(self, places):
    """A cache for sequences with these places."""
    return self.lm.net(self.words).empty(*places.place.shape)

  def _run(self, e, places, at, cache=None) -> dict[str, Any]:
    """Vectors [b, m, w] that are stored from `at` on."""
    rows = places.rows(at, e.shape[1])
    return self._lm("run", e, cache=cache, at=at, **rows)

  def _lm(self, name, *args, **more):
    """A method of the language model."""
    tree, words = self.language, self.words
    return self.lm.ask(tree, words, *args, method=name, **more)
