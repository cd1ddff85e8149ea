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


STUCK = """
import sys, time
from jmim import main
from jmim.session import batches

def never_returns(self, before=batches.Batches.__next__, count=[0]):
  count[0] += 1
  if count[0] == 12:
    time.sleep(10000)
  return before(self)

batches.Batches.__next__ = never_returns
main.run()
"""


def start(workdir, *flags, stuck=False):
  """A long run, whose lines can be read while it goes on.

  `stuck`: it waits for the batch of step 12, for ever.
  """
  command = [
    sys.executable,
    "-u",
    *(("-c", STUCK) if stuck else ("-m", "jmim.main")),
    f"--config={RECIPE}:steps=100000",
    f"--workdir={workdir}",
    f"--config.data.data_dir={workdir.parent / 'data'}",
    "--config.evals.recon=None",
    "--config.evals.loss=None",
    *flags,
  ]
  flag = "--xla_force_host_platform_device_count=2"
  return subprocess.Popen(
    command,
    cwd=ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
    env={**os.environ, "XLA_FLAGS": flag},
    start_new_session=True,
  )


def pair(workdir, *flags, own=((), ()), stuck=(False, False)):
  """Two processes of one run."""
  with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
  return [
    start(
      workdir,
      f"--coordinator=127.0.0.1:{port}",
      "--processes=2",
      f"--process={i}",
      "--config.hardware.host_timeout=60",
      *flags,
      *own[i],
      stuck=stuck[i],
    )
    for i in range(2)
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


@pytest.mark.parametrize("count", (1, 2))
def test_a_host_that_is_stuck_but_alive_ends_all(tmp_path, count):
  """Its read of step 12 never comes back; its heart goes on beating."""
  flags = (
    "--config.hardware.host_timeout=10",
    "--config.train.log_steps=4",
    # Of two that share a core each has a slowest step of its own; the first to
    # give up takes the other with it (134), before that has said anything.
    "--config.hardware.stall_factor=0.01",
  )
  run = tmp_path / "run"
  if count == 1:
    processes = [start(run, *flags, stuck=True)]
  else:
    processes = pair(run, *flags, stuck=(False, True))
  outs = [p.communicate()[0] for p in processes]
  assert "waiting for a batch" in outs[-1] and "never_returns" in outs[-1]
  assert all("the run stood still" in out for out in outs), "\n\n".join(outs)
  assert {p.returncode for p in processes} == {5}


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
