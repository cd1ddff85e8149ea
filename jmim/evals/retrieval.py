"""Finds in a gallery what belongs to each of the evaluation split's examples.

    s_qg = <f_q, f_g> / |f_q| |f_g|
    mAP  = mean over queries of the average precision of their right answers
    topk = share of queries with a right answer among the k most similar

An answer is right if it has the query's id: a whole number that both data sets
store (or several under one name, as the tokens of a caption, all of which must
agree), or the place in the gallery that a query came from. In percent; see
`metrics.retrieval`. The gallery is the split trained on (or another split of
it), the evaluation split itself, where a query does not find itself, or a split
of another data set. Queries may be of another data set too: what models have
made of examples of the gallery, say. A sheet shows some with their first hits.
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
from jmim.data import splits
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.evals.lib import draw
from jmim.evals.lib import finite
from jmim.evals.lib import stored
from jmim.metrics import neighbours
from jmim.metrics import retrieval
from jmim.runlog import readings

INDEX = "index"  # in place of a stored id: the place of an example
HITS = 5  # that a sheet shows


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

  reads = ((r"map|top\d+", readings.PERCENT),)

  labelled = False  # ids may be others than labels

  queries: str = field.value(
    "", "data set of the queries; '': the evaluation split"
  )
  queries_dir: str = field.value(
    "", "folder of that data set, as data_dir; '': that of the run's own"
  )
  queries_split: str = field.value("test", "split of that data set")
  gallery: str = field.value(
    "",
    "data set searched; 'eval': the split of the queries; '': train_split",
  )
  gallery_dir: str = field.value(
    "", "folder of that data set, as data_dir; '': that of the run's own"
  )
  gallery_split: str = field.value("train", "split of that data set")
  id: str = field.value(
    "label", "stored id of a query: a whole number, or several"
  )
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
  examples: int = field.value(
    0, "queries drawn with their first hits, all images; 0: none", low=0
  )

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
    base.check_answers(self.k, f"{path}.k")
    asked, gallery = self._asked(sources, path), self._source(sources, path)
    own = self._check_id(asked, self.id, f"{path}.id")
    key = f"{path}.gallery_id"
    other = self._check_id(gallery, self.gallery_id or self.id, key)
    stored.check_lengths(own, other, key)
    self._check_images(asked, f"{path}.examples")
    self._check_images(gallery, f"{path}.examples")
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

  def _asked(self, sources: Mapping[str, Any], path: str) -> Any:
    """What the queries are made of."""
    if not self.queries:
      return sources["eval"]
    return self._open("queries", sources, path)

  def _source(self, sources: Mapping[str, Any], path: str) -> Any:
    """What the gallery is made of."""
    if self.gallery == "eval":
      return self._asked(sources, path)
    if not self.gallery:
      return sources["train"]
    return self._open("gallery", sources, path)

  def _open(self, stem: str, sources: Mapping[str, Any], path: str) -> Any:
    """The data set that `stem`, `stem`_dir and `stem`_split name."""
    name, split, folder = (
      getattr(self, stem + x) for x in ("", "_split", "_dir")
    )
    folder = folder or stored.folder_of(sources["train"])
    try:
      return data_sources.build(name, split, folder)
    except errors.UserError as e:
      keys = {"data.name": "", "data.data_dir": "_dir"}
      key = f"{path}.{stem}{keys.get(e.key, '_split')}"
      raise errors.UserError(e.seen, e.expected, e.fix, key) from e

  def _check_images(self, source: Any, key: str) -> None:
    """Raises UserError if hits are to be drawn of examples without an image."""
    if self.examples and "image" not in source[0]:
      raise errors.UserError(
        f"{key}={self.examples}, and examples with {', '.join(source[0])}",
        "an image in each example of queries and gallery",
        "set it to 0",
        key,
      )

  def _check_id(self, source: Any, name: str, key: str) -> int:
    """How many numbers it has; UserError unless they are whole ones."""
    if name == INDEX:
      return 1
    numbers = stored.vector(source[0], name, key)
    if not numbers.size or numbers.dtype.kind not in "biu":
      raise errors.UserError(
        f"{name!r} of {numbers.size} numbers of type {numbers.dtype}",
        "whole numbers",
        "name an id that the data set stores",
        key,
      )
    return numbers.size

  def run(self, context: contexts.Context) -> base.Results:
    """Yields map and top<k> in percent, and how many were asked."""
    context, gallery = self._contexts(context)
    other = self.gallery_predict not in ("", self.predict)
    same = self.gallery == "eval" and not other
    lines = {"": self.weights}
    if self.reference:
      lines["untrained_"] = "untrained"
    ids: tuple[np.ndarray, ...] = ()
    for prefix, weights in lines.items():
      asked, at = self._rows(context, "eval", weights, queries=True)
      rows, places = self._rows(gallery, "train", weights)
      ids = ids or stored.as_one(
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
      if self.examples and not prefix:
        near = self._nearest(asked, rows, itself, context.devices.mesh)
        columns = {"query": self._pixels(context, "eval", at[: len(near)])}
        for j, row in enumerate(near.T, 1):
          columns[f"hit {j}"] = self._pixels(gallery, "train", places[row])
        yield "sheet", draw.sheet(columns, pairs=1)
    yield "queries", len(right)
    yield "without_answer", len(above) - len(right)
    yield "gallery", len(rows)

  def _contexts(
    self, context: contexts.Context
  ) -> tuple[contexts.Context, contexts.Context]:
    """(of which "eval" are the queries, of which "train" is the gallery)."""
    context = context.fitted_on(self.train_split)
    asked = self._asked(context.sources, "evals.<name>")
    found = self._source(context.sources, "evals.<name>")
    on = lambda: context.on({"train": found, "eval": asked})
    return (
      on() if self.queries else context,
      on() if self.gallery else context,
    )

  def _nearest(
    self,
    asked: np.ndarray,
    rows: np.ndarray,
    itself: np.ndarray | None,
    mesh: Any,
  ) -> np.ndarray:
    """int [n, HITS or fewer]: rows of the first hits of queries drawn."""
    asked, number = asked[: self.examples], np.arange(len(rows))
    k = min(HITS + (itself is not None), len(rows))
    _, near = neighbours.nearest(rows, number, asked, k, mesh=mesh)
    if itself is None:
      return near
    # The query is no hit; where it is not in the gallery the last one goes.
    own = near == itself[: len(near), None]
    own[:, -1] |= ~own.any(1)
    return near[~own].reshape(len(near), -1)

  def _pixels(
    self, context: contexts.Context, split: str, index: np.ndarray
  ) -> np.ndarray:
    """uint8 [n, h, w, c]: images of examples of a split."""
    part = splits.Subset(context.sources[split], index)
    images, _ = context.on({split: part}).rows("pixels", split, None, "raw")
    return np.rint(255 * images).astype(np.uint8)

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
    """int64 [n, k] ids of examples, read from the data set."""
    name = self.id if queries else self.gallery_id or self.id
    if name == INDEX:
      return index.astype(np.int64)[:, None]
    key = f"evals.<name>.{'id' if queries else 'gallery_id'}"
    found = stored.numbers(context, split, index, {name: key})[name]
    ids = found.astype(np.int64)
    if unknown := int((ids < 0).any(1).sum()):
      raise errors.UserError(
        f"{unknown:,} of {len(ids):,} examples have a negative {name!r}: they "
        "are not labelled, and would be answers to each other",
        "an id for each",
        "name another id, or leave them out (data.keep)",
        key,
      )
    return ids
