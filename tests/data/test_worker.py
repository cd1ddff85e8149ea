"""Worker processes: the same batches, and nothing left behind."""

import dataclasses
import itertools
import multiprocessing
import os
import pathlib
import signal
import subprocess
import sys

import numpy as np
import psutil
import pytest

from jmim.core import errors
from jmim.data import combine
from jmim.data import pipeline
from jmim.data import sources

pytestmark = pytest.mark.slow

_ROOT = pathlib.Path(__file__).parents[2]
_SPEC = pipeline.Spec(batch=8, size=32, host_crop="resized", threads=1, seed=3)


def _take(source, spec, n, start=0, host=0, hosts=1):
  stream = pipeline.training_batches(
    source, spec, start_step=start, process_index=host, process_count=hosts
  )
  batches = list(itertools.islice(stream, n))
  stream.close()
  return batches


def _assert_same(left, right):
  for a, b in zip(left, right, strict=True):
    assert a.keys() == b.keys()
    for name in a:
      np.testing.assert_array_equal(a[name], b[name])


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_change_nothing(workers):
  source = combine.Cached(sources.synthetic(40, 64), 10**6, workers)
  spec = dataclasses.replace(_SPEC, workers=workers)
  here = [
    _take(source, _SPEC, n=7, start=10**6, host=host, hosts=2)
    for host in (0, 1)
  ]
  there = [
    _take(source, spec, n=7, start=10**6, host=host, hosts=2) for host in (0, 1)
  ]
  _assert_same(here[0] + here[1], there[0] + there[1])
  whole = _take(source, _SPEC, 7, 10**6)
  for step, batch in enumerate(whole):
    joined = [shares[step]["image"] for shares in here]
    np.testing.assert_array_equal(np.concatenate(joined), batch["image"])
  assert not multiprocessing.active_children()


def test_a_mistake_in_a_worker_is_told_as_in_this_process():
  broken = sources.ArraySource({"image": [b"no image"] * 9})
  spec = dataclasses.replace(_SPEC, workers=1)
  with pytest.raises(errors.UserError, match="array element") as caught:
    _take(broken, spec, 1)
  assert caught.value.key == "data.on_bad_record"
  assert not multiprocessing.active_children()


# As the training loop does, signals only leave a note: raised anywhere, they
# would now and then be lost in a destructor.
_RUN = """
import signal
import sys
from jmim.data import pipeline, sources

if __name__ == "__main__":
  spec = pipeline.Spec(batch=8, size=32, host_crop="resized", workers=2)
  stream = pipeline.training_batches(sources.synthetic(40, 64), spec)
  heard = []
  for number in (signal.SIGINT, signal.SIGTERM):
    # The frame is dropped: it may be one of Grain, and hold a batch.
    signal.signal(number, lambda number, frame: heard.append(number))
  next(stream)
  print("ready", flush=True)
  if sys.argv[1] == "raise":
    raise ValueError("on purpose")
  for batch in stream:
    if heard:
      raise KeyboardInterrupt
"""


def _shared(family):
  """Shared memory that processes have mapped."""
  maps = [m.path for p in family for m in p.memory_maps()]
  return {pathlib.Path(m) for m in maps if m.startswith("/dev/shm/")}


@pytest.mark.parametrize("how", ["raise", "interrupt", "terminate", "kill"])
def test_nothing_is_left_however_the_parent_ends(how, tmp_path):
  script = tmp_path / "run.py"
  script.write_text(_RUN)
  parent = subprocess.Popen(
    [sys.executable, str(script), how],
    cwd=_ROOT,
    env={**os.environ, "PYTHONPATH": str(_ROOT), "JAX_PLATFORMS": "cpu"},
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
    start_new_session=True,
  )
  assert parent.stdout.readline() == "ready\n"
  family = []
  if how != "raise":
    me = psutil.Process(parent.pid)
    family = me.children(True)
    shared = _shared([me])
    assert shared
  if how == "interrupt":
    os.killpg(parent.pid, signal.SIGINT)
  elif how == "terminate":  # as a scheduler does: all of the group
    os.killpg(parent.pid, signal.SIGTERM)
  elif how == "kill":
    parent.kill()
  _, err = parent.communicate()
  psutil.wait_procs(family, timeout=60)
  assert not [p for p in family if p.is_running()]
  assert ("on purpose" in err) == (how == "raise")
  if how in ("interrupt", "terminate"):
    assert err.count("Traceback") == 1, err  # the parent's own
  if how == "raise":
    assert err.count("Traceback") == 1 and "leaked" not in err, err
  else:
    assert not [path for path in shared if path.exists()]
    assert how == "kill" or "leaked" not in err, err


def _resident():
  me = psutil.Process()
  return sum(p.memory_info().rss for p in [me, *me.children(recursive=True)])


def test_memory_stays_as_it_is_over_200_000_examples():
  images = np.zeros((1000, 16, 16, 3), np.uint8)
  spec = pipeline.Spec(batch=500, size=16, threads=1, workers=2)
  stream = pipeline.training_batches(
    sources.ArraySource({"image": images}), spec
  )
  for _ in itertools.islice(stream, 100):
    pass
  before = _resident()
  for _ in itertools.islice(stream, 400):
    pass
  after = _resident()
  stream.close()
  assert after < 1.05 * before
