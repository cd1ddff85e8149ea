"""What hosts decide together: two processes, one of which has bad luck."""

import ctypes
import errno
import io
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tarfile

import jax
import numpy as np
import PIL.Image
import pytest
from absl import flags

from jmim.checkpoints import folder as saved
from jmim.checkpoints import intact as fallback
from jmim.checkpoints import store as checkpoint
from jmim.core import config as configs
from jmim.core import errors
from jmim.data import sources
from jmim.data import tar_index
from jmim.parallel import hosts
from jmim.runlog import console as consoles
from jmim.session import agreement
from jmim.session import session as sessions

HERE = pathlib.Path(__file__).parent

pytestmark = pytest.mark.slow


# --- what runs in the processes


def joined(index, where, seconds=20):
  """The group, once both are there."""
  flags.FLAGS(["test"])
  jax.config.update("jax_cpu_collectives_implementation", "gloo")
  hosts.start(where, 2, index, 60)
  return hosts.group(seconds)


def state(step, like=False):
  """Sharded over both processes; `like`: its shapes only."""
  mesh = jax.sharding.Mesh(jax.devices(), ("fsdp",))
  spec = jax.sharding.PartitionSpec("fsdp")
  where = jax.sharding.NamedSharding(mesh, spec)
  values = np.arange(64, dtype=np.float32).reshape(8, 8) * step
  shape = jax.ShapeDtypeStruct(values.shape, values.dtype, sharding=where)
  make = jax.make_array_from_callback
  found = make(values.shape, where, lambda at: values[at])
  return {"params": {"w": shape if like else found}}


def as_saved(found, step):
  """Whether the part of a restored state that is here is that of a step."""
  pairs = zip(
    found["params"]["w"].addressable_shards,
    state(step)["params"]["w"].addressable_shards,
    strict=True,
  )
  return all(np.array_equal(a.data, b.data) for a, b in pairs)


def fall_back(index, where, folder):
  """The newest cannot be read on host 1, of the next the meta data."""
  store = checkpoint.Checkpoints(folder, 9, group=joined(index, where))
  for step in (1, 2, 3):
    store.save(step, state(step), {})
  store.wait()
  if index == 1:
    arrays, meta = saved.arrays, saved.meta

    def unlucky(read, step):
      def broken(at, *rest):
        if at.name == str(step):
          raise saved.damaged(at, OSError(errno.EIO, "bad luck"))
        return read(at, *rest)

      return broken

    saved.arrays, saved.meta = unlucky(arrays, 3), unlucky(meta, 2)
  said = []
  step, found, _ = fallback.restore(store, state(1, like=True), said.append)
  assert as_saved(found, 1) and len(said) == 3, said
  print(said)
  store.save(3, state(3), {})  # both go on alike
  store.wait()
  print("RESULT", step, store.steps())
  store.close()


def cannot_write(index, where, folder):
  """The disk of host 1 is full from its nth write call on, then well again."""
  shim = ctypes.CDLL(None)
  # Orbax gives the other host up after four times as long.
  store = checkpoint.Checkpoints(folder, 99, group=joined(index, where, 2))
  store.save(1, state(1), {})
  store.wait()
  failures = []
  for step, n in ((2, 1), (4, 4), (6, 9)):
    if index == 1:
      shim.fault_arm(n, errno.ENOSPC, 1)
    try:
      store.save(step, state(step), {})
      store.wait()
    except errors.NotSaved as e:
      failures.append(step)
      print(e)
    if index == 1:
      shim.fault_arm(0, 0, 0)
    store.save(step + 1, state(step + 1), {})
    store.wait()
  for step in store.steps():
    assert as_saved(store.restore(step, state(1, like=True)), step)
  print("RESULT", failures, store.steps())
  store.close()


def other_disk(index, where, folder):
  """Each has a workdir of its own."""
  group = joined(index, where)
  try:
    values = {"newest checkpoint": str(index)}
    group.agree("resume", values, "share a disk", dict.fromkeys(values, "--w"))
  except errors.UserError as e:
    print("RESULT", e.seen)


def other_data(index, where, folder):
  """One sees more examples, and is told no by the user's lock."""
  del folder
  group = joined(index, where)
  images = np.zeros((4 + index, 2, 2, 3), np.uint8)
  source = sources.ArraySource({"image": images})

  def taken():
    if index:
      raise errors.UserError("taken", "free", "wait", "--workdir")

  for act in (
    lambda: agreement.check_data(group, {"train": source}, {}, dict),
    lambda: group.all_or_none("lock", taken, errors.UserError),
  ):
    try:
      act()
    except errors.UserError as e:
      print("RESULT", e.seen, e.key)


def one_index(index, where, folder):
  """Both open the same shards; how many each reads."""
  group, read, shards = joined(index, where), tar_index.read, []

  def counted(path):
    shards.append(path)
    return read(path)

  tar_index.read = counted
  config = configs.base()
  config.method = configs.section(type="mim.mae", size=8)
  config.method.dims = configs.section(variant="Ti/4")
  config.data.update(
    name="tar", data_dir=str(folder), batch=4, size=8, eval_share=0.5
  )
  config.train.total_steps = 1
  console = consoles.Console(quiet=True)
  parts = sessions._make(config, group, console, folder / "run/index")
  print("RESULT", len(parts.sources["train"]), len(shards))


# --- the tests


def two(what, folder, env):
  """Results of both processes."""
  with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    where = f"127.0.0.1:{probe.getsockname()[1]}"
  code = (
    f"import sys; sys.path[:0] = [{str(HERE)!r}, {str(HERE.parent)!r}]\n"
    "import test_two_hosts as t, pathlib\n"
    f"t.{what}(int(sys.argv[1]), {where!r}, pathlib.Path({str(folder)!r}))\n"
  )
  devices = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
  both = [
    subprocess.Popen(
      [sys.executable, "-c", code, str(i)],
      text=True,
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      env={**os.environ, **devices, **env},
    )
    for i in range(2)
  ]
  outs = [p.communicate()[0] for p in both]
  assert [p.returncode for p in both] == [0, 0], "\n\n".join(outs)
  lines = [x for out in outs for x in out.splitlines()]
  return outs, [x.removeprefix("RESULT ") for x in lines if x[:6] == "RESULT"]


def test_damage_that_one_host_sees_makes_all_fall_back(tmp_path):
  outs, results = two("fall_back", tmp_path / "run", {})
  assert results == ["1 [1, 3]"] * 2
  assert "host 1: " in outs[0] and "host 1: " not in outs[1]
  assert {p.name for p in (tmp_path / "run/damaged").iterdir()} == {"2", "3"}


def test_a_disk_that_is_full_for_one_host_stops_all(tmp_path):
  if not shutil.which("cc") or sys.platform != "linux":
    pytest.skip("needs a C compiler, on Linux")
  library = tmp_path / "write_faults.so"
  source = HERE / "checkpoints" / "write_faults.c"
  command = ["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"]
  subprocess.run(command, check=True)
  env = {"LD_PRELOAD": str(library), "FAULT_DIR": str(tmp_path / "run")}
  outs, results = two("cannot_write", tmp_path / "run", env)
  assert results[0] == results[1], "\n\n".join(outs)
  assert results[0] == "[2, 4, 6] [1, 3, 5, 7]"


def test_hosts_with_other_data_end_and_errors_reach_all(tmp_path):
  _, results = two("other_data", tmp_path, {})
  seen = "the number of examples of data.train of hosts 1 is not that of host 0"
  seen += " (5, not 4) data.data_dir"
  assert results == [seen, "host 1: taken --workdir", seen, "taken --workdir"]


def test_the_first_host_indexes_shards_for_all(tmp_path):
  pixels = io.BytesIO()
  PIL.Image.new("RGB", (8, 8)).save(pixels, "PNG")
  for shard in range(3):
    with tarfile.open(tmp_path / f"train-{shard}.tar", "w") as tar:
      for i in range(4):
        info = tarfile.TarInfo(f"{i}.png")
        info.size = len(pixels.getvalue())
        tar.addfile(info, io.BytesIO(pixels.getvalue()))
  _, results = two("one_index", tmp_path, {})
  assert results == ["6 3", "6 0"]
  assert len(list((tmp_path / "run/index").iterdir())) == 1


def test_hosts_that_see_different_checkpoints_end(tmp_path):
  _, results = two("other_disk", tmp_path, {})
  seen = "the newest checkpoint of hosts 1 is not that of host 0 (1, not 0)"
  assert results == [seen, seen]
