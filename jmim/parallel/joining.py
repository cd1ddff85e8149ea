"""What a process does before the first device is looked at."""

import os

import jax
import ml_collections

from jmim.core import version
from jmim.parallel import backend
from jmim.parallel import hosts


def join(
  config: ml_collections.ConfigDict,
  coordinator: str | None,
  count: int | None,
  index: int | None,
) -> None:
  """Turns on the compile cache; joins the other processes, if there are any.

  Args:
    config: of the run, the same on all hosts.
    coordinator: as of `hosts.start`; None or "": there is one process.
    count: processes.
    index: of this one.

  Raises:
    UserError: as `hosts.start`, or hosts that differ in config, code or
      libraries.
    HostsMissing: some did not come in time.
  """
  backend.keep_compiled(config.hardware.compile_cache)
  if not coordinator:
    return
  if os.environ.get("JAX_PLATFORMS") == "cpu":
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
  seconds = config.hardware.host_timeout
  hosts.start(coordinator, count, index, seconds)
  libraries = version.libraries().items()
  values = {
    "config": hosts.digest(config.to_json(sort_keys=True)),
    "code": version.code_hash(),
    "set of libraries": ", ".join(f"{n} {v}" for n, v in libraries),
  }
  fix = "start all with the same command, from the same installation of jmim"
  hosts.group(seconds).agree("start", values, fix, {"config": "--config"})
