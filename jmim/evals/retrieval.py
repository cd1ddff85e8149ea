"""Finds in a gallery what belongs to each of the evaluation split's examples.

    s_qg = <f_q, f_g> / |f_q| |f_g|
    mAP  = mean over queries of the average precision of their right answers
    topk = share of queries with a right answer among the k most similar

An answer is right if it has the query's id: a whole number that both data sets
store, or the place in the gallery that a query came from. In percent; see
`metrics.retrieval`. The gallery is the split trained on (or another split of
it), the evaluation split itself, where a query does not find itself, or a split
of another data set.
"""

import dataclasses
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from jmim.core import errors
from jmim.core import field
from jmim.data import sources as data_sources
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.evals.lib import finite
from jmim.evals.lib import stored
from jmim.metrics import retrieval

INDEX = "index"  # in place of a stored id: the place of an example


def _unanswered(queries: int, gallery: int) -> finite.NotComputed:
  return finite.NotComputed(
    f"none of {queries} queries with a right answer among {gallery} examples",
    "a gallery that holds what is asked for",
    "correct the ids, or raise gallery_limit",
    None,
  )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Fitted):
  """mAP and top-k of the evaluation split in a gallery."""

  labelled = False  # ids may be others than labels

  gallery: str = field.value(
    "",
    "data set searched; 'eval': the split of the queries; '': train_split",
  )
  gallery_dir: str = field.value("", "folder of that data set, as data_dir")
  gallery_split: str = field.value("train", "split of that data set")
  id: str = field.value("label", "stored id of a query")
  gallery_id: str = field.value(
    "",
    "stored id in the gallery; 'index': the place in it; '': as of queries",
  )
  gallery_predict: str = field.value(
    "", "output of the method in the gallery; '': as of queries"
  )
  k: tuple[int, ...] = field.value((1, 5), "how many answers are looked at")
  limit: int = field.value(0, "queries; 0: all", low=0)
  gallery_limit: int = field.value(
    0, "examples of the gallery, a random part; 0: all", low=0
  )
  reference: bool = field.value(True, "untrained weights too")

  def needs(self) -> tuple[str, ...]:
    """Outputs of queries and gallery."""
    names = (self.predict, self.gallery_predict or self.predict)
    return tuple(dict.fromkeys(name.partition("/")[0] for name in names))

  def check(
    self,
    path: str,
    sources: Mapping[str, Any],
    widths: Callable[[Sequence[str]], Mapping[str, int]],
  ) -> None:
    """Raises UserError for ids or a gallery that are not there, or no k."""
    if not self.k or min(self.k) < 1:
      raise errors.UserError(
        f"{path}.k={self.k}", "numbers of at least 1", "set it", f"{path}.k"
      )
    gallery = self._source(sources, path)
    self._check_id(sources["eval"], self.id, f"{path}.id")
    self._check_id(gallery, self.gallery_id or self.id, f"{path}.gallery_id")
    entries, found = widths(self.needs()), {}
    for key in ("predict", "gallery_predict"):
      name = getattr(self, key) or self.predict
      found[key] = base.width(entries, name, f"{path}.{key}")
    if len(set(found.values())) > 1:
      raise errors.UserError(
        f"{found['gallery_predict']} numbers per example in the gallery, "
        f"{found['predict']} per query",
        "vectors of one length, which can be compared",
        "name outputs of one length",
        f"{path}.gallery_predict",
      )

  def _source(self, sources: Mapping[str, Any], path: str) -> Any:
    """What the gallery is made of."""
    if self.gallery in ("", "eval"):
      return sources[self.gallery or "train"]
    try:
      return data_sources.build(
        self.gallery, self.gallery_split, self.gallery_dir
      )
    except errors.UserError as e:
      keys = {"data.name": "", "data.data_dir": "_dir"}
      key = f"{path}.gallery{keys.get(e.key, '_split')}"
      raise errors.UserError(e.seen, e.expected, e.fix, key) from e

  def _check_id(self, source: Any, name: str, key: str) -> None:
    """Raises UserError unless examples have one whole number of that name."""
    if name == INDEX:
      return
    numbers = stored.vector(source[0], name, key)
    if numbers.size != 1 or numbers.dtype.kind not in "biu":
      raise errors.UserError(
        f"{name!r} of {numbers.size} numbers of type {numbers.dtype}",
        "a whole number per example",
        "name an id that the data set stores",
        key,
      )

  def run(self, context: contexts.Context) -> base.Results:
    """Yields map and top<k> in percent, and how many were asked."""
    context = context.fitted_on(self.train_split)
    gallery = self._gallery(context)
    same = self.gallery == "eval"
    lines = {"": self.weights}
    if self.reference:
      lines["untrained_"] = "untrained"
    ids: tuple[np.ndarray, ...] = ()
    for prefix, weights in lines.items():
      asked, at = self._rows(context, "eval", weights, queries=True)
      rows, places = self._rows(gallery, "train", weights)
      ids = ids or (
        self._ids(context, "eval", at, queries=True),
        self._ids(gallery, "train", places),
      )
      itself = None
      if same:  # of a limited gallery some queries are no part
        own = {int(place): row for row, place in enumerate(places)}
        itself = np.array([own.get(int(place), -1) for place in at])
      above = retrieval.wrong_above(
        asked,
        rows,
        *ids,
        itself=itself,
        mesh=context.devices.mesh,
      )
      right = above[above[:, 0] >= 0]
      if not len(right):
        raise _unanswered(len(above), len(rows))
      precision = retrieval.average_precision(right)
      yield f"{prefix}map", 100 * float(precision.mean())
      for k in self.k:
        hits = retrieval.found(right, k)
        yield f"{prefix}top{k}", 100 * float(hits.mean())
    yield "queries", len(right)
    yield "without_answer", len(above) - len(right)
    yield "gallery", len(rows)

  def _gallery(self, context: contexts.Context) -> contexts.Context:
    """A context whose "train" is the gallery."""
    if not self.gallery:
      return context
    source = self._source(context.sources, "evals.<name>")
    return context.on({"train": source, "eval": context.sources["eval"]})

  def _rows(
    self,
    context: contexts.Context,
    split: str,
    weights: str,
    queries: bool = False,
  ) -> tuple[np.ndarray, np.ndarray]:
    """(vectors [n, d], places in the split [n])."""
    name = self.predict if queries else self.gallery_predict or self.predict
    limit = self.limit if queries else self.gallery_limit
    rows, index = context.rows(name, split, limit or None, weights)
    finite.check(rows)
    return rows.reshape(len(rows), -1), index

  def _ids(
    self,
    context: contexts.Context,
    split: str,
    index: np.ndarray,
    queries: bool = False,
  ) -> np.ndarray:
    """int64 [n] ids of examples, read from the data set."""
    name = self.id if queries else self.gallery_id or self.id
    if name == INDEX:
      return index.astype(np.int64)
    key = f"evals.<name>.{'id' if queries else 'gallery_id'}"
    found = stored.numbers(context, split, index, {name: key})[name]
    return found[:, 0].astype(np.int64)
