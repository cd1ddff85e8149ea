"""Codes of what is in an image: nearest rows of a table of features (DiGIT).

They are read as they were stored, or made of the images in every step; the
table is made by `python -m jmim.tools.make_codebook`. Letters: b batch, n codes
in raster order, k different ones.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import runtime
from jmim.methods.parts import vectors as vectorings
from jmim.nn import vq

NAME = "semantic_codes"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Semantic:
  """How many codes, and where they come from."""

  vocabulary: int = field.value(8192, "number of different codes", low=2)
  read: str = field.value(
    "codes",
    "input: stored codes ('semantic_codes'), or images",
    choices=("codes", "images"),
  )
  vectors: vectorings.Vectors = field.part(
    vectorings.Vectors, "vectors that the codes stand for"
  )
  codebook: str = field.value(
    "", "table of codes, an .npz or a run of mim.codebook; for images"
  )
  sha256: str = field.value("", "hash of that file; empty: any")
  rt: runtime.Runtime = field.runtime()

  @property
  def length(self) -> int:
    """n."""
    h, w = self.vectors.grid
    return h * w

  @property
  def shape(self) -> tuple[int, int]:
    """(k, n)."""
    return self.vocabulary, self.length

  def inputs(self) -> dict[str, method.Input]:
    """semantic_codes [n] below `vocabulary`, or image [h, w, c].

    Raises:
      ValueError: fields that do not go together.
    """
    image = self.vectors.inputs("semantic.vectors.")
    if self.read == "images":
      return image
    return {NAME: method.Input((self.length,), jnp.int32, self.vocabulary)}

  def consts(self) -> dict[str, method.Const]:
    """Of images: the ViT, and the table [vocabulary, d]."""
    if self.read != "images":
      return {}
    shape = (self.vocabulary, self.vectors.width)
    init = lambda key: {"codes": jax.random.normal(key, shape)}
    own = {"key": "method.semantic.codebook"}
    table = method.Const(self.codebook, init, self.sha256 or None, **own)
    return {"codebook": table, **self.vectors.consts("semantic.vectors.")}

  def of(self, weights: method.Weights, images: jax.Array) -> jax.Array:
    """Images [b, h, w, c] -> [b, n] int32."""
    vectors = dataclasses.replace(self.vectors, rt=self.rt)
    table = weights.consts["codebook"]["codes"]
    return vq.nearest(vectors.of(weights, images), table)

  def ids(self, weights: method.Weights, batch: method.Batch) -> jax.Array:
    """[b, n] int32, the codes of a batch."""
    if NAME in batch:
      return batch[NAME]
    return self.of(weights, batch["image"])
