"""Discrete tokens of patches as what a method predicts.

They come with the image (of a tokenizer that ran before), or each patch has
the number of the nearest row of a frozen table, which `mim.codebook` learns.
"""

import dataclasses

import jax
import jax.numpy as jnp
import optax

from jmim.core import field
from jmim.core import method
from jmim.nn import patch as patching
from jmim.nn import vq

SOURCES = ("batch", "codebook")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tokenizer:
  """Where the tokens come from, and how many there are."""

  vocabulary: int = field.value(8192, "number of different tokens", low=2)
  source: str = field.value(
    "batch",
    "source: `tokens` of the batch, or nearest rows of a table of patches",
    choices=SOURCES,
    was="tokens",
  )
  codebook: str = field.value(
    "", "path of the table of patches (.npz, or a run of mim.codebook)"
  )
  codebook_sha256: str = field.value("", "hash of that file; empty: any")

  def inputs(self, n: int) -> dict[str, method.Input]:
    """What is read from a batch beside the image: tokens [n], if anything."""
    if self.source != "batch":
      return {}
    return {"tokens": method.Input((n,), jnp.int32, self.vocabulary)}

  def consts(self, patch: int, channels: int = 3) -> dict[str, method.Const]:
    """The codebook [vocabulary, p*p*c], of normalised pixels, if any."""
    if self.source != "codebook":
      return {}
    shape = (self.vocabulary, channels * patch**2)
    init = lambda key: {"codes": jax.random.normal(key, shape)}
    sha256 = self.codebook_sha256 or None
    return {
      "codebook": method.Const(
        self.codebook, init, sha256, key="method.tokenizer.codebook"
      )
    }

  def ids(
    self, weights: method.Weights, batch: method.Batch, patch: int
  ) -> jax.Array:
    """[b, n] int32, the token of every patch.

    Args:
      weights: of which the consts hold the codebook.
      batch: has `tokens`, or `image` [b, h, w, c].
      patch: side of a patch [pixels].
    """
    if self.source == "batch":
      return batch["tokens"]
    x = patching.patchify(batch["image"], patch)
    return vq.nearest(x, weights.consts["codebook"]["codes"])

  def cross_entropy(
    self, logits: jax.Array, tokens: jax.Array, ids: jax.Array
  ) -> method.Loss:
    """-log q(token), mean over the hidden patches.

    Args:
      logits: [b, m, vocabulary] of the hidden patches.
      tokens: [b, n] of all patches.
      ids: [b, m] int32, all hidden patches.

    Returns:
      the loss; and token_accuracy, the share that is named correctly, with
      what guessing would reach (`vq.baselines`).
    """
    hidden = jnp.take_along_axis(tokens, ids, axis=1)
    cost = optax.softmax_cross_entropy_with_integer_labels(logits, hidden)
    known = jax.vmap(lambda row, i: row.at[i].set(-1))(tokens, ids)
    return cost.mean(), {
      "token_accuracy": (logits.argmax(-1) == hidden).mean(),
      **vq.baselines(hidden, known, self.vocabulary),
    }
