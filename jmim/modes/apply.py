"""--mode=apply: what a procedure makes of examples with frozen models.

    python -m jmim.main --mode=apply --config=configs/img2img_digits.py \
      --workdir=runs/edited --config.procedure.source.path=runs/digits

The result of example i is a function of (seed, i) and of nothing else: not of
the batch, the number of devices, or of how many are asked for. A fit, where the
procedure has one, is made once and kept; results are written in parts with a
picture beside each, `applied/<settings>/<split>/part_00000.npz`. The same
command resumes, and a larger apply.num continues. Then the evaluators of the
recipe look at them, and apply.store=NAME makes a data set of them.
"""

import functools
import pathlib
import time

import jax
import ml_collections
import numpy as np

from jmim.convert import opening
from jmim.core import errors
from jmim.core import files
from jmim.evals.lib import runner
from jmim.parallel import hosts
from jmim.runlog import console as consoles
from jmim.runlog import writer as writers
from jmim.session import agreement
from jmim.session import applied
from jmim.session import applied_aot
from jmim.session import applying
from jmim.session import checks
from jmim.session import fits
from jmim.session import given
from jmim.session import lock as locks
from jmim.session import results
from jmim.session import samples


def run(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> None:
  """Fits, applies, evaluates, stores; continues what is in workdir.

  Args:
    config: of a procedure.
    workdir: folder for what is made.

  Raises:
    UserError: a mistake in the config, the models or the data; or results that
      are no finite numbers.
    NotSaved: the workdir cannot be written.
  """
  console = consoles.Console(quiet=jax.process_index() != 0)
  find = lambda needs, key, rt: given.read(
    needs, key, open_it=opening.model, rt=rt
  )
  group = hosts.group(config.hardware.host_timeout)
  make = lambda: applied.make(config, find)
  parts = group.all_or_none("parts made", make, errors.UserError, patience=8)
  models = lambda: {name: x.sha256 for name, x in parts.given.items()}
  agreement.check_data(group, parts.sources, {}, models)
  workdir = pathlib.Path(workdir)
  _check_folder(workdir)
  _check_evaluators(parts)
  lock = locks.hold(workdir, group, console.print)
  try:
    _show(console, parts)
    work = applying.Work(parts)
    where, fitted = _begin(work, workdir, console)
    group.barrier("fitted")
    for split in parts.config.apply.splits:
      if jax.process_index() == 0:
        for line in samples.tidy(where / split):
          console.print(line, style="yellow")
      group.barrier(f"tidied {split}")  # before others look at what is held
      _apply(work, where / split, fitted, console)
      group.barrier(f"applied {split}")
    context = results.Results(parts, where)
    _evaluate(parts, context, workdir, console)
    if parts.config.apply.store and jax.process_index() == 0:
      results.store(parts, context, console.print)
  except OSError as e:
    text = f"{workdir}: {errors.first_line(e)}"
    raise errors.NotSaved(text) from e
  finally:
    if lock:
      lock.release()


def _check_folder(workdir: pathlib.Path) -> None:
  """Raises UserError for the workdir of a run that is trained."""
  if (workdir / "checkpoints").is_dir():
    raise errors.UserError(
      f"{workdir} has checkpoints of a run",
      "a folder for what a procedure makes",
      "choose another --workdir",
      "--workdir",
    )


def _check_evaluators(parts: applied.Parts) -> None:
  """Raises UserError for an evaluator that cannot work on the results."""
  traced = functools.cache(functools.partial(applied_aot.widths, parts))
  widths = lambda names: traced(tuple(names))
  for name, evaluator in parts.evaluators.items():
    if evaluator.train_split:
      raise errors.UserError(
        f"evals.{name}.train_split={evaluator.train_split!r}",
        "results: of another split there are none",
        "leave it empty, or remove the evaluator",
        f"evals.{name}.train_split",
      )
    asked, known = evaluator.predict, (applied.OUTPUT,)
    entries = [asked] if isinstance(asked, str) else asked
    entries = [entry for entry in entries if "/" in entry]
    if entries and set(entries) - widths(known).keys():
      raise errors.UserError(
        f"evals.{name}.predict={asked!r}",
        f"one of {', '.join(widths(known))}",
        "ask for one of these",
        f"evals.{name}.predict",
      )
  checks.check_evaluators(parts.evaluators, parts.sources, {}, widths)


def _show(console: consoles.Console, parts: applied.Parts) -> None:
  """Prints what is going to be done."""
  config = parts.config
  data = config.data.name or "numbers"
  console.print(f"jmim: {config.procedure.type} on {data}", style="bold")
  for name, one in parts.given.items():
    kind = one.config.method.type
    path = config.procedure[name].path
    console.print(f"{name}: {kind} of {path}, arrays {one.sha256[:12]}")


def _begin(
  work: applying.Work, workdir: pathlib.Path, console: consoles.Console
) -> tuple[pathlib.Path, dict]:
  """(folder of the results, what is fitted)."""
  begun = time.monotonic()
  fitted, line = fits.fitted(work, workdir)
  if work.parts.procedure.fits:
    console.print(f"{line}, {time.monotonic() - begun:.1f} s")
  if jax.process_index():
    return results.folder(work.parts, workdir), fitted
  text = work.parts.config.to_json(indent=2)
  files.replace(workdir / "config.json", text + "\n")
  return results.begin(work.parts, workdir), fitted


def _apply(
  work: applying.Work,
  where: pathlib.Path,
  fitted: dict,
  console: consoles.Console,
) -> None:
  """Makes the parts of a split that are not there yet."""
  parts, split = work.parts, where.name
  first = jax.process_index() == 0
  index = applying.asked(parts, split)
  missing = index[~np.isin(index, samples.held(where))]
  begun, made = time.monotonic(), 0
  for rows in work.results(split, missing, fitted) if len(missing) else ():
    made += len(rows["index"])
    lap, begun = time.monotonic() - begun, time.monotonic()
    name = "a part"
    if first:
      name = results.add(where, rows, parts.procedure.pictures())
    console.print(f"{split} {name}: {len(rows['index'])} examples, {lap:.1f} s")
  console.print(f"done: {len(index)} examples in {where}, {made} of them new")


def _evaluate(
  parts: applied.Parts,
  context: results.Results,
  workdir: pathlib.Path,
  console: consoles.Console,
) -> None:
  """Runs the evaluators on the results; the numbers are of this start."""
  if not parts.evaluators:
    return
  writer = None
  if jax.process_index() == 0:
    writer = writers.Writer(workdir, -1)
  runner.run(
    parts.evaluators,
    context,
    state=results.NO_STATE,
    console=console,
    writer=writer,
    data=parts.config.data,
  )
  if writer:
    writer.close()
