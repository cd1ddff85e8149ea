"""launch/: what the scripts ask of gcloud, kubectl, srun and python.

Those are stubs here, which note their arguments and end as a test tells them.
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest
import yaml

from jmim.core import errors

LAUNCH = pathlib.Path(__file__).resolve().parents[1] / "launch"
# Notes its name and arguments, in one write as two may run at once, then does
# what the test wrote for it.
STUB = """#!/usr/bin/env bash
call="$(printf '%s\\037' "$(basename "$0")" "$@")"
printf '%s\\036' "$call" >>"$CALLS"
"""


class Desk:
  """A folder to start a script from, with programs that are stubs."""

  def __init__(self, path):
    self.path, self.calls_path = path, path / "calls"
    (path / "bin").mkdir()

  def stub(self, name, body=""):
    program = self.path / "bin" / name
    program.write_text(STUB + body)
    program.chmod(0o755)

  def start(self, script, *args, **env):
    env = {
      "PATH": f"{self.path / 'bin'}:{os.environ['PATH']}",
      "JMIM_BACKOFF": "0",
      "CALLS": str(self.calls_path),
      "HOME": str(self.path),
      "TMPDIR": str(self.path),
      **env,
    }
    return subprocess.Popen(
      [str(LAUNCH / script), *args],
      cwd=self.path,
      env=env,
      text=True,
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
    )

  def run(self, script, *args, **env):
    """(exit code, standard output, standard error)."""
    process = self.start(script, *args, **env)
    out, err = process.communicate()
    return process.returncode, out, err

  @property
  def calls(self):
    """Name and arguments of each call of a stub."""
    if not self.calls_path.exists():
      return []
    records = self.calls_path.read_text().split("\036")[:-1]
    return [record.split("\037")[:-1] for record in records]


@pytest.fixture
def desk(tmp_path):
  return Desk(tmp_path)


SCRIPTS = sorted(p for p in LAUNCH.iterdir() if p.suffix in (".sh", ".sbatch"))


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="no shellcheck")
def test_scripts_are_shellcheck_clean():
  subprocess.run(["shellcheck", *map(str, SCRIPTS)], check=True)


def test_there_is_a_script_for_each_place():
  names = {p.name for p in LAUNCH.iterdir()}
  assert names >= {
    "local.sh",
    "multiprocess.sh",
    "tpu_pod.sh",
    "slurm.sbatch",
    "gke.sh",
    "gke.yaml",
    "Dockerfile",
  }


@pytest.mark.parametrize(
  "script", [p for p in SCRIPTS if p.suffix == ".sh"], ids=lambda p: p.name
)
def test_help_is_the_usage(desk, script):
  code, out, _ = desk.run(script.name, "--help")
  assert code == 0 and out.startswith(f"usage: launch/{script.name} ")


POD = ("my-pod", "--zone=z", "--type=v5litepod-16")
RUN = ("--", "--config=a.py", "--workdir=/x")


@pytest.mark.parametrize(
  "script, args, env",
  [
    ("multiprocess.sh", (), {}),
    ("multiprocess.sh", ("0", "--"), {}),
    ("multiprocess.sh", ("2", "--config=a.py"), {}),
    ("multiprocess.sh", ("2", "--"), {"JMIM_CPU_DEVICES": "some"}),
    ("multiprocess.sh", ("2", "--"), {"JMIM_GRACE": "long"}),
    ("tpu_pod.sh", ("train",), {}),
    ("tpu_pod.sh", ("fly", *POD, *RUN), {}),
    ("tpu_pod.sh", ("train", "My_Pod", *POD[1:], *RUN), {}),
    ("tpu_pod.sh", ("train", *POD), {}),
    ("tpu_pod.sh", ("train", *POD[:2], *RUN), {}),
    ("tpu_pod.sh", ("tail", "my-pod"), {}),
    ("tpu_pod.sh", ("train", *POD, "--sport", *RUN), {}),
    ("tpu_pod.sh", ("train", *POD, *RUN), {"JMIM_CRASHES": "0"}),
    ("tpu_pod.sh", ("train", *POD, *RUN[:2], "--workdir=runs/x"), {}),
    ("tpu_pod.sh", ("run", *POD, *RUN, "--workdir=runs/x"), {}),
    ("gke.sh", ("start", "mae", *RUN), {}),
    ("gke.sh", ("start", "mae", "--image=i"), {}),
    ("gke.sh", ("start", "mae", "--image=i", *RUN, "--workdir=x"), {}),
    ("gke_entry.sh", ("--config=a.py",), {}),
    ("gke_entry.sh", ("--workdir=x",), {"JMIM_CRASHES": "few"}),
    ("gke_entry.sh", ("--workdir=x",), {"JOBSET_ATTEMPT": ""}),
    ("gke.sh", ("start", "m", "--image=i", *RUN), {"JMIM_CRASHES": "0"}),
    ("gke.sh", ("start", "mae", "--image=i", "--tpu=v9", *RUN), {}),
    ("gke.sh", ("start", "mae", "--image=i", "--topology=16", *RUN), {}),
    ("gke.sh", ("start", "mae", "--image=i", "--topology=3x3", *RUN), {}),
    ("gke.sh", ("start", "mae", "--image=i", "--slices=no", *RUN), {}),
    ("slurm.sbatch", ("--mode=eval", "out"), {"SLURM_SUBMIT_DIR": "."}),
    (
      "slurm.sbatch",
      ("a.py", "out"),
      {"SLURM_SUBMIT_DIR": str(LAUNCH.parent), "JMIM_CRASHES": "0"},
    ),
  ],
)
def test_wrong_calls_show_the_usage_and_do_nothing(desk, script, args, env):
  for name in ("gcloud", "kubectl", "srun", "python"):
    desk.stub(name)
  code, out, err = desk.run(script, *args, **env)
  assert (code, out, desk.calls) == (2, "", [])
  assert "usage: " in err


# --- one process here


def local(tmp_path, *args, **env) -> tuple[subprocess.Popen, list[str], str]:
  """Runs launch/local.sh from `tmp_path` with a `python` that only reports.

  Returns:
    The finished process, the lines of its output, its standard error.
  """
  fake = tmp_path / "python"
  fake.write_text(
    "#!/bin/sh\n"
    'printf "%s\\n" "$$" "$XLA_FLAGS" "$JAX_PLATFORMS" "$PYTHONPATH" "$@"\n'
  )
  fake.chmod(0o755)
  (tmp_path / "a b.py").touch()
  process = subprocess.Popen(
    [str(LAUNCH / "local.sh"), *args],
    cwd=tmp_path,
    env={"PATH": f"{tmp_path}:{os.environ['PATH']}", **env},
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )
  out, err = process.communicate()
  return process, out.splitlines(), err


def test_local_passes_everything_on_and_becomes_python(tmp_path):
  flags = ["--config.seed=1", "--x=y z"]
  env = {"JMIM_CPU_DEVICES": "8", "XLA_FLAGS": "--other"}
  process, out, err = local(tmp_path, "a b.py:tiny", "run dir", *flags, **env)
  assert process.returncode == 0, err
  xla = "--other --xla_force_host_platform_device_count=8"
  # The same process id: a signal to the script is a signal to python.
  assert out[:4] == [str(process.pid), xla, "cpu", str(LAUNCH.parent)]
  named = ["--config=a b.py:tiny", "--workdir=run dir"]
  assert out[4:] == ["-m", "jmim.main", *named, *flags]


def test_local_leaves_the_devices_alone_by_default(tmp_path):
  _, out, _ = local(tmp_path, "a b.py", "out")
  assert out[1:3] == ["", ""]


@pytest.mark.parametrize(
  "args, env",
  [
    ([], {}),
    (["a b.py"], {}),
    (["--mode=eval", "a b.py"], {}),
    (["missing.py", "out"], {}),
    (["a b.py", "out"], {"JMIM_CPU_DEVICES": "many"}),
  ],
)
def test_local_called_wrongly_shows_its_usage(tmp_path, args, env):
  process, out, err = local(tmp_path, *args, **env)
  assert (process.returncode, out) == (2, [])
  assert "usage: launch/local.sh CONFIG WORKDIR [flags...]" in err


# --- several processes here


def test_each_process_is_told_who_it_is(desk):
  desk.stub("python", 'echo "$XLA_FLAGS $JAX_PLATFORMS"; echo oh >&2')
  flags = ("--config=a b.py", "--workdir=c")
  env = {"JMIM_CPU_DEVICES": "4", "JMIM_PORT": "2345", "XLA_FLAGS": "--other"}
  code, out, err = desk.run("multiprocess.sh", "2", "--", *flags, **env)
  assert code == 0
  xla = "--other --xla_force_host_platform_device_count=4 cpu"
  assert sorted(out.splitlines()) == [xla, f"[1] {xla}"]
  assert sorted(err.splitlines()) == ["[1] oh", "oh"]
  start = ["python", "-m", "jmim.main", *flags, "--coordinator=127.0.0.1:2345"]
  assert sorted(desk.calls) == [
    [*start, "--processes=2", f"--process={i}"] for i in (0, 1)
  ]


def test_when_one_fails_the_others_are_killed(desk):
  desk.stub(
    "python",
    'if [[ "$*" == *--process=1* ]]; then sleep 0.2; exit 7; fi\n'
    "trap 'echo ignored' TERM; echo $$ >>pids; while true; do sleep 0.1; done",
  )
  code, out, err = desk.run("multiprocess.sh", "3", "--", JMIM_GRACE="0")
  assert code == 7 and "process 1 ended with 7" in err and "ignored" not in out
  for pid in (desk.path / "pids").read_text().split():
    assert not pathlib.Path(f"/proc/{pid}").exists()


def test_when_all_were_asked_to_stop_none_is_killed(desk):
  desk.stub(
    "python",
    'if [[ "$*" == *--process=0* ]]; then sleep 0.5; echo saved; fi; exit 75',
  )
  code, out, _ = desk.run("multiprocess.sh", "2", "--", JMIM_GRACE="0")
  assert (code, out) == (75, "saved\n")


def test_a_signal_is_for_all(desk):
  desk.stub(
    "python",
    "trap 'echo asked; exit 75' TERM; echo ready; while true; do sleep 0.1; "
    "done",
  )
  process = desk.start("multiprocess.sh", "2", "--")
  assert {process.stdout.readline() for _ in "01"} == {"ready\n", "[1] ready\n"}
  process.send_signal(signal.SIGTERM)
  out, _ = process.communicate()
  assert process.returncode == 75
  assert set(out.splitlines()) == {"asked", "[1] asked"}


# --- a TPU pod

# `describe` says the next line of `states`, the last one for ever, or fails as
# gcloud does; the home of the workers is the folder `worker`, where what ssh is
# given is done; a file `cut` there breaks the connection after that, once for
# each of its lines and with the code in it, and `away` before it.
GCLOUD = """
case "$*" in
*" describe "*)
  state="$(head -n 1 states)"
  if (($(wc -l <states) > 1)); then sed -i 1d states; fi
  case "$state" in
  MISSING) echo "ERROR: (gcloud) NOT_FOUND: Resource 'x'" >&2; exit 1 ;;
  BLINK) echo "ERROR: (gcloud) network is unreachable" >&2; exit 1 ;;
  *) echo "$state" ;;
  esac
  ;;
*" ssh "*)
  if [[ -e worker/away ]]; then
    status="$(cat worker/away)"; rm worker/away; exit "$status"
  fi
  for a in "$@"; do
    if [[ "$a" == --command=* ]]; then command="${a#--command=}"; fi
  done
  status=0
  (cd worker && HOME="$PWD" bash -c "$command") || status=$?
  if [[ -e worker/cut ]]; then
    status="$(head -n 1 worker/cut)"; sed -i 1d worker/cut
    [[ -s worker/cut ]] || rm worker/cut
    exit "$status"
  fi
  exit "$status"
  ;;
*" scp "*)
  for a in "$@"; do if [[ "$a" == *.gz ]]; then cp "$a" worker/jmim.tar.gz; fi
  done
  ;;
esac
"""
UV = """#!/usr/bin/env bash
if [[ "$1" == venv ]]; then
  mkdir -p jmim/.venv/bin && cp "$HOME/python" jmim/.venv/bin/python
fi
"""
# The run: the next line of `plan` in the home of the worker.
WORKER = """#!/usr/bin/env bash
line="$(head -n 1 ../plan)"; sed -i 1d ../plan
echo "run: $*"
eval "$line"
"""


@pytest.fixture
def pod(desk):
  desk.stub("gcloud", GCLOUD)
  worker = desk.path / "worker"
  (worker / ".local" / "bin").mkdir(parents=True)
  (desk.path / "states").write_text("READY\n")
  desk.stub("python3")
  for path, text in ((".local/bin/uv", UV), ("python", WORKER)):
    (worker / path).write_text(text)
    (worker / path).chmod(0o755)
  return desk


def verbs(pod):
  """What gcloud was asked for: create, scp, ssh ..."""
  return [c[4] for c in pod.calls if c[0] == "gcloud"]


def trained(pod, *plan, states=("READY",), args=(), **env):
  (pod.path / "worker" / "plan").write_text("\n".join(plan) + "\n")
  (pod.path / "states").write_text("\n".join(states) + "\n")
  more = ("--config=a b.py", "--workdir=/x")
  return pod.run("tpu_pod.sh", "train", *POD, *args, "--", *more, **env)


def test_a_pod_is_made_filled_and_started(pod):
  code, out, err = trained(
    pod, "exit 0", states=("MISSING",), args=("--setup=echo mounted", "--spot")
  )
  assert code == 0, err
  assert verbs(pod)[:3] == ["describe", "create", "scp"]
  create = next(c for c in pod.calls if "create" in c)
  assert create == [
    "gcloud",
    "compute",
    "tpus",
    "tpu-vm",
    "create",
    "my-pod",
    "--accelerator-type=v5litepod-16",
    "--version=v2-alpha-tpuv5-lite",
    "--spot",
    "--zone=z",
  ]
  started = "run: -u -m jmim.main --coordinator=auto --config=a b.py"
  assert "mounted\n" in out and f"{started} --workdir=/x\n" in out
  # The checkout is there, as it is.
  assert (pod.path / "worker" / "jmim" / "jmim" / "main.py").is_file()
  assert all(
    "--worker=all" in c or "--worker=0" in c
    for c in pod.calls
    if "ssh" in c or "scp" in c
  )
  assert "delete" not in verbs(pod)


@pytest.mark.parametrize("code", [0, 2, 3])
def test_the_pod_is_given_back_if_asked(pod, code):
  assert trained(pod, f"exit {code}", args=("--delete-after",))[0] == code
  assert verbs(pod).count("delete") == 1


def test_a_preempted_pod_is_made_anew(pod):
  code, out, err = trained(
    pod,
    "sleep 0.5; printf '255\\n255\\n' >../cut; exit 9",
    "exit 0",
    states=("MISSING", "PREEMPTED", "MISSING", "READY"),
  )
  assert (code, out.count("run: ")) == (0, 2)
  assert [v for v in verbs(pod) if v in ("create", "scp", "delete")] == [
    "create",
    "scp",
    "delete",
    "create",
    "scp",
  ]
  assert "my-pod is PREEMPTED: making it anew" in err


@pytest.mark.parametrize("lost", (255, 1))  # by ssh, by gcloud
def test_a_lost_connection_is_no_crash(pod, lost):
  plan = f"sleep 0.5; printf '{lost}\\n{lost}\\n' >../cut; exit 0"
  code, out, err = trained(pod, plan)
  assert code == 0 and "connection was lost" in err and "crash" not in err
  # The log is shown again; the run was started once.
  assert sum("nohup" in c[-2] for c in pod.calls if "ssh" in c) == 1


def test_coming_back_finds_the_run(pod):
  plan = "until [[ -e ../back ]]; do sleep 0.05; done; exit 0"
  (pod.path / "worker" / "plan").write_text(f"{plan}\nexit 1\n")
  assert pod.run("tpu_pod.sh", "copy", *POD)[0] == 0
  assert pod.run("tpu_pod.sh", "run", *POD, *RUN)[0] == 0
  before = len(pod.calls)
  process = pod.start("tpu_pod.sh", "train", *POD, *RUN)
  assert process.stdout.readline().startswith("run: ")
  (pod.path / "worker" / "back").touch()
  process.communicate()
  assert process.returncode == 0
  assert "scp" not in [c[4] for c in pod.calls[before:]]


def live(pod, *, trap="echo saved; exit 75"):
  """Starts a run on the worker, which goes on until it is told to end."""
  plan = f"trap '{trap}' TERM; while [[ ! -e ../back ]]; do sleep 0.05; done"
  (pod.path / "worker" / "plan").write_text(f"{plan}; exit 0\nexit 0\n")
  assert pod.run("tpu_pod.sh", "copy", *POD)[0] == 0
  assert pod.run("tpu_pod.sh", "run", *POD, *RUN)[0] == 0
  return int((pod.path / "worker" / "jmim.pid").read_text())


@pytest.mark.parametrize("blink", ("describe", "255", "1"))
def test_a_network_that_blinks_leaves_a_run_alone(pod, blink):
  pid, before = live(pod), len(pod.calls)
  if blink == "describe":
    (pod.path / "states").write_text("BLINK\nBLINK\n\nREADY\n")
  else:
    (pod.path / "worker" / "away").write_text(blink)
  process = pod.start("tpu_pod.sh", "train", *POD, *RUN)
  assert process.stdout.readline().startswith("run: ")
  assert pathlib.Path(f"/proc/{pid}").exists()
  (pod.path / "worker" / "back").touch()
  out, err = process.communicate()
  assert process.returncode == 0 and "saved" not in out, err
  done = [c[4] for c in pod.calls[before:] if c[0] == "gcloud"]
  assert not {"scp", "create", "delete"} & {*done}
  assert ("network is unreachable" in err) == (blink == "describe")


def test_a_connection_lost_with_the_network_is_no_end_of_the_run(pod):
  """The run of the first line goes on to its end: nothing starts another."""
  plan = "sleep 0.3; printf '255\\n255\\n' >../cut; sleep 0.5; exit 0"
  states = ("READY", "BLINK", "UNHEARD_OF", "READY")
  code, out, err = trained(pod, plan, "exit 9", states=states)
  assert code == 0, err
  assert sum("nohup" in c[-2] for c in pod.calls if "ssh" in c) == 1
  assert not {"create", "delete"} & {*verbs(pod)}


def test_a_run_is_replaced_only_after_it_was_asked_to_save(pod):
  pid = live(pod)
  assert pod.run("tpu_pod.sh", "run", *POD, *RUN)[0] == 0
  assert not pathlib.Path(f"/proc/{pid}").exists()
  tail = pod.run("tpu_pod.sh", "tail", *POD)
  assert tail[0] == 0 and "saved" not in tail[1]  # that is the second one


def test_one_that_does_not_listen_is_killed_after_the_grace(pod):
  pid = live(pod, trap="")
  assert pod.run("tpu_pod.sh", "run", *POD, *RUN, JMIM_GRACE="1")[0] == 0
  assert not pathlib.Path(f"/proc/{pid}").exists()


def test_no_code_is_exchanged_under_a_run(pod):
  pid = live(pod)
  code, _, err = pod.run("tpu_pod.sh", "copy", *POD)
  assert code == 1 and "stop it first" in err
  assert (pod.path / "worker" / "jmim" / "jmim" / "main.py").is_file()
  assert pathlib.Path(f"/proc/{pid}").exists()
  assert pod.run("tpu_pod.sh", "stop", *POD)[0] == 0


def test_a_worker_that_was_started_anew_is_no_riddle(pod):
  (pod.path / "worker" / "jmim.pid").write_text("1\n")
  (pod.path / "worker" / "jmim.log").touch()
  assert trained(pod, "exit 0")[0] == 0


def test_crashes_in_a_row_end_it(pod):
  code, out, err = trained(pod, *["exit 1"] * 9, JMIM_CRASHES="2")
  assert (code, out.count("run: ")) == (1, 2)
  assert "crash 2 in a row at checkpoint 0 (status 1)" in err


def test_a_run_that_was_asked_to_stop_is_started_again(pod):
  code, out, err = trained(pod, *["exit 75"] * 4, "exit 0")
  assert (code, out.count("run: ")) == (0, 5) and "crash" not in err


def test_stop_reaches_python_which_may_save(pod):
  (pod.path / "worker" / "jmim" / ".venv" / "bin").mkdir(parents=True)
  shutil.copy(
    pod.path / "worker" / "python",
    pod.path / "worker" / "jmim" / ".venv" / "bin",
  )
  (pod.path / "worker" / "plan").write_text(
    "trap 'echo saved; exit 75' TERM; while true; do sleep 0.1; done\n"
  )
  assert pod.run("tpu_pod.sh", "run", *POD, *RUN)[0] == 0
  tail = pod.start("tpu_pod.sh", "tail", *POD)
  assert tail.stdout.readline().startswith("run: ")
  assert pod.run("tpu_pod.sh", "stop", *POD)[0] == 0
  out, _ = tail.communicate()
  assert (tail.returncode, out) == (75, "saved\n")


def test_dry_prints_every_command_and_does_none(pod):
  args = ("train", *POD, "--setup=a 'b'", "--delete-after", "--dry", *RUN)
  code, out, _ = pod.run("tpu_pod.sh", *args)
  assert (code, pod.calls) == (0, [])
  # What is printed is what a shell would do.
  (pod.path / "worker" / "plan").write_text("exit 0\n")
  text = out.replace(r"a\ \'b\'", "true")
  subprocess.run(
    ["bash", "-e", "-c", text],
    cwd=pod.path,
    check=True,
    capture_output=True,
    env={
      "PATH": f"{pod.path / 'bin'}:{os.environ['PATH']}",
      "CALLS": str(pod.calls_path),
    },
  )
  assert verbs(pod) == ["create", "scp", *["ssh"] * 5, "delete", "delete"]


# --- Slurm


def batch(desk, code, workdir="/runs/a", **env):
  """(exit code, calls) of a job whose tasks end with this code."""
  for name in ("scontrol", "python"):
    desk.stub(name)
  desk.stub("srun", f"exit {code}")
  args = ("a b.py:x=1", workdir, "--config.seed=1")
  root = str(LAUNCH.parent)
  env = {"SLURM_SUBMIT_DIR": root, "SLURM_JOB_ID": "17", **env}
  return desk.run("slurm.sbatch", *args, **env)[0], desk.calls


def test_slurm_starts_a_task_per_gpu_which_asks_slurm_who_it_is(desk):
  code, (call,) = batch(desk, 0)
  assert code == 0 and call == [
    "srun",
    "--kill-on-bad-exit=0",
    "--wait=0",
    "python",
    "-m",
    "jmim.main",
    "--coordinator=auto",
    "--config=a b.py:x=1",
    "--workdir=/runs/a",
    "--config.seed=1",
  ]
  lines = (LAUNCH / "slurm.sbatch").read_text().splitlines()
  asked = dict(
    x[8:].split("=") for x in lines if x.startswith("#SBATCH --") and "=" in x
  )
  assert asked["--gpus-per-node"] == asked["--ntasks-per-node"]
  # To the tasks: with B: before it, it would be to this script alone.
  assert asked["--signal"].startswith("TERM@")
  assert "#SBATCH --requeue" in lines


@pytest.mark.parametrize("count", ["", "3", "x y", "9 9 9", "-1 2"])
def test_slurm_counts_anew_where_its_count_is_broken(desk, count):
  (desk.path / "out").mkdir()
  (desk.path / "out" / "crashes").write_text(count)
  code, calls = batch(desk, 1, workdir="out")
  assert code == 1 and ["scontrol", "requeue", "17"] in calls
  assert (desk.path / "out" / "crashes").read_text() == "0 1\n"


def test_slurm_from_the_wrong_folder(desk):
  code, _ = batch(desk, 0, SLURM_SUBMIT_DIR=str(desk.path))
  assert (code, desk.calls) == (2, [])


# --- all of them, on the same ends of a run


def by_local(desk, plan):
  desk.stub("python", WORKER.replace("../plan", "plan"))
  (desk.path / "plan").write_text("\n".join(plan) + "\n")
  (desk.path / "a.py").touch()
  args = ("--supervise", "a.py", str(desk.path / "out"))
  return desk.run("local.sh", *args)[:2]


def by_slurm(desk, plan):
  desk.stub("python")
  desk.stub("scontrol", "touch queued")
  desk.stub("srun", WORKER.replace("../plan", "plan"))
  (desk.path / "plan").write_text("\n".join(plan) + "\n")
  env = {"SLURM_SUBMIT_DIR": str(LAUNCH.parent), "SLURM_JOB_ID": "17"}
  queued, outs = desk.path / "queued", ""
  queued.touch()
  while queued.exists():
    queued.unlink()
    count = str(outs.count("run: "))
    code, out, _ = desk.run(
      "slurm.sbatch",
      "a.py",
      str(desk.path / "out"),
      SLURM_RESTART_COUNT=count,
      **env,
    )
    outs += out
  return code, outs


def by_pod(desk, plan):
  (desk.path / "worker" / "plan").write_text("\n".join(plan) + "\n")
  flags = ("--config=a.py", f"--workdir={desk.path / 'out'}")
  return desk.run("tpu_pod.sh", "train", *POD, "--", *flags)[:2]


def by_gke(desk, plan):
  """The hosts that JobSet starts again, but for the codes of its policy."""
  desk.stub("python", WORKER.replace("../plan", "plan"))
  (desk.path / "plan").write_text("\n".join(plan) + "\n")
  policy = yaml.safe_load((LAUNCH / "gke.yaml").read_text().replace("@", ""))
  job = policy["spec"]["replicatedJobs"][0]["template"]["spec"]
  final = job["podFailurePolicy"]["rules"][0]["onExitCodes"]["values"]
  flags, outs = ("--config=a.py", f"--workdir={desk.path / 'out'}"), ""
  for attempt in range(policy["spec"]["failurePolicy"]["maxRestarts"]):
    env = {"JOBSET_ATTEMPT": str(attempt)}
    code, out, err = desk.run("gke_entry.sh", *flags, **env)
    outs += out
    if code in (0, *final):
      break
  if code == 6:
    code = int(re.search(r"\(status (\d+)\): giving up", err)[1])
  return code, outs


SAVES = "mkdir -p {out}/checkpoints/{step}; "


@pytest.mark.parametrize("launcher", [by_local, by_slurm, by_pod, by_gke])
@pytest.mark.parametrize(
  "ends, code, starts",
  [
    (["0"], 0, 1),
    (["2"], 2, 1),
    (["3"], 3, 1),
    (["75"] * 5 + ["0"], 0, 6),  # time limits, however many
    (["5", "134", "0"], 0, 3),
    (["134", "5", "4", "0"], 4, 3),  # three in a row at the same checkpoint
    (["1", "75", "1", "75", "139", "0"], 139, 5),  # nor is 75 progress
    (["1", "1", "+5", "1", "+134", "4", "+2"], 2, 7),
  ],
  ids=str,
)
def test_every_launcher_has_the_same_table(pod, launcher, ends, code, starts):
  """+: after a new checkpoint."""
  plan = [
    SAVES.format(out=pod.path / "out", step=i) * (end[0] == "+")
    + f"exit {end.removeprefix('+')}"
    for i, end in enumerate(ends, 1)
  ]
  found, out = launcher(pod, plan)
  assert (found, out.count("run: ")) == (code, starts)


def test_the_table_is_that_of_the_program_and_of_the_docs():
  page = (LAUNCH.parent / "docs" / "faults.md").read_text()
  rows = page.partition("## Exit codes")[2].partition("\n## ")[0].splitlines()
  rows = [[x.strip() for x in row.split("|")[1:-1]] for row in rows]
  codes = {c: row[-1] for row in rows if row for c in row[0].split(", ")}
  assert {c for c, again in codes.items() if again == "no"} == {"0", "2", "3"}
  known = (errors.MISTAKE, errors.DIVERGED, errors.NOT_SAVED)
  known += (errors.HOSTS_MISSING, errors.PREEMPTED)
  assert {*map(str, known), "134"} < codes.keys()
  assert codes[str(errors.PREEMPTED)] == "yes, always"


# --- GKE


def applied(desk, *args):
  """The object that kubectl is given."""
  desk.stub("kubectl", "cat >applied")
  flags = ("--config=a.py:x=1", '--workdir=/runs/a "b"\\')
  code, _, err = desk.run(
    "gke.sh", "start", "mae-l", "--image=eu/i:1", *args, "--", *flags
  )
  assert code == 0, err
  assert desk.calls == [["kubectl", "apply", "-f", "-"]]
  return yaml.safe_load((desk.path / "applied").read_text())


@pytest.mark.parametrize(
  "tpu, topology, hosts, chips",
  [
    ("v5e", "16x16", 64, 4),
    ("v5p", "4x4x8", 32, 4),
    ("v6e", "1x1", 1, 1),
    ("v4", "2x2x1", 1, 4),
  ],
)
def test_gke_is_asked_for_a_pod_per_host(desk, tpu, topology, hosts, chips):
  found = applied(desk, f"--tpu={tpu}", f"--topology={topology}", "--slices=2")
  (job,) = found["spec"]["replicatedJobs"]
  spec = job["template"]["spec"]
  pod = spec["template"]["spec"]
  (container,) = pod["containers"]
  assert (found["metadata"]["name"], job["replicas"]) == ("mae-l", 2)
  assert spec["parallelism"] == spec["completions"] == hosts
  assert container["resources"]["limits"] == {"google.com/tpu": chips}
  selected = pod["nodeSelector"]
  assert selected["cloud.google.com/gke-tpu-topology"] == topology
  assert container["image"] == "eu/i:1"
  # What the image holds, in the folder that it is built in.
  image = (LAUNCH / "Dockerfile").read_text()
  assert "WORKDIR /jmim\n" in image and "COPY launch launch\n" in image
  assert container["command"] == ["/jmim/launch/gke_entry.sh"]
  assert container["args"] == ["--config=a.py:x=1", '--workdir=/runs/a "b"\\']
  assert {"name": "JMIM_CRASHES", "value": "3"} in container["env"]
  claim = pod["volumes"][0]["persistentVolumeClaim"]["claimName"]
  assert claim == "jmim-runs"


def test_gke_restarts_all_but_mistakes_and_divergence(desk):
  spec = applied(desk)["spec"]
  (rule,) = spec["failurePolicy"]["rules"]
  assert rule == {
    "action": "FailJobSet",
    "onJobFailureReasons": ["PodFailurePolicy"],
  }
  assert spec["failurePolicy"]["maxRestarts"] > 100
  job = spec["replicatedJobs"][0]["template"]["spec"]
  (rule,) = job["podFailurePolicy"]["rules"]
  assert rule["action"] == "FailJob"
  assert rule["onExitCodes"]["values"] == [2, 3, 6]
  assert job["backoffLimit"] == 0  # any other code: JobSet starts all again


def test_gke_counts_a_crash_of_many_hosts_once(desk):
  desk.stub("python", "exit 5")
  ends = [
    desk.run("gke_entry.sh", "--workdir=out", JOBSET_ATTEMPT=attempt)[0]
    for attempt in "000112"
  ]
  assert ends == [5] * 5 + [6]
  # Whoever makes it anew has looked at it.
  again = ("gke_entry.sh", "--workdir=out")
  assert desk.run(*again, JOBSET_ATTEMPT="0")[0] == 5
  assert (desk.path / "out" / "crashes").read_text() == "0 1 0\n"


def test_gke_ends_on_all_hosts_where_it_gives_up(desk):
  """JobSet may hear first of a host of another slice: it would start again."""
  desk.stub("python", "exit 5")
  ends = [
    desk.run(
      "gke_entry.sh", "--workdir=out", JOBSET_ATTEMPT=attempt, JMIM_CRASHES="2"
    )[0]
    for attempt in "0111"
  ]
  assert ends == [5, 6, 6, 6]


def test_gke_counts_anew_in_a_new_job_set(desk):
  """One that was stopped had crashed at the same attempt, or at later ones."""
  desk.stub("python", "exit 5")
  args = ("gke_entry.sh", "--workdir=out")
  (desk.path / "out").mkdir()
  for left in ("0 1 0", "0 1 7", "0 0 0"):
    (desk.path / "out" / "crashes").write_text(f"{left}\n")
    for attempt, end in (("0", 5), ("1", 6)):
      env = {"JOBSET_ATTEMPT": attempt, "JMIM_CRASHES": "2"}
      assert desk.run(*args, **env)[0] == end


def test_gke_passes_over_hosts_of_earlier_attempts(desk):
  desk.stub("python", "exit 5")
  ends = [
    desk.run("gke_entry.sh", "--workdir=out", JOBSET_ATTEMPT=attempt)[0]
    for attempt in ("1", "2", "1", "10", "9")
  ]
  assert ends == [5, 5, 5, 6, 5]


def test_gke_does_not_count_what_it_was_asked_to_end(desk):
  """A run that has no handler yet ends with 143."""
  desk.stub("python", "echo ready; exec sleep 60")
  process = desk.start("gke_entry.sh", "--workdir=out")
  assert process.stdout.readline() == "ready\n"
  process.send_signal(signal.SIGTERM)
  process.communicate()
  assert process.returncode == 143
  assert not (desk.path / "out").exists()


@pytest.mark.parametrize("launcher", ["gke_entry.sh", "slurm.sbatch"])
def test_a_count_is_replaced_whole(desk, launcher):
  """Hosts read it while another one writes it: half of it would be none."""
  (desk.path / "out").mkdir()
  count = desk.path / "out" / "crashes"
  count.write_text("0 1 1\n" if launcher == "gke_entry.sh" else "0 1\n")
  before = count.open()  # a host that began to read
  if launcher == "gke_entry.sh":
    desk.stub("python", "exit 5")
    desk.run(launcher, "--workdir=out", JOBSET_ATTEMPT="2")
  else:
    batch(desk, 5, workdir="out")
  assert before.read().startswith("0 1")
  assert count.read_text().startswith("0 2")
  assert [p.name for p in count.parent.iterdir()] == ["crashes"]


def test_gke_has_the_run_save_and_waits_for_it(desk):
  desk.stub(
    "python",
    "trap 'sleep 0.3; echo saved; exit 75' TERM; echo ready; "
    "while true; do sleep 0.1; done",
  )
  process = desk.start("gke_entry.sh", "--workdir=out", "--config=a b.py")
  assert process.stdout.readline() == "ready\n"
  process.send_signal(signal.SIGTERM)
  out, _ = process.communicate()
  assert (process.returncode, out) == (75, "saved\n")
  assert desk.calls == [
    ["python", "-m", "jmim.main", "--coordinator=auto"]
    + ["--workdir=out", "--config=a b.py"]
  ]
  assert not (desk.path / "out").exists()


def test_gke_dry_prints_and_does_nothing(desk):
  desk.stub("kubectl")
  start = ("start", "mae", "--image=i", "--dry", "--claim=disk", *RUN)
  code, out, _ = desk.run("gke.sh", *start)
  assert (
    code == 0
    and "claimName: disk" in out
    and "@" not in out.replace("@NAMES@", "")
  )
  assert desk.run("gke.sh", "stop", "mae", "--dry")[1].split() == [
    "kubectl",
    "delete",
    "jobset",
    "mae",
  ]
  assert desk.calls == []


def test_gke_tail_and_stop(desk):
  desk.stub("kubectl")
  assert desk.run("gke.sh", "tail", "mae")[0] == 0
  assert desk.run("gke.sh", "stop", "mae")[0] == 0
  tail, stop = desk.calls
  assert tail[:3] == ["kubectl", "logs", "--follow"]
  assert "jobset-name=mae," in tail[-1]
  assert stop == ["kubectl", "delete", "jobset", "mae"]
