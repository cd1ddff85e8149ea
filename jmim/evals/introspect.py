"""Numbers and pictures of what an encoder does inside.

    rank       = exp of the entropy of the singular values of the features
    cka_ij     = |X_i'X_j|^2 / (|X_i'X_i| |X_j'X_j|) of layers i, j (centred)
    distance   = mean of sum_k a_qk |pos_q - pos_k| per head, in pixels
    nmi        = I(q; k) / sqrt(H(q) H(k)) per head, p(q, k) = a_qk / patches

Pictures: attention of the cls token (without one: the mean over queries) in
the last layer, per head; the first three principal components of the patch
tokens as RGB; the CKA between all layers.
"""

import dataclasses

import numpy as np

from jmim.core import field
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.evals.lib import draw
from jmim.metrics import representation


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """Effective rank, CKA, distance and NMI of attention; pictures."""

  predict: str = field.value("tokens", "patch tokens [b, h, w, d]")
  features: str = field.value("features", "output whose rank is measured")
  layers: str = field.value("layers", "dict of outputs [b, d]; '': no CKA")
  attention: str = field.value(
    "attention", "maps [b, layers, heads, t, t]; '': none"
  )
  limit: int = field.value(256, "examples measured", low=4)
  examples: int = field.value(6, "images drawn", low=1)

  def needs(self) -> tuple[str, ...]:
    """All outputs that are named."""
    named = (self.predict, self.features, self.layers, self.attention)
    return tuple(name.partition("/")[0] for name in named if name)

  def run(self, context: contexts.Context) -> base.Results:
    """Yields numbers per layer and the pictures."""
    features, _ = context.features(
      self.features, "eval", self.limit, self.weights
    )
    yield "rank", representation.effective_rank(features)
    n = self.examples
    tokens, images = context.rows(
      self.predict, "eval", n, self.weights, entry="image"
    )
    big = lambda x: draw.fitted(x, images.shape[1:3])
    colours = representation.principal_colours(tokens)
    sheet = {"image": images, "PCA": big(colours)}
    if self.attention:
      maps, numbers = self._attention(context, tokens.shape[1:3], images)
      for name, by_image in numbers.items():
        for layer, values in enumerate(by_image.mean(0)):
          for head, value in enumerate(values):
            yield f"{name}_layer{layer + 1}_head{head + 1}", float(value)
      for head in range(min(4, maps.shape[1])):
        heat = [draw.heat(m, m.min(), m.max()) for m in maps[:, head]]
        sheet[f"head {head + 1}"] = big(np.stack(heat))
    yield "tokens", draw.sheet(sheet, pairs=1)
    if self.layers:
      yield from self._similarity(context)

  def _attention(
    self, context: contexts.Context, grid: tuple[int, int], images: np.ndarray
  ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """[examples, heads, h, w] last maps; name -> [limit, layers, heads]."""
    patch, last = images.shape[1] / grid[0], []
    distances, shared = [], []
    for maps, _ in context.outputs(
      self.attention, "eval", self.limit, self.weights
    ):
      distances.append(representation.attention_distance(maps, grid, patch))
      # One image at a time: logarithms of all of them would take gigabytes.
      shared += [
        representation.mutual_information(
          representation.among_patches(image, grid)
        )
        for image in maps
      ]
      if sum(map(len, last)) < self.examples:
        last.append(_received(maps[:, -1], grid))
    numbers = {"distance": np.concatenate(distances), "nmi": np.stack(shared)}
    return np.concatenate(last)[: self.examples], numbers

  def _similarity(self, context: contexts.Context) -> base.Results:
    """Rank of each layer, CKA of neighbours, and a picture of all."""
    name, limit = self.layers, self.limit
    names = [n.partition("/")[2] for n in context.widths((name,))]
    outputs = (
      context.rows(f"{name}/{n}", "eval", limit, self.weights)[0] for n in names
    )
    rows = [x.astype(np.float32).reshape(len(x), -1) for x in outputs]
    cka = np.array(
      [[representation.linear_cka(a, b) for a in rows] for b in rows]
    )
    for n, row in zip(names, rows, strict=True):
      yield f"rank_{n}", representation.effective_rank(row)
    for n, m, value in zip(names, names[1:], np.diag(cka, 1), strict=False):
      yield f"cka_{n}_{m}", float(value)
    cell = 24
    picture = draw.heat(cka, 0.0, 1.0).repeat(cell, 0).repeat(cell, 1)
    yield "cka", picture


def _received(maps: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
  """[b, heads, h, w]: attention of the cls token, or mean over queries."""
  first = maps.shape[-1] - grid[0] * grid[1]
  row = maps[:, :, 0] if first else maps.mean(2)
  return row[..., first:].reshape(*row.shape[:2], *grid)
