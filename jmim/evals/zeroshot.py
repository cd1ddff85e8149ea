"""Which of many texts belongs to an image; nothing is fitted for it.

    cosine   s_nk = <q_n, e_k> / |q_n| |e_k|    q of an image, e of a text
    error    s_nk = what the output `match` says of image n and text k

    top<k>         percent of images with their text among the k best
    found<k>       percent of texts with an image of theirs among the k best
    shuffled_top1  top1 of images that are shown in each other's places
    <name>_top1    percent of images whose best text has their number <name>

Texts are the different captions of the split, or (with `templates`) sentences
about classes: "a photo of a {}" for each name, of several templates the mean of
vectors of length 1. Then an image's text is that of its label. Of texts that
are equally good the wrong ones come first: who tells nothing finds nothing.
`shuffled_top1` is what chance gives, for a model that is told the right text by
the image alone.
"""

import dataclasses
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
      vectors = self._sentences(context)
      context = self._images(context)
      scores, own, index = self._scores(context, vectors, "label")
      there = labelled.those(own, "eval")
      scores, own = scores[there], own[there]
      first = None
    else:
      split = ("eval", self.limit or None, self.weights)
      rows, tokens = context.rows(self.text, *split, entry="tokens")
      _, first, own = np.unique(
        tokens, axis=0, return_index=True, return_inverse=True
      )
      vectors, own = rows[first], own.reshape(-1)
      scores, _, index = self._scores(context, vectors, "tokens")
    yield from self._measured(scores, own)
    names = dict.fromkeys(self.attributes, "evals.<name>.attributes")
    values = stored.numbers(context, "eval", index, names) if names else {}
    for name, numbers in values.items():
      told = numbers[first][scores.argmax(1)]
      yield f"{name}_top1", 100 * float((told == numbers).all(1).mean())
    yield "images", len(scores)
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
    other = np.random.default_rng(0).permutation(len(own))
    shuffled, _ = retrieval.in_table(scores, own[other])
    yield "shuffled_top1", 100 * float((shuffled < 1).mean())

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
    self, context: contexts.Context, vectors: np.ndarray, entry: str
  ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """([n, k] of all images and texts, an entry [n], index [n])."""
    finite.check(vectors)
    parts = (self._cosines if self.score == "cosine" else self._matches)(
      context, vectors, entry
    )
    scores, entries, index = (
      np.concatenate(x) for x in zip(*parts, strict=True)
    )
    finite.check(scores)
    return scores, entries, index

  def _cosines(
    self, context: contexts.Context, vectors: np.ndarray, entry: str
  ) -> Iterator[tuple[np.ndarray, ...]]:
    """The same of each batch, by cosine."""
    unit = lambda x: neighbours.normalise(x.astype(np.float64))
    split = ("eval", self.limit or None, self.weights)
    entries = (entry, "index")
    for rows, own in context.outputs(self.predict, *split, entries=entries):
      finite.check(rows)
      yield unit(rows) @ unit(vectors).T, own[entry], own["index"]

  def _matches(
    self, context: contexts.Context, vectors: np.ndarray, entry: str
  ) -> Iterator[tuple[np.ndarray, ...]]:
    """The same of each batch, by the output `match`."""
    for batch in context.batches("eval", self.limit or None):
      labelled.check(batch, entry)
      whole = {
        name: context.devices.gather(batch[name])
        for name in ("valid", entry, "index")
      }
      made = self._matched(context, batch, vectors)
      yield tuple(
        x[whole["valid"]] for x in (made, whole[entry], whole["index"])
      )

  def _matched(
    self,
    context: contexts.Context,
    batch: Mapping[str, np.ndarray],
    vectors: np.ndarray,
  ) -> np.ndarray:
    """[b, k] of one batch: a piece of the texts at a time, all as long."""
    size, found = min(self.piece, len(vectors)), []
    for start in range(0, len(vectors), size):
      part = np.resize(vectors[start : start + size], (size, vectors.shape[1]))
      each = np.broadcast_to(part, (len(batch["valid"]), *part.shape))
      given = {**batch, "candidates": np.asarray(each, np.float32)}
      found.append(context.apply(MATCH, given, self.weights))
    return np.concatenate(found, axis=1)[:, : len(vectors)]
