"""Two processes get the numbers of one, and the same on both."""

import json
import pathlib
import socket
import subprocess
import sys

import evalkit
import pytest

from jmim.evals import fewshot
from jmim.evals import knn
from jmim.evals import linear
from jmim.evals import loss

HERE = pathlib.Path(__file__).parent
EVALUATORS = {
  "knn": knn.Evaluator(k=(3, 1)),
  "loss": loss.Evaluator(),
  "fewshot": fewshot.Evaluator(shots=(3,), predict="cls"),
  "linear": linear.Evaluator(
    predict=("features",), lrs=(1.0,), epochs=4.0, warmup_epochs=1.0, trust=0.1
  ),
}


def numbers(devices):
  context = evalkit.context(batch=16, devices=devices)
  return {n: dict(e.run(context)) for n, e in EVALUATORS.items()}


def main(port, index):
  import jax  # noqa: PLC0415

  jax.config.update("jax_cpu_collectives_implementation", "gloo")
  jax.distributed.initialize(f"127.0.0.1:{port}", 2, int(index))
  assert len(jax.devices()) == 4 and len(jax.local_devices()) == 2
  print("NUMBERS" + json.dumps(numbers(4)), flush=True)


@pytest.mark.slow
def test_two_hosts_equal_one():
  with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
  code = (
    "import os, sys\n"
    "os.environ['XLA_FLAGS'] = '--xla_force_host_platform_device_count=2'\n"
    f"sys.path[:0] = [{str(HERE)!r}, {str(HERE.parents[1])!r}]\n"
    "import test_hosts\n"
    "test_hosts.main(*sys.argv[1:])\n"
  )
  hosts = [
    subprocess.Popen(
      [sys.executable, "-c", code, str(port), str(i)],
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )
    for i in range(2)
  ]
  found = []
  for host in hosts:
    out, err = host.communicate()
    assert host.returncode == 0, err
    (line,) = [x for x in out.splitlines() if x.startswith("NUMBERS")]
    found.append(json.loads(line.removeprefix("NUMBERS")))
  assert found[0] == found[1]
  alone = numbers(4)
  for name, values in alone.items():
    assert found[0][name] == pytest.approx(values, rel=1e-5), name
