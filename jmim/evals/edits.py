r"""Edits beside their sources: how near they are, and what was changed.

    psnr, ssim      of an edit to its source, see `metrics.restoration`
    same_<head>     percent of edits of which a head tells what it tells of
                    their sources
    asked_<head>    percent of which it tells what was asked for
    before_<head>   percent of sources of which it does so already
    iou             of the thing's mask before and after, mean

Heads are those of another run (`workdir`) that offers `logits`: a classifier's
one is called "label", `supervised.attributes` has several. Of pictures of one
thing on a plain ground (the data set `scenes/one`), `things=True` reads the
mask and the head "colour" from the pixels, exactly and without a run.

The output that is looked at (`predict`) is a dict. Its entries `edits` are
pictures [b, h, w, c], or several of an example [b, k, h, w, c], in the units of
the inputs; they are rounded to 8 bits first, as files would be. Where there is
more than one edit, keys end with the entry's name, and with a number from 0 to
k - 1: psnr_image, psnr_scaled_0. What they are compared with is the batch's
image, or the entry `source` (the edit of what was not protected, say). What was
asked for is an entry, too: `asked=("colour=told",)` compares the head "colour"
with the classes [b] or [b, k] in "told"; or a class that the data set stores
(`("colour=target_label",)`); or one class: `("colour=2",)`.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from jmim.core import errors
from jmim.core import field
from jmim.data.procedural import seen
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.evals.lib import draw
from jmim.evals.lib import heads
from jmim.evals.lib import outputs
from jmim.evals.lib import stored
from jmim.metrics import restoration
from jmim.runlog import readings

WINDOW = 11  # least side that SSIM is computed of
Arrays = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """PSNR, SSIM and attributes of edits, and a sheet of them."""

  reads = ((r"(same|asked|before)_.+", readings.Reading("%")),)

  predict: str = field.value("apply", "dict of pictures")
  edits: tuple[str, ...] = field.value(
    ("image",), "pictures of the output that are edits"
  )
  source: str = field.value(
    "", "entry that edits are compared with; '': the batch's image"
  )
  workdir: str = field.value(
    "", "run whose `logits` tell attributes of pictures; '': none"
  )
  workdir_weights: str = field.value(
    "raw", "weights that are read of `workdir`", choices=("raw", "ema")
  )
  things: bool = field.value(
    False, "pictures of one thing on a plain ground: its mask and colour"
  )
  asked: tuple[str, ...] = field.value(
    (),
    "'head=entry': what a head should tell of an edit, by the output or as the "
    "data set stores it; or 'head=class'",
  )
  limit: int = field.value(0, "examples; 0: all", low=0)
  examples: int = field.value(8, "examples drawn", low=1)

  def run(self, context: contexts.Context) -> base.Results:
    """Yields what the module lists, examples, and a sheet."""
    tell, details = self._teller(context)
    rows: dict[str, list[np.ndarray]] = {}
    first, count = None, 0
    for out, batch in context.outputs(
      self.predict,
      "eval",
      self.limit or None,
      self.weights,
      entries=("index", *(() if self.source else ("image",))),
    ):
      source = batch.get("image")
      if self.source:
        source = context.pixels(outputs.named(out, self.source, "source"))
      edits, before = self._edits(context, out), tell(source)
      told = out | self._stored(context, out, batch)
      for at, edit in edits.items():
        wanted = self._wanted(told, at, len(source))
        found = self._measured(source, edit, before, tell(edit), wanted=wanted)
        suffix = "".join(f"_{x}" for x in at) if len(edits) > 1 else ""
        for key, values in found.items():
          rows.setdefault(f"{key}{suffix}", []).append(values)
      first = first or {"source": source, **_titled(edits)}
      count += len(source)
    for key, parts in rows.items():
      yield key, float(np.concatenate(parts).mean())
    yield "examples", count
    if details:
      yield "protocol", details
    yield (
      "sheet",
      draw.sheet(
        {title: x[: self.examples] for title, x in first.items()},
        pairs=max(1, 6 // len(first)),
      ),
    )

  def _edits(
    self, context: contexts.Context, out: Mapping[str, np.ndarray]
  ) -> dict[tuple, np.ndarray]:
    """(entry,) or (entry, number) -> uint8 [b, h, w, c]."""
    found = {}
    for name in self.edits:
      x = np.asarray(outputs.named(out, name, "edits"))
      if x.ndim == 5:
        found |= {(name, i): context.pixels(x[:, i]) for i in range(x.shape[1])}
      else:
        found[(name,)] = context.pixels(x)
    return found

  def _stored(
    self,
    context: contexts.Context,
    out: Mapping[str, np.ndarray],
    batch: Mapping[str, np.ndarray],
  ) -> Arrays:
    """Entry -> [b] classes, of what is asked and the data set has alone."""
    asked = [text.partition("=")[2] for text in self.asked]
    asked = [name for name in asked if name not in out and not name.isdigit()]
    if not asked:
      return {}
    index, held = batch["index"], context.sources["eval"]
    known = [name for name in asked if name in held[int(index[0])]]
    return {n: stored.annotation(context, "eval", index, n) for n in known}

  def _wanted(
    self, out: Mapping[str, np.ndarray], at: tuple, count: int
  ) -> Arrays:
    """Head -> [b] classes that were asked for of an edit."""
    found = {}
    for text in self.asked:
      head, _, entry = text.partition("=")
      if entry.isdigit():
        found[head] = np.full(count, int(entry))
        continue
      classes = np.asarray(outputs.named(out, entry, "asked"))
      if classes.ndim == 2:
        classes = _of_edit(classes, at, text)
      found[head] = classes
    return found

  def _measured(
    self,
    source: np.ndarray,
    edit: np.ndarray,
    before: Arrays,
    after: Arrays,
    wanted: Arrays,
  ) -> Arrays:
    """Measure -> [b], percent where it is a share."""
    if source.shape != edit.shape:
      raise _other_shape(source, edit)
    each = lambda fn: np.array(
      [fn(a / 255, b / 255) for a, b in zip(source, edit, strict=True)]
    )
    found = {"psnr": each(restoration.psnr)}
    if min(source.shape[1:3]) >= WINDOW:
      found["ssim"] = each(restoration.ssim)
    if self.things:
      found["iou"] = seen.overlap(before["mask"], after["mask"])
    known = [head for head in after if head != "mask"]
    for head in known:
      found[f"same_{head}"] = 100.0 * (after[head] == before[head])
    for head, classes in wanted.items():
      if head not in known:
        raise _no_head(head, known)
      found[f"asked_{head}"] = 100.0 * (after[head] == classes)
      found[f"before_{head}"] = 100.0 * (before[head] == classes)
    return found

  def _teller(
    self, context: contexts.Context
  ) -> tuple[heads.Tell, dict[str, str]]:
    """(pictures -> what every head tells, and "mask"; protocol)."""
    run, details = (lambda images: {}), {}
    if self.workdir:
      key, which = "evals.<name>.workdir", self.workdir_weights
      found = heads.of_run(self.workdir, which, context.spec, key)
      run, details = found.tell, found.protocol

    def tell(images: np.ndarray) -> Arrays:
      found = run(images)
      if self.things:
        looked = seen.one(images)
        found |= {name: looked[name] for name in ("mask", "colour")}
      return found

    return tell, details


def _titled(edits: Mapping[tuple, np.ndarray]) -> Arrays:
  return {" ".join(map(str, at)): x for at, x in edits.items()}


def _of_edit(classes: np.ndarray, at: tuple, text: str) -> np.ndarray:
  """[b] of classes [b, k] that were asked for of k edits."""
  number = at[1] if len(at) > 1 else None
  if number is None or number >= classes.shape[1]:
    raise errors.UserError(
      f"evals.<name>.asked has {text!r}, {classes.shape[1]} classes of each "
      f"example, and edits have {' '.join(map(str, at))}",
      "as many edits as classes, or one class",
      "name another entry, or other edits",
      "evals.<name>.asked",
    )
  return classes[:, number]


def _other_shape(source: np.ndarray, edit: np.ndarray) -> errors.UserError:
  return errors.UserError(
    f"edits {edit.shape[1:]} of sources {source.shape[1:]}",
    "pictures of one shape",
    "name another entry",
    "evals.<name>.edits",
  )


def _no_head(head: str, known: list[str]) -> errors.UserError:
  return errors.UserError(
    f"evals.<name>.asked names the head {head!r}",
    f"one of {', '.join(known)}" if known else "a head, and nothing tells any",
    "correct it, or set evals.<name>.workdir or things=True",
    "evals.<name>.asked",
  )
