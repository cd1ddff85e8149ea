"""Real processes on loopback: together their devices hold the same batches."""

import os
import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest

from jmim.data import feed
from jmim.data import pipeline
from jmim.data import sources

ROOT = pathlib.Path(__file__).resolve().parents[2]
START, STEPS = 10**6, 3
WORKERS = {1: 0, 2: 1, 4: 3}  # processes that decode, by the number of hosts


def main(where, count, index, out):
  """One of the processes: writes what its devices hold."""
  import jax  # noqa: PLC0415

  from jmim.parallel import hosts  # noqa: PLC0415
  from jmim.parallel import sharding  # noqa: PLC0415

  if int(count) > 1:
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    hosts.start(where, int(count), int(index), 60)
  assert len(jax.devices()) == 4
  sizes = dict.fromkeys(sharding.AXES, 1) | {"data": 2, "fsdp": 2}
  mesh = sharding.make_mesh(sizes)
  rng = np.random.default_rng(0)
  source = sources.ArraySource(
    {
      "image": rng.integers(0, 256, (37, 12, 12, 3), np.uint8),
      "label": np.arange(37),
    }
  )
  spec = pipeline.Spec(
    batch=8,
    size=8,
    host_crop="resized",
    seed=3,
    threads=1,
    workers=WORKERS[int(count)],
  )
  stream = feed.batches(
    source,
    spec,
    names=("image", "label"),
    where=sharding.batch_sharding(mesh),
    start=START,
  )
  found = {}
  for step in range(STEPS):
    for name, x in next(stream).items():
      for shard in x.addressable_shards:
        first = shard.index[0].start or 0
        found[f"{name}/{step}/{first}"] = np.asarray(shard.data)
  stream.close()
  np.savez(f"{out}/{index}.npz", **found)


def held(folder, count):
  """name/step/first row -> rows, of all processes."""
  with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    where = f"127.0.0.1:{probe.getsockname()[1]}"
  folder.mkdir()
  flag = f"--xla_force_host_platform_device_count={4 // count}"
  code = (
    f"import sys; sys.path[:0] = [{str(pathlib.Path(__file__).parent)!r}, "
    f"{str(ROOT)!r}]; import test_loopback; test_loopback.main(*sys.argv[1:])"
  )
  processes = [
    subprocess.Popen(
      [sys.executable, "-c", code, where, str(count), str(i), str(folder)],
      env={**os.environ, "XLA_FLAGS": flag},
      stderr=subprocess.PIPE,
      text=True,
    )
    for i in range(count)
  ]
  for process in processes:
    _, err = process.communicate()
    assert process.returncode == 0, err
  found = {}
  for i in range(count):
    for name, rows in np.load(folder / f"{i}.npz").items():
      assert name not in found  # each row is on one device of one process
      found[name] = rows
  return found


@pytest.mark.slow
def test_hosts_and_workers_do_not_change_the_global_batches(tmp_path):
  whole = held(tmp_path / "1", 1)
  assert len(whole) == 2 * STEPS * 4
  for count in (2, 4):
    found = held(tmp_path / str(count), count)
    assert found.keys() == whole.keys()
    for name, rows in whole.items():
      assert found[name].tobytes() == rows.tobytes(), (count, name)
