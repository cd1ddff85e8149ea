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

import contextlib
import dataclasses
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
from jmim.runlog import waits
from jmim.runlog import writer as writers
from jmim.session import agreement
from jmim.session import applied
from jmim.session import applied_aot
from jmim.session import applying
from jmim.session import checks
from jmim.session import fits
from jmim.session import given
from jmim.session import holding
from jmim.session import lock as locks
from jmim.session import results
from jmim.session import seen
from jmim.session import stopping
from jmim.session import watchdog

# What keeps results from being stored.
_WRONG = (errors.UserError, OSError)


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
  workdir = pathlib.Path(workdir)
  group = hosts.group(config.hardware.host_timeout)
  with (
    stopping.ending(jax.process_count()),
    watchdog.watching(config.hardware, group) as watch,
    contextlib.ExitStack() as closing,
  ):
    parts = _make(config, group)
    _check_folder(workdir)
    _check_evaluators(parts)
    lock = holding.hold(workdir, group, console.print)
    if lock:
      closing.callback(lock.release)
    _show(console, parts)
    desk = Desk(
      work=applying.Work(parts, during=watch.during),
      workdir=workdir,
      console=console,
      group=group,
      lock=lock,
    )
    try:
      _run(desk)
    except OSError as e:
      text = f"{workdir}: {errors.first_line(e)}"
      raise errors.NotSaved(text) from e
    finally:
      watch.turn_to(waits.END)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Desk:
  """What one process holds of an application.

  Attributes:
    work: the programs of the procedure.
    workdir: folder for what is made.
    console: prints, on the first host.
    group: the processes.
    lock: on the workdir, on the first host.
  """

  work: applying.Work
  workdir: pathlib.Path
  console: consoles.Console
  group: hosts.Group
  lock: locks.Lock | None

  def check_lock(self) -> None:
    """Raises UserError, on all hosts, if another process has the workdir."""
    check = self.lock.check if self.lock else lambda: None
    self.group.all_or_none("lock looked at", check, errors.UserError)


def _make(
  config: ml_collections.ConfigDict, group: hosts.Group
) -> applied.Parts:
  """The parts, in which all hosts agree."""
  find = lambda needs, key, rt: given.read(
    needs, key, open_it=opening.model, rt=rt
  )
  make = lambda: applied.make(config, find)
  parts = group.all_or_none("parts made", make, errors.UserError, patience=8)
  models = lambda: {name: x.sha256 for name, x in parts.given.items()}
  agreement.check_data(group, parts.sources, {}, models)
  return parts


def _run(desk: Desk) -> None:
  """Fits, applies, evaluates, stores.

  Raises:
    OSError: something cannot be written.
  """
  parts, during = desk.work.parts, desk.work.during
  where, fitted = _begin(desk)
  desk.group.barrier("fitted")
  for split in parts.config.apply.splits:
    _apply(desk, where / split, fitted)
    desk.group.barrier(f"applied {split}")
  context = results.Results(parts, where, during)
  _evaluate(desk, context)
  if parts.config.apply.store:
    first = jax.process_index() == 0
    store = lambda: results.store(parts, context, desk.console.print)
    with during(waits.STORE):
      desk.group.in_turn(
        "results stored", store if first else lambda: None, _WRONG
      )


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


def _begin(desk: Desk) -> tuple[pathlib.Path, dict]:
  """(folder of the results, what is fitted)."""
  parts, workdir, begun = desk.work.parts, desk.workdir, time.monotonic()
  fitted, line = fits.fitted(desk.work, workdir, desk.group)
  if parts.procedure.fits:
    desk.console.print(f"{line}, {time.monotonic() - begun:.1f} s")
  if jax.process_index():
    return results.folder(parts, workdir), fitted
  text = parts.config.to_json(indent=2)
  files.replace(workdir / "config.json", text + "\n")
  return results.begin(parts, workdir), fitted


def _apply(desk: Desk, where: pathlib.Path, fitted: dict) -> None:
  """Makes the parts of a split that are not there yet."""
  work, say = desk.work, desk.console.print
  split, pictures = where.name, work.parts.procedure.pictures()
  first = jax.process_index() == 0
  held = seen.held(desk.group, where, lambda x: say(x, style="yellow"))
  index = applying.asked(work.parts, split)
  missing = index[~np.isin(index, held)]
  begun, made = time.monotonic(), 0
  for rows in work.results(split, missing, fitted) if len(missing) else ():
    made += len(rows["index"])
    lap, begun = time.monotonic() - begun, time.monotonic()
    desk.check_lock()
    name = "a part"
    if first:
      with work.during(waits.WRITE):
        name = results.add(where, rows, pictures)
    say(f"{split} {name}: {len(rows['index'])} examples, {lap:.1f} s")
  say(f"done: {len(index)} examples in {where}, {made} of them new")


def _evaluate(desk: Desk, context: results.Results) -> None:
  """Runs the evaluators on the results; the numbers are of this start."""
  parts = desk.work.parts
  if not parts.evaluators:
    return
  writer = None
  if jax.process_index() == 0:
    writer = writers.Writer(desk.workdir, -1)
  runner.run(
    parts.evaluators,
    context,
    state=results.NO_STATE,
    console=desk.console,
    writer=writer,
    data=parts.config.data,
  )
  if writer:
    writer.close()
