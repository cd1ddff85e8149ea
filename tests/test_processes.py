"""Runs in processes of their own: signals, hosts that differ or die."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from jmim.checkpoints import store as checkpoint
from jmim.parallel import hosts
from jmim.runlog import writer

ROOT = pathlib.Path(__file__).resolve().parents[1]
RECIPE = ROOT / "tests" / "tools" / "crash_recipe.py"

pytestmark = pytest.mark.slow


# argv: what never comes back, after how many calls that do, how many seconds a
# watchdog may wait ("": as the config says), then those of jmim.
STUCK = """
import builtins, importlib, itertools, sys, time

place, good, seconds = sys.argv[1:4]
del sys.argv[1:4]

from jmim import main
from jmim.session import watchdog

since = []  # when it was stuck

class Watchdog(watchdog.Watchdog):

  def __init__(self, *args, **more):
    # Its clock stands still before: what goes on may be ever so slow.
    now = lambda: time.monotonic() - since[0] if since else 0.0
    args = (float(seconds), *args[1:]) if seconds else args
    super().__init__(*args, **more, now=now)

watchdog.Watchdog = Watchdog
module, _, path = place.partition(":")
owner = importlib.import_module(module)
*outer, name = path.split(".")
for each in outer:
  owner = getattr(owner, each)
before, calls = getattr(owner, name, None), itertools.count()
before = before or getattr(builtins, name)

def never_returns(*args, **kwargs):
  if next(calls) >= int(good):
    since.append(time.monotonic())
    time.sleep(100_000)
  return before(*args, **kwargs)

setattr(owner, name, never_returns)
main.run()
"""


def launch(*flags, stuck=()):
  """A process, whose lines can be read while it goes on.

  `stuck`: the first words of `STUCK`, if something is to be.
  """
  program = ("-c", STUCK, *stuck) if stuck else ("-m", "jmim.main")
  flag = "--xla_force_host_platform_device_count=2"
  return subprocess.Popen(
    [sys.executable, "-u", *program, *flags],
    cwd=ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
    env={**os.environ, "XLA_FLAGS": flag},
    start_new_session=True,
  )


def start(workdir, *flags, stuck=()):
  """A long run."""
  return launch(
    f"--config={RECIPE}:steps=100000",
    f"--workdir={workdir}",
    f"--config.data.data_dir={workdir.parent / 'data'}",
    "--config.evals.recon=None",
    "--config.evals.loss=None",
    *flags,
    stuck=stuck,
  )


def meeting():
  """Flags of two processes."""
  with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    where = f"--coordinator=127.0.0.1:{probe.getsockname()[1]}"
  return [(where, "--processes=2", f"--process={i}") for i in range(2)]


def pair(workdir, *flags, own=((), ()), stuck=((), ())):
  """Two processes of one run."""
  patience = "--config.hardware.host_timeout=60"
  return [
    start(workdir, *here, patience, *flags, *own[i], stuck=stuck[i])
    for i, here in enumerate(meeting())
  ]


def until_it_trains(process):
  """Reads its lines up to the second log line."""
  found = []
  for line in process.stdout:
    found.append(line)
    if sum(x.startswith("step ") for x in found) == 2:
      return
  pytest.fail("".join(found))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_the_exit_code_says_so(tmp_path, number):
  process = start(tmp_path / "run", "--config.train.checkpoint_steps=100000")
  until_it_trains(process)
  process.send_signal(number)
  out, _ = process.communicate()
  assert process.returncode == 75, out
  step = checkpoint.Checkpoints(tmp_path / "run", write=False).latest()
  name = signal.Signals(number).name
  assert step >= 8 and f"stopped: {name} at step {step}: saved" in out
  assert "Traceback" not in out


def test_a_signal_while_it_compiles_ends_at_once(tmp_path):
  process = start(tmp_path / "run", "--config.hardware.compile_cache=")
  assert any(line.startswith("peak ") for line in process.stdout)
  process.send_signal(signal.SIGTERM)
  out, _ = process.communicate()
  assert process.returncode == 75, out
  assert "SIGTERM before the first step" in out and "compiled in" not in out


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once(tmp_path, number):
  """One that waits for a host which stands still, and is told twice."""
  first, second = pair(tmp_path / "run")
  until_it_trains(first)
  second.send_signal(signal.SIGSTOP)
  first.send_signal(number)
  said = f"{signal.Signals(number).name}: saving at the next step"
  assert any(said in line for line in first.stdout)
  first.send_signal(number)
  assert first.wait() == 128 + number
  second.kill()
  second.wait()


def test_one_of_two_hosts_is_told_and_both_save_the_same_step(tmp_path):
  first, second = pair(tmp_path / "run")
  until_it_trains(first)
  second.send_signal(signal.SIGTERM)
  outs = [p.communicate()[0] for p in (first, second)]
  assert (first.returncode, second.returncode) == (75, 75), "\n".join(outs)
  step = checkpoint.Checkpoints(tmp_path / "run", write=False).latest()
  assert all(f"at step {step}: saved" in out for out in outs)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_host_that_dies_or_is_paused_ends_the_other(tmp_path, number):
  first, second = pair(tmp_path / "run")
  until_it_trains(first)
  second.send_signal(number)
  out, _ = first.communicate()  # a hang would be one of this test
  second.kill()
  second.communicate()
  # As hosts missing, or the runtime gave up: 134 of a shell.
  assert first.returncode in (5, -signal.SIGABRT), out


# Hosts that meet may be slow; the stuck one loses its patience soon.
SLOW = "--config.hardware.host_timeout=600"
SOON = "5"


def all_end(processes, *words):
  """Each says why, and ends with 5; what the last one says has some words."""
  outs = [p.communicate()[0] for p in processes]  # a hang would be one of ours
  shown = "\n\n".join(outs)
  assert {p.returncode for p in processes} == {5}, shown
  for out in outs:
    assert "; its threads:" in out and "the run stood still" in out, shown
  for word in (*words, "in never_returns"):
    assert word in outs[-1], shown


@pytest.mark.parametrize("count", (1, 2))
def test_a_host_that_is_stuck_but_alive_ends_all(tmp_path, count):
  """Its read of step 12 never comes back; its heart goes on beating."""
  place, run = ("jmim.session.batches:Batches.__next__", "11"), tmp_path / "run"
  flags = ("--config.train.log_steps=4",)
  if count == 1:
    patience = "--config.hardware.host_timeout=10"
    all_of_them = [start(run, *flags, patience, stuck=(*place, ""))]
  else:
    all_of_them = pair(run, *flags, SLOW, stuck=((), (*place, SOON)))
  all_end(all_of_them, "no step for", "waiting for a batch")


DIGITS = (
  "--config.data.name=digits/plain",
  "--config.data.batch=16",
  "--config.data.size=8",
  "--config.data.channels=1",
  "--config.data.mean=(0.5,)",
  "--config.data.std=(0.5,)",
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
  """Flags of a run of two steps that makes digits."""
  folder = tmp_path_factory.mktemp("finished")
  flags = (
    "--config=configs/dit_digits.py:steps=2,patch=4",
    *DIGITS,
    f"--workdir={folder / 'run'}",
    f"--config.data.data_dir={folder / 'data'}",
    "--config.schedule.warmup_steps=0",
    "--config.method.dims.width=16",
    "--config.method.dims.depth=1",
    "--config.method.dims.heads=2",
    "--config.method.noise.times=20",
    "--config.method.sampling.steps=2",
    "--config.evals.samples=None",
  )
  process = launch(*flags)
  out, _ = process.communicate()
  assert process.returncode == 0, out
  return folder, flags


QUICK = "--config.hardware.host_timeout=1"


@pytest.mark.parametrize("count", (1, 2))
def test_an_evaluation_that_is_stuck_ends_all_hosts(finished, count):
  """The read of its third batch never comes back."""
  flags, place = ("--mode=eval", *finished[1]), ("jmim.runlog.waits:next", "2")
  if count == 1:
    all_of_them = [launch(*flags, QUICK, stuck=(*place, ""))]
  else:
    first, second = meeting()
    all_of_them = [
      launch(*flags, SLOW, *first),
      launch(*flags, SLOW, *second, stuck=(*place, SOON)),
    ]
  all_end(all_of_them, "no batch for", "waiting for a batch")


def test_a_signal_ends_an_evaluation_of_several_hosts(finished):
  """JAX's service takes SIGTERM for itself, and nobody would ask it."""
  stuck = ("jmim.runlog.waits:next", "0", "")
  flags = ("--mode=eval", *finished[1], SLOW)
  both = [launch(*flags, *here, stuck=stuck) for here in meeting()]
  assert any(line.startswith("data.train") for line in both[0].stdout)
  for process in both:  # both have met by then
    process.send_signal(signal.SIGTERM)
  outs = [p.communicate()[0] for p in both]
  assert [p.returncode for p in both] == [75, 75], "\n".join(outs)
  assert all("SIGTERM: there is nothing to save" in out for out in outs)


def test_samples_that_are_stuck_end(finished):
  """The second part never comes from the devices."""
  place = ("jmim.evals.lib.predict:require_finite", "1", "")
  flags = ("--mode=sample", *finished[1], "--num=8", "--config.sample.batch=4")
  process = launch(*flags, QUICK, stuck=place)
  all_end([process], "no output samples for", "waiting for the devices")


def test_a_procedure_that_is_stuck_ends(finished, tmp_path):
  """Its results cannot be written."""
  folder, _ = finished
  process = launch(
    "--mode=apply",
    "--config=configs/img2img_digits.py",
    *DIGITS,
    QUICK,
    f"--workdir={tmp_path}",
    f"--config.data.data_dir={folder / 'data'}",
    f"--config.procedure.source.path={folder / 'run'}",
    "--config.apply.num=20",
    stuck=("jmim.session.samples:write", "1", ""),
  )
  all_end([process], "no file for", "waiting for results to be written")


def test_hosts_with_different_configs_are_told(tmp_path):
  both = pair(tmp_path / "run", own=((), ("--config.seed=1",)))
  for process in both:
    out, _ = process.communicate()
    assert process.returncode == 2, out
    assert "the config of hosts 1 is not that of host 0" in out
  assert not (tmp_path / "run").exists()


def test_a_host_that_never_comes_is_named(tmp_path):
  code = (
    "import sys, jax, time\n"
    "from jmim.core import errors\n"
    "from jmim.parallel import hosts\n"
    "i = int(sys.argv[1])\n"
    "jax.distributed.initialize(sys.argv[2], 3, i)\n"
    "if i == 1: time.sleep(4)\n"
    "try: hosts.Group(2, i, 3).barrier('there')\n"
    "except errors.HostsMissing as e: print(i, e, flush=True)\n"
    "if i == 0: time.sleep(4)\n"
    "import os; os._exit(0)\n"
  )
  with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    where = f"127.0.0.1:{probe.getsockname()[1]}"
  all_three = [
    subprocess.Popen(
      [sys.executable, "-c", code, str(i), where],
      cwd=ROOT,
      stdout=subprocess.PIPE,
      text=True,
    )
    for i in range(3)
  ]
  outs = [p.communicate()[0] for p in all_three]
  assert "hosts 1 of 3 did not reach 'there' within 2 s" in outs[0]


def losses(workdir, processes, devices):
  """Of 20 steps of a toy MAE, in that many processes of this machine."""
  script = str(ROOT / "launch" / "multiprocess.sh")
  done = subprocess.run(
    [
      script,
      str(processes),
      "--",
      f"--config={RECIPE}:steps=20",
      f"--workdir={workdir}",
      f"--config.data.data_dir={workdir.parent}/data",
      "--config.evals.recon=None",
      "--config.evals.loss=None",
      "--config.train.log_steps=1",
      "--config.train.checkpoint_steps=10",
    ],
    cwd=ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
    check=False,
    env={
      **os.environ,
      "JMIM_CPU_DEVICES": str(devices),
      "XLA_FLAGS": "",
      "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}",
    },
  )
  assert done.returncode == 0, done.stdout
  lines = writer.read(workdir)
  return [(x["loss"], x["grad_norm"]) for x in lines]


def test_two_processes_of_four_devices_are_one_of_eight(tmp_path):
  """Also where one of them goes on from a checkpoint of the other."""
  places = {"one": (1, 8), "two": (2, 4)}
  alone, two = (losses(tmp_path / n, *at) for n, at in places.items())
  assert len(alone) == 20 and alone == two  # bit by bit
  for name, other in (("one", "two"), ("two", "one")):
    cut = tmp_path / f"{name}_then_{other}"
    shutil.copytree(tmp_path / name, cut)
    shutil.rmtree(cut / "checkpoints" / "20")
    (cut / "metrics.jsonl").write_text("")  # of all steps: those it does
    found = losses(cut, *places[other])
    assert found == alone[10:], name


def test_alone_there_is_nobody_to_wait_for():
  assert hosts.gather("x", "a", seconds=1, index=0, count=1) == {0: "a"}
  group = hosts.Group()
  group.barrier("x")
  group.agree("x", {"code": "1"}, "nothing")
