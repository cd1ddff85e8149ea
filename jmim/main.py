"""The command line: one mode trains, the others look at a run or a recipe.

    jmim --config=mae_digits --workdir=runs/digits
    jmim --config=mae_imagenet:variant=L/16,size=224 --config.optim.lr=1e-3 ...
    jmim --list                          recipes; --config=path.py: your own
    jmim --help --config=mae_digits      its arguments and keys
    jmim doctor                          what is installed, and what is used

`python -m jmim.main` is the same.

Exit codes: 0 done, 2 a mistake of the user (one screen, no traceback),
3 diverged, 4 the workdir cannot be written, 5 hosts are missing, 75 asked to
stop (SIGTERM, SIGINT, maintenance) and saved: start it again; 130 or 143 ended
at once. See docs/faults.md.
"""

from jmim.parallel import malloc

if __name__ == "__main__":
  malloc.huge_pages()  # starts anew: before JAX is imported, not after

import importlib
import logging
import os
import sys
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

from jmim.core import errors
from jmim.core import files
from jmim.modes import flags
from jmim.runlog import streams
from jmim.screens import asked

# Imported when they are run: with them comes all of JAX's world.
MODES = {
  "train": "jmim.modes.train:run",
  "eval": "jmim.modes.evaluate:run",
  "replay": "jmim.modes.replay:run",
  "sample": "jmim.modes.sample:run",
  "apply": "jmim.modes.apply:run",
  "describe": "jmim.modes.describe:run",
  "dry_run": "jmim.modes.dry_run:run",
  "export": "jmim.modes.export:run",
  "doctor": "jmim.modes.doctor:run",
}
JOIN = "jmim.parallel.joining:join"


def main(overrides: Sequence[str]) -> None:
  """Loads the config and runs the chosen mode.

  Args:
    overrides: "key=value" items of --config.key=value flags.

  Raises:
    UserError: a mistake in flags or config.
  """
  mode, workdir, options = flags.mode(), flags.workdir(), flags.options()
  if mode in ("doctor", "describe"):
    streams.only_read()
  if mode == "doctor":
    _find(MODES[mode])(workdir)
    return
  if mode == "export":  # the config is that of the workdir
    if flags.has_recipe():
      flags.load_config(overrides)  # imports the method, if it is not ours
    _find(MODES[mode])(workdir, **options)
    return
  config = flags.load_config(overrides)
  if mode in ("describe", "dry_run"):  # neither data nor a run is needed
    _find(MODES[mode])(config, workdir, **options)
    return
  if workdir is None:
    raise errors.UserError(
      "no --workdir",
      "a folder for checkpoints, metrics and pictures",
      "add --workdir=runs/my_run",
      "--workdir",
    )
  files.check_writable(workdir, "--workdir")
  _find(JOIN)(config, *flags.processes())
  _find(MODES[mode])(config, workdir, **options)


def _find(name: str) -> Callable[..., Any]:
  """The function "module:function"."""
  module, _, function = name.partition(":")
  return getattr(importlib.import_module(module), function)


def parse(argv: Sequence[str]) -> list[str]:
  """Parses flags; returns the items of the --config.key=value ones.

  Raises:
    UserError: an unknown flag or a value that a flag does not take.
    SystemExit: after --help, --list, --version or --completion.
  """
  if screen := asked.screen(argv, __doc__):
    streams.only_read()
    print(screen)
    sys.exit(0)
  return flags.parse(asked.words(argv))


def cli() -> None:
  """What the command `jmim` and `python -m jmim.main` start."""
  malloc.huge_pages()
  if os.getcwd() not in sys.path:  # as `python -m jmim.main` has it
    sys.path.insert(0, os.getcwd())
  run()


def run() -> None:
  """Runs one command: errors of users become one screen and exit code 2."""
  with streams.patient():
    logging.basicConfig(format="%(levelname)s: %(message)s")
    _run()


def _run() -> None:
  try:
    main(parse(sys.argv))
  except errors.UserError as e:
    print(f"error:\n{e.screen()}", file=sys.stderr)
    sys.exit(errors.MISTAKE)
  except errors.Diverged as e:
    print(f"diverged: {e}", file=sys.stderr)
    sys.exit(errors.DIVERGED)
  except errors.NotSaved as e:
    print(f"not saved: {e}", file=sys.stderr, flush=True)
    sys.stdout.flush()
    # Threads of Orbax may go on waiting for what failed.
    os._exit(errors.NOT_SAVED)
  except errors.HostsMissing as e:
    print(f"hosts missing: {e}", file=sys.stderr, flush=True)
    os._exit(errors.HOSTS_MISSING)  # JAX would wait for them
  except errors.Preempted as e:
    print(f"stopped: {e}; the same command resumes", file=sys.stderr)
    sys.exit(errors.PREEMPTED)
  except KeyboardInterrupt:
    print("interrupted: the same command resumes", file=sys.stderr)
    sys.exit(130)


if __name__ == "__main__":
  cli()
