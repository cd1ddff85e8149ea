"""Which of equal ways to run a layer is fastest on this processor.

What is right differs by processor, and cannot be known before. The ways differ
in rounding only. Each is timed on a few transformer blocks, value and
gradients, in turn with the one it would replace, since the rates of a shared
machine drift; it is taken where it is faster by LEAST or more in the median of
the turns, so that noise changes nothing. What was found is kept in a file per
kind of processor and versions of the libraries.
"""

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import platform
import statistics
import time
from collections.abc import Callable
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from jmim.core import errors
from jmim.core import files
from jmim.core import home
from jmim.core import validate
from jmim.core.settings import hardware as settings
from jmim.nn import block
from jmim.nn import stack
from jmim.parallel import hosts
from jmim.parallel import sharding
from jmim.runlog import console as consoles
from jmim.session import build

# Platform -> key of `hardware` -> what it may be, today's choice of "auto"
# first. Lean functions (`nn.recompute`) have no plain variant here: on no
# machine at hand was one faster (0.92 to 0.99 times the speed on the last).
WAYS = {
  "cpu": {
    "flat": ("all", "none"),
    "attention": ("einsum", "xla"),
    "scan": ("off", "on"),
    "compiler": ((), ("xla_cpu_use_xnnpack=true",)),
  },
  "gpu": {
    "flat": ("none", "all"),
    "attention": ("xla", "einsum", "cudnn"),
    "scan": ("off", "on"),
  },
  "tpu": {"flat": ("none", "all"), "attention": ("xla", "einsum")},
}
# What a device raises that does not have a way.
NONE = (errors.UserError, jax.errors.JaxRuntimeError, NotImplementedError)
LEAST = 1.05  # times the speed
TURNS = 6  # even: half of the pairs in either order
BLOCKS, BATCH, TOKENS, WIDTH, HEADS = 2, 8, 50, 384, 6

Way = dict[str, Any]
Seconds = Callable[[], float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
  """A way beside the one that it would replace.

  Attributes:
    key: of `hardware`, which alone differs.
    value: what it was set to.
    speed: times that of the other way; None: this device does not have it.
  """

  key: str
  value: Any
  speed: float | None

  @property
  def taken(self) -> bool:
    """Whether it is faster by more than noise."""
    return self.speed is not None and self.speed >= LEAST

  def __str__(self) -> str:
    """For people."""
    if self.speed is None:
      return f"hardware.{self.key}={self.value!r}: not on this device"
    sign = ", taken" if self.taken else ""
    return f"hardware.{self.key}={self.value!r}: {self.speed:.2f} x{sign}"


def tuned(
  config: ml_collections.ConfigDict,
  group: hosts.Group,
  console: consoles.Console,
) -> ml_collections.ConfigDict:
  """The config with what is fastest here; as it is without `hardware.tune`.

  Keys that are set are not touched. Of several hosts the first one measures.

  Args:
    config: of a run.
    group: the processes of it.
    console: says what was tried and what was taken.

  Raises:
    UserError: a key of the config that cannot be.
  """
  if not config.hardware.get("tune"):
    return config
  validate.validate(config)
  config = ml_collections.ConfigDict(config.to_dict())
  mesh = sharding.make_mesh(config.hardware.mesh)
  way = None if group.index else _decided(config.hardware, mesh, console)
  told = group.of_first("ways to run a layer", json.dumps(way))
  way = _read(json.loads(told))
  config.hardware.update(way)
  told = ", ".join(f"{key}={value!r}" for key, value in way.items())
  console.print(f"tuned hardware: {told or 'nothing to choose'}")
  return config


def choose(
  ways: Mapping[str, tuple[Any, ...]], timed: Callable[[Way], Seconds]
) -> tuple[Way, list[Trial]]:
  """The fastest way, and what was tried for it.

  Args:
    ways: key -> what it may be, what it is now first.
    timed: of a way, seconds of one more run of it; raises one of NONE where
      this device does not have it.
  """
  way, trials = {key: values[0] for key, values in ways.items()}, []
  now = timed(way)
  for key, values in ways.items():
    for value in values[1:]:
      other = {**way, key: value}
      speed = None
      try:
        seconds = timed(other)
        speed = _speed(now, seconds)
      except NONE:  # which the line of this trial says
        pass
      trials.append(Trial(key=key, value=value, speed=speed))
      if trials[-1].taken:
        way, now = other, seconds
  return way, trials


def _speed(now: Seconds, other: Seconds) -> float:
  """Of `other` over that of `now`, median of pairs in changing order."""
  ratios = []
  for turn in range(TURNS):
    first, second = (now, other) if turn % 2 else (other, now)
    took = first(), second()
    ratios.append(took[0] / took[1] if turn % 2 else took[1] / took[0])
  return statistics.median(ratios)


def layers(
  hardware: ml_collections.ConfigDict, mesh: jax.sharding.Mesh, way: Way
) -> tuple[Callable[..., Any], tuple[Any, jax.Array], dict[str, bool | str]]:
  """What is timed: (function, its arguments, options of the compiler).

  Args:
    hardware: of the run.
    mesh: its devices, the first of which is used.
    way: what is changed of `hardware`.

  Raises:
    UserError: this device does not have such a way.
  """
  hardware = ml_collections.ConfigDict({**hardware.to_dict(), **way})
  rt = dataclasses.replace(build.make_runtime(hardware, mesh), mesh=None)
  make = lambda: block.Block(heads=HEADS, rt=rt, parent=None)
  net = stack.Stack(make, BLOCKS, rt)
  rng = np.random.default_rng(0)
  x = jnp.asarray(rng.normal(size=(BATCH, TOKENS, WIDTH)), rt.dtype)
  shapes = jax.eval_shape(net.init, jax.random.key(0), x)
  normal = lambda s: jnp.asarray(0.02 * rng.normal(size=s.shape), s.dtype)
  params = jax.tree.map(normal, shapes)
  loss = lambda p, x: (net.apply(p, x)[0].astype(jnp.float32) ** 2).mean()
  both = jax.value_and_grad(loss, argnums=(0, 1))
  return both, (params, x), build.compiler_options(hardware)


def _timed(
  hardware: ml_collections.ConfigDict, mesh: jax.sharding.Mesh, way: Way
) -> Seconds:
  """See `choose`; compiles, and runs once."""
  both, arguments, options = layers(hardware, mesh, way)
  compiled = jax.jit(both).lower(*arguments).compile(options)
  jax.block_until_ready(compiled(*arguments))

  def seconds():
    start = time.perf_counter()
    jax.block_until_ready(compiled(*arguments))
    return time.perf_counter() - start

  return seconds


def _decided(
  hardware: ml_collections.ConfigDict,
  mesh: jax.sharding.Mesh,
  console: consoles.Console,
) -> Way:
  """What is fastest here: read from a file, or timed and kept in one."""
  device, unset = mesh.devices.flat[0], settings.Hardware()
  ways = {
    key: values
    for key, values in WAYS.get(device.platform, {}).items()
    if hardware[key] == getattr(unset, key)
  }
  if not ways:
    return {}
  path = _path(hardware, device, ways) if hardware.compile_cache else None
  fits = functools.partial(_fits, ways)
  if path and (found := files.read_json(path, None, fits)) is not None:
    return _read(found)
  with console.busy("timing equal ways to run a layer"):
    way, trials = choose(ways, functools.partial(_timed, hardware, mesh))
  for trial in trials:
    console.print(str(trial))
  if path:
    try:
      path.parent.mkdir(parents=True, exist_ok=True)
      files.replace(path, json.dumps(way))
    except OSError as e:
      console.print(f"not kept: {errors.first_line(e)}", style="yellow")
  return way


def _path(
  hardware: ml_collections.ConfigDict,
  device: jax.Device,
  ways: Mapping[str, tuple[Any, ...]],
) -> pathlib.Path:
  """Of the file for this processor, these versions and what is compared."""
  compared = (
    _processor() if device.platform == "cpu" else device.device_kind,
    os.cpu_count(),
    [metadata.version(name) for name in ("jax", "jaxlib")],
    {key: hardware[key] for key in ("dtype", "remat", "unroll")},
    ways,
  )
  name = hashlib.sha256(json.dumps(compared).encode()).hexdigest()[:16]
  folder = home.expand(hardware.compile_cache, "hardware.compile_cache")
  return folder / f"tuned-{name}.json"


def _processor() -> str:
  """The name of this machine's, as its system tells it."""
  try:
    text = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
  except OSError:  # no Linux
    return f"{platform.machine()} {platform.processor()}"
  names = [x for x in text.splitlines() if x.startswith("model name")]
  return names[0] if names else platform.machine()


def _fits(ways: Mapping[str, tuple[Any, ...]], content: Any) -> bool:
  """Whether a file holds a value for each key, one of those it may be."""
  return (
    isinstance(content, dict)
    and content.keys() == ways.keys()
    and all(value in ways[key] for key, value in _read(content).items())
  )


def _read(content: Mapping[str, Any]) -> Way:
  """A way out of JSON, which has no tuples."""
  tuples = lambda x: tuple(x) if isinstance(x, list) else x
  return {key: tuples(value) for key, value in content.items()}
