"""CLIP's view of samples and edits: what was asked for, and what was changed.

    text        100 cos(E_I(y), E_T(t))      of pictures y and what they should
                                             show ("CLIP score")
    image       100 cos(E_I(y), E_I(x))      of what they are compared with
    text_source 100 cos(E_I(x), E_T(t))      what `text` is of that already
    direction   100 cos(E_I(y) - E_I(x), E_T(t) - E_T(s))

on average over examples; vectors of length 1 before they are subtracted, and a
direction is 0 where nothing changed. E_I and E_T are the towers of another run
(`workdir`): of `text.clip`, or of published weights that were converted. Texts
are stored with the examples: `text` (t) and `before` (s), of which that run's
own tokenizer makes tokens; `prompt` is a t of all examples. Pictures are
rounded to 8 bits first, and resized to that run's size.

y is the output `predict`, or `picture` where that is a dict; x is an entry of
the output, or the image of the example (`source="batch"`). Several pictures of
an example, [b, k, h, w, c], count one by one.
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
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.evals.lib import draw
from jmim.evals.lib import outputs
from jmim.evals.lib import stored
from jmim.evals.lib import towers
from jmim.nn import directions
from jmim.runlog import readings

BATCH = "batch"  # the image of the example
Texts = tuple[list[str], list[str]]  # asked for, and before


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """Similarities, and the direction of a change, as two towers see them."""

  reads = (("text|direction", readings.MORE),)

  predict: str = field.value("sample", "pictures [b, h, w, c], or a dict")
  picture: str = field.value(
    "", "entry of the output that is judged; '': it is one picture"
  )
  source: str = field.value(
    "",
    "entry of the output that pictures are compared with, or 'batch', the "
    "example's image; '': none",
  )
  text: str = field.value(
    "caption", "stored text that says what a picture should show; '': none"
  )
  before: str = field.value(
    "", "stored text of what it is compared with, for the direction; '': none"
  )
  prompt: str = field.value("", "text of every example, with text=''")
  workdir: str = field.value(
    "", "run of two towers: text.clip, or converted weights"
  )
  workdir_weights: str = field.value(
    "raw", "weights that are read of `workdir`", choices=("raw", "ema")
  )
  limit: int = field.value(0, "examples; 0: all", low=0)
  examples: int = field.value(16, "examples drawn", low=1)

  def check(
    self,
    path: str,
    sources: Mapping[str, Any],
    widths: Callable[[Sequence[str]], Mapping[str, int]],
  ) -> None:
    """Raises UserError for no run, or nothing that could be compared."""
    del widths
    if not self.workdir:
      raise errors.UserError(
        f"{path}.workdir=''",
        "a run that sees pictures and texts in one space",
        "train configs/clip_scenes.py, or convert a CLIP; name its folder",
        f"{path}.workdir",
      )
    if self.text and self.prompt:
      raise errors.UserError(
        f"{path}.prompt={self.prompt!r} with {path}.text={self.text!r}",
        "one of them: what every example stores, or the text of all",
        f"set {path}.text=''",
        f"{path}.prompt",
      )
    if not (self.text or self.prompt or self.source):
      raise errors.UserError(
        f"{path}: no text, prompt or source",
        "something that pictures are compared with",
        f"set {path}.text",
        f"{path}.text",
      )
    if self.before and not (self.source and (self.text or self.prompt)):
      raise errors.UserError(
        f"{path}.before={self.before!r}, source={self.source!r}, "
        f"text={self.text!r}",
        "a picture before, and a text of the one after",
        f"set {path}.source, or {path}.before=''",
        f"{path}.before",
      )
    for name in filter(None, (self.text, self.before)):
      key = f"{path}.{'text' if name == self.text else 'before'}"
      _said(stored.value(sources["eval"][0], name, key), name, key)

  def run(self, context: contexts.Context) -> base.Results:
    """Yields what the module lists, examples, the judge and a sheet."""
    key = "evals.<name>.workdir"
    judge = context.once(
      ("towers", self.workdir, self.workdir_weights),
      lambda: towers.of_run(self.workdir, self.workdir_weights, key),
    )
    rows: dict[str, list[np.ndarray]] = {}
    first, count = None, 0
    for made, source, texts in self._pictures(context):
      for name, values in _measured(judge, made, source, texts).items():
        rows.setdefault(name, []).append(values)
      first = (made, source) if first is None else first
      count += len(made)
    for name, parts in rows.items():
      yield name, float(np.concatenate(parts).mean())
    yield "examples", count
    yield "protocol", judge.protocol
    yield "sheet", self._sheet(*first)

  def _pictures(
    self, context: contexts.Context
  ) -> Iterator[tuple[np.ndarray, np.ndarray | None, Texts]]:
    """(uint8 pictures, what they are compared with, texts), batch by batch."""
    entries = ("index", *(("image",) if self.source == BATCH else ()))
    for out, batch in context.outputs(
      self.predict, "eval", self.limit or None, self.weights, entries=entries
    ):
      made = np.asarray(outputs.named(out, self.picture, "picture"))
      several = made.shape[1] if made.ndim == 5 else 1
      made = context.pixels(made.reshape(-1, *made.shape[-3:]))
      source = None
      if self.source == BATCH:
        source = batch["image"]
      elif self.source:
        source = context.pixels(outputs.named(out, self.source, "source"))
      if source is not None and len(source) < len(made):
        source = np.repeat(source, several, axis=0)
      index = np.repeat(batch["index"], several)
      yield made, source, self._texts(context, index)

  def _texts(self, context: contexts.Context, index: np.ndarray) -> Texts:
    """Texts of examples; [] where none is asked for."""
    held, found = context.sources["eval"], []
    for field_, name in (("text", self.text), ("before", self.before)):
      key = f"evals.<name>.{field_}"
      rows = index if name else ()
      found.append([_said(held[int(i)][name], name, key) for i in rows])
    asked, before = found
    return asked or [self.prompt] * bool(self.prompt) * len(index), before

  def _sheet(self, made: np.ndarray, source: np.ndarray | None) -> np.ndarray:
    columns = {} if source is None else {"source": source[: self.examples]}
    return draw.sheet(columns | {"picture": made[: self.examples]}, pairs=4)


def _measured(
  judge: towers.Towers,
  made: np.ndarray,
  source: np.ndarray | None,
  texts: Texts,
) -> dict[str, np.ndarray]:
  """Measure -> [b], 100 times a cosine."""
  y, found = judge.pictures(made), {}
  x = None if source is None else judge.pictures(source)
  asked, before = (judge.texts(said) if said else None for said in texts)
  if asked is not None:
    found["text"] = directions.alike(y, asked)
  if x is not None:
    found["image"] = directions.alike(y, x)
    if asked is not None:
      found["text_source"] = directions.alike(x, asked)
  if before is not None:
    wanted = directions.change(before, asked)
    found["direction"] = directions.alike(directions.change(x, y), wanted)
  return {name: 100.0 * np.asarray(values) for name, values in found.items()}


def _said(value: Any, name: str, key: str) -> str:
  """A stored text; the first of several."""
  if not isinstance(value, str | bytes) and np.ndim(value) == 1 and len(value):
    value = value[0]
  if isinstance(value, bytes):
    return value.decode(errors="replace")
  if isinstance(value, str):
    return value
  raise errors.UserError(
    f"{name!r}, which the data set stores as {type(value).__name__}",
    "a text",
    "name another",
    key,
  )
