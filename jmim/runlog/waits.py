"""What a run waits for, by kind, and how patiently.

Whoever waits says so, `with during(waits.BATCH): ...`; a watchdog
(`session.watchdog`) knows how long each kind may take.
"""

import contextlib
import dataclasses
from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Iterator
from typing import Any

DEVICES = "the devices, or another host's"


@dataclasses.dataclass(frozen=True)
class Kind:
  """What takes about as long each time.

  Attributes:
    name: of what does not come.
    of: whom it is waited for; "": it depends on what is measured then.
    first: times `hardware.host_timeout` that it may take until one was
      measured; 0: nobody knows how long that is, so a day.
    later: the same from then on, or what `hardware.stall_factor` allows.
    key: tells kinds of one name apart.
  """

  name: str
  of: str = ""
  _: dataclasses.KW_ONLY
  first: int = 0
  later: int = 8
  key: Hashable = None


Measure = Callable[[Kind], contextlib.AbstractContextManager[Any]]

# All before the first step, or the first result, that has no kind of its own:
# lists of files, compilers. It has no measure, ever.
START = Kind("start", later=0)
STEP = Kind("step", first=8, later=1)
BATCH = Kind(
  "batch", "a batch (the disk of the data, or its workers)", first=8, later=1
)
# Its reader is only being started, and what it reads is in no cache.
FIRST_BATCH = Kind("first batch", BATCH.of, first=8)
# Other hosts, whose part is written, wait as long.
SAVE = Kind("save", "a checkpoint to be written", first=8)
RESTORE = Kind("restore", "a checkpoint to be read", first=8)
TRACE = Kind("trace", "a trace to be written", first=8)
LOOK = Kind("look at spikes", first=8)
DIAGNOSIS = Kind("diagnosis", DEVICES)
WRITE = Kind("file", "results to be written", first=8)
EVALUATIONS = Kind("evaluations", "evaluations", first=8)
FIT = Kind("fit", "what a procedure fits")
STORE = Kind("stored data set", "a data set to be written")
END = Kind("end", "the last files of a run to be written", first=8)


def evaluation(name: str) -> Kind:
  """All of an evaluator, apart from what has a kind of its own in there."""
  return Kind(f"evaluation {name}", "an evaluation")


def output(name: str, key: Hashable = None) -> Kind:
  """What a program gives; the first is compiled, which nobody can foresee.

  Args:
    name: of the output.
    key: what it is compiled for, if it is for more than one thing.
  """
  return Kind(f"output {name}", DEVICES, key=key)


def nothing(kind: Kind) -> contextlib.AbstractContextManager[None]:
  """A `Measure` where nobody watches."""
  del kind
  return contextlib.nullcontext()


def batches(stream: Iterator[Any], during: Measure) -> Iterator[Any]:
  """The items of a stream, with each of them waited for as a batch.

  Closing it, or dropping it, closes the stream.
  """
  kind, end = FIRST_BATCH, object()
  with contextlib.closing(stream):
    while True:
      with during(kind):
        item = next(stream, end)
      if item is end:
        return
      yield item
      kind = BATCH
