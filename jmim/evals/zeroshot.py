"""Which of many texts belongs to an image; nothing is fitted for it.

    cosine   s_nk = <q_n, e_k> / |q_n| |e_k|    q of an image, e of a text
    error    s_nk = what the output `match` says of image n and text k

    top<k>         percent of images with their text among the k best
    found<k>       percent of texts with an image of theirs among the k best
    shuffled_top1  top1 where each image stands beside another one's text
                   (`shuffled`), which counts as its right one
    <name>_top1    percent of images whose best text has their number <name>

Texts are the different captions of the split, or (with `templates`) sentences
about classes: "a photo of a {}" for each name, of several templates the mean of
vectors of length 1. Then an image's text is that of its label. Of texts that
are equally good the wrong ones come first: who tells nothing finds nothing.
`shuffled_top1` asks the network anew, with the tokens (or labels) of a batch
exchanged between images: chance if the image alone tells the text, more if what
an image says depends on the text beside it.
"""

import dataclasses
import functools
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from jmim.core import errors
from jmim.core import field
from jmim.data import sources as data_sources
from jmim.data import texts
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.evals.lib import finite
from jmim.evals.lib import labelled
from jmim.evals.lib import stored
from jmim.metrics import neighbours
from jmim.metrics import retrieval
from jmim.runlog import readings

Arrays = Mapping[str, np.ndarray]
MATCH = "match"  # output that the score "error" asks for
SCORES = ("cosine", "error")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """Images to texts and back, by cosine or by another score."""

  reads = ((r"(.*_)?top\d+|found\d+", readings.PERCENT),)

  predict: str = field.value("query", "vector of an image [b, d]")
  text: str = field.value("text", "vector of a text [b, d]")
  score: str = field.value(
    "cosine", "how near an image is to a text", choices=SCORES
  )
  k: tuple[int, ...] = field.value((1, 5), "how many answers are looked at")
  templates: tuple[str, ...] = field.value(
    (), "sentences with {} for a class; (): the captions of the split"
  )
  classes: tuple[str, ...] = field.value(
    (), "names of the classes; (): those that the data set gives them"
  )
  data: str = field.value(
    "", "data set of these classes; '': the evaluation split"
  )
  data_dir: str = field.value("", "folder of that data set, as data_dir")
  data_split: str = field.value("test", "split of that data set")
  attributes: tuple[str, ...] = field.value(
    (), "stored numbers that captions speak of, compared one by one"
  )
  shuffled: bool = field.value(
    False, "once more with each image beside another one's text"
  )
  limit: int = field.value(0, "images; 0: all", low=0)
  piece: int = field.value(
    64, "texts that the score 'error' looks at together", low=1
  )

  def needs(self) -> tuple[str, ...]:
    """Outputs of texts, and of images."""
    last = MATCH if self.score == "error" else self.predict
    return tuple(dict.fromkeys((self.text, last)))

  def texts(self) -> str:
    """Sentences about classes."""
    return "templates" if self.templates else ""

  def check(
    self,
    path: str,
    sources: Mapping[str, Any],
    widths: Callable[[Sequence[str]], Mapping[str, int]],
  ) -> None:
    """Raises UserError for texts that cannot be made, or no numbers of k."""
    base.check_answers(self.k, f"{path}.k")
    for template in self.templates:
      if template.count("{}") != 1:
        raise errors.UserError(
          f"{path}.templates has {template!r}",
          "one {} in each, where the name of a class goes",
          "correct it",
          f"{path}.templates",
        )
    if self.templates:
      self._names(self._asked(sources), path)
    if self.data and not self.templates:
      raise errors.UserError(
        f"{path}.data={self.data!r} without {path}.templates",
        "sentences about its classes",
        "set both, or none",
        f"{path}.templates",
      )
    if self.templates and self.attributes:
      raise errors.UserError(
        f"{path}.attributes={self.attributes} with {path}.templates",
        "captions of the split, which speak of them",
        "set one of both to ()",
        f"{path}.attributes",
      )
    for name in self.attributes:
      stored.vector(sources["eval"][0], name, f"{path}.attributes")

  def run(self, context: contexts.Context) -> base.Results:
    """Yields top<k>, found<k>, shuffled_top1, <name>_top1, images and texts."""
    if self.templates:
      vectors, known = self._sentences(context), None
      context, entry = self._images(context), "label"
    else:
      split = ("eval", self.limit or None, self.weights)
      rows, tokens = context.rows(self.text, *split, entry="tokens")
      known, first = np.unique(tokens, axis=0, return_index=True)
      vectors, entry = rows[first], "tokens"
    scores, told, index = self._scores(context, vectors, entry)
    kept, own = _columns(told, known)
    yield from self._measured(scores[kept], own)
    if self.shuffled:
      other = told[np.random.default_rng(0).permutation(len(told))]
      beside = functools.partial(_beside, entry=entry, index=index, told=other)
      anew, other, _ = self._scores(context, vectors, entry, beside)
      there, others = _columns(other, known)
      of_images, _ = retrieval.in_table(anew[there], others)
      yield "shuffled_top1", 100 * float((of_images < 1).mean())
    names = dict.fromkeys(self.attributes, "evals.<name>.attributes")
    values = stored.numbers(context, "eval", index, names) if names else {}
    for name, numbers in values.items():
      said = numbers[first][scores.argmax(1)]
      yield f"{name}_top1", 100 * float((said == numbers).all(1).mean())
    yield "images", len(own)
    yield "texts", len(vectors)

  def _measured(
    self, scores: np.ndarray, own: np.ndarray
  ) -> Iterator[tuple[str, float]]:
    """Of scores [n, k] and the text of each image, int [n]."""
    of_images, of_texts = retrieval.in_table(scores, own)
    for k in self.k:
      yield f"top{k}", 100 * float((of_images < k).mean())
    for k in self.k:
      yield f"found{k}", 100 * float((of_texts < k).mean())

  def _asked(self, sources: Mapping[str, Any]) -> Any:
    """What has the classes."""
    if not self.data:
      return sources["eval"]
    return data_sources.build(self.data, self.data_split, self.data_dir)

  def _images(self, context: contexts.Context) -> contexts.Context:
    """The same on what has the classes, which needs no captions."""
    source = self._asked(context.sources)
    made = context.on({"train": source, "eval": source})
    made.spec = dataclasses.replace(made.spec, tokenizer="")
    return made

  def _sentences(self, context: contexts.Context) -> np.ndarray:
    """[k, d] of the classes, the mean over templates."""
    making = texts.of(context.spec)
    assert making is not None  # see `texts`
    names = self._names(self._asked(context.sources), "evals.<name>")
    written = [t.replace("{}", name) for name in names for t in self.templates]
    tokens = np.stack([making.tokens(text) for text in written])
    rows, size = [], context.spec.batch
    for start in range(0, len(tokens), size):
      part = np.resize(tokens[start : start + size], (size, tokens.shape[1]))
      made = context.apply(
        self.text, {"tokens": part}, self.weights, whole=True
      )
      rows.append(made[: len(tokens) - start])
    unit = neighbours.normalise(np.concatenate(rows).astype(np.float64))
    return unit.reshape(len(names), -1, unit.shape[1]).mean(1)

  def _names(self, source: Any, path: str) -> Sequence[str]:
    """Of the classes, as they are put into templates."""
    found = self.classes or tuple(getattr(source, "classes", None) or ())
    count = source.num_classes
    if not found or count and len(found) < count:
      raise errors.UserError(
        f"{len(found)} names of classes, {path}.classes or those of the data",
        f"one for each of {count} labels" if count else "some",
        f"name them all in {path}.classes",
        f"{path}.classes",
      )
    return [name.replace("_", " ") for name in found]

  def _scores(
    self,
    context: contexts.Context,
    vectors: np.ndarray,
    entry: str,
    changed: Callable[[Arrays], Arrays] = dict,
  ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """([n, k] of all images and texts, an entry [n], index [n])."""
    finite.check(vectors)
    score = self._cosines if self.score == "cosine" else self._matched
    gather, parts = context.devices.gather, []
    for i, batch in enumerate(context.batches("eval", self.limit or None)):
      labelled.check(batch, entry)
      batch = changed(batch)
      valid = gather(batch["valid"])
      made = score(context, batch, vectors, i)
      whole = (made, gather(batch[entry]), gather(batch["index"]))
      parts.append([x[valid] for x in whole])
    scores, told, index = map(np.concatenate, zip(*parts, strict=True))
    finite.check(scores)
    return scores, told, index

  def _cosines(
    self, context: contexts.Context, batch: Arrays, vectors: np.ndarray, i: int
  ) -> np.ndarray:
    """[b, k] of batch i."""
    unit = lambda x: neighbours.normalise(x.astype(np.float64))
    rows = context.apply(self.predict, batch, self.weights, key=i)
    return unit(rows) @ unit(vectors).T

  def _matched(
    self, context: contexts.Context, batch: Arrays, vectors: np.ndarray, i: int
  ) -> np.ndarray:
    """The same by `match`: a piece of the texts at a time, all as long."""
    del i  # all batches meet the same noise
    size, found = min(self.piece, len(vectors)), []
    for start in range(0, len(vectors), size):
      part = np.resize(vectors[start : start + size], (size, vectors.shape[1]))
      each = np.broadcast_to(part, (len(batch["valid"]), *part.shape))
      given = {**batch, "candidates": np.asarray(each, np.float32)}
      found.append(context.apply(MATCH, given, self.weights))
    return np.concatenate(found, axis=1)[:, : len(vectors)]


def _columns(
  told: np.ndarray, known: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
  """(which images have a text, bool [n]; the number of the text of each).

  Args:
    told: tokens [n, l], or labels [n].
    known: different texts [k, l], in the order of np.unique; None: labels.
  """
  if known is None:
    kept = labelled.those(told, "eval")
    return kept, told[kept]
  both = np.concatenate([known, told])
  _, at = np.unique(both, axis=0, return_inverse=True)
  return np.full(len(told), True), at.reshape(-1)[len(known) :]


def _beside(
  batch: Arrays, *, entry: str, index: np.ndarray, told: np.ndarray
) -> Arrays:
  """A batch where `entry` is told [n] of the examples index [n]."""
  order, valid = np.argsort(index), batch["valid"]
  at = order[np.searchsorted(index[order], batch["index"][valid])]
  made = np.array(batch[entry])
  made[valid] = told[at]
  return {**batch, entry: made}
