"""From a section of a config to one object, checked.

Called by `assemble`; each function finds the mistakes of its section and says
which key to change.
"""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections

from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import errors
from jmim.core import field
from jmim.core import method as methods
from jmim.core import renamed
from jmim.core import runtime
from jmim.core import validate
from jmim.core.settings import optim as optim_settings
from jmim.data import pipeline
from jmim.evals.lib import base as eval_base
from jmim.nn import stack
from jmim.parallel import sharding


def make_evaluators(
  config: ml_collections.ConfigDict, method: methods.Method
) -> dict[str, eval_base.Evaluator]:
  """The evaluators of `config.evals`, checked against the method."""
  found = {}
  for name, entries in config.evals.items():
    path = f"evals.{name}"
    kind = entries.get("type", "") if hasattr(entries, "get") else ""
    try:
      cls = discovery.find_evaluator(kind) if kind else None
    except KeyError:
      cls = None
    if cls in (None, eval_base.Evaluator):
      raise errors.UserError(
        f"{path}.type={kind!r}",
        "one of " + ", ".join(eval_base.names()),
        "name an evaluator module",
        f"{path}.type",
      )
    evaluator = validate.build(cls, entries, path)
    offered = method.predict()
    owner = config.get("method") or config.procedure
    for wanted in evaluator.needs():
      if wanted not in offered:
        raise errors.UserError(
          f"{path}.predict={wanted!r}",
          f"what {owner.type} offers: {', '.join(sorted(offered))}",
          "ask for one of these, or remove the evaluator",
          f"{path}.predict",
        )
    if evaluator.diffuses and not _diffuses(method):
      raise errors.UserError(
        f"{path} for {owner.type}, which is no diffusion model",
        "a method whose denoiser can be looked into (Method.diffuser)",
        f"remove it: {path}=None",
        path,
      )
    if (told := evaluator.texts()) and not config.data.tokenizer:
      raise errors.UserError(
        f"{path}.{told} without data.tokenizer",
        "a tokenizer, which makes tokens of them",
        "set data.tokenizer",
        "data.tokenizer",
      )
    ema = "ema" in config and config.ema.decay
    if evaluator.weights == "ema" and not ema:
      raise errors.UserError(
        f"{path}.weights='ema' with ema.decay=0",
        "an EMA to evaluate",
        "set ema.decay (0.999, say) or weights='raw'",
        f"{path}.weights",
      )
    found[name] = evaluator
  return found


def _diffuses(method: methods.Method) -> bool:
  """Whether it offers a diffusion model; what a procedure made is none."""
  own = getattr(type(method), "diffuser", None)
  return own not in (None, methods.Method.diffuser)


def renamed_keys(
  config: ml_collections.ConfigDict,
  method: methods.Method,
  evaluators: Mapping[str, eval_base.Evaluator],
) -> tuple[str, ...]:
  """A line for each key that a config has under an older name.

  Args:
    config: as it was written.
    method: built from it.
    evaluators: built from it.
  """
  lines = _renamed(method, config.method, "method")
  for name, evaluator in evaluators.items():
    lines += _renamed(evaluator, config.evals[name], f"evals.{name}")
  return tuple(lines)


def _renamed(instance: Any, section: Any, path: str) -> list[str]:
  """Of a documented dataclass, then of its parts that have a section."""
  cls = type(instance)
  lines = [
    f"{path}.{old} is {path}.{move.key} now"
    for old, move in renamed.moves(cls, section).items()
    if move.key
  ]
  for name, f in field.configured(cls).items():
    if "parts" in f.metadata and hasattr(section.get(name), "items"):
      part = getattr(instance, name)
      lines += _renamed(part, section[name], f"{path}.{name}")
  return lines


def make_spec(
  config: ml_collections.ConfigDict,
  inputs: Mapping[str, methods.Input] | None = None,
) -> pipeline.Spec:
  """What batches are made of and how, on the host and on the device.

  Args:
    config: of the run.
    inputs: of the method; None: nothing is known of who reads the batches.

  Raises:
    UserError: values of `config.data` that do not go together.
  """
  hardware = config.hardware
  loading = pipeline.Spec(
    seed=config.seed,
    threads=hardware.data_threads,
    workers=hardware.data_workers,
    prefetch=hardware.prefetch,
    reads=tuple((name, x.high) for name, x in (inputs or {}).items()),
  )
  spec = validate.build(pipeline.Spec, config.data, "data", loading)
  spec.check_augmentation()
  return spec


def make_optim(
  config: ml_collections.ConfigDict, player: str
) -> optim_settings.Optim:
  """The optimizer's settings of one player."""
  section = configs.for_player(config, "optim", player)
  return validate.build(optim_settings.Optim, section, "optim")


def make_schedule(
  config: ml_collections.ConfigDict,
) -> optim_settings.Schedule:
  """The shape of the learning rate; durations are in the config's units."""
  return validate.build(optim_settings.Schedule, config.schedule, "schedule")


def make_layout(
  hardware: ml_collections.ConfigDict,
  mesh: jax.sharding.Mesh,
  axes: Sequence[tuple[str, tuple[str | None, ...]]],
) -> sharding.Layout:
  """Where arrays live; `axes`: the rules of the method, after the config's."""
  return sharding.Layout(
    mesh,
    hardware.shard_rules,
    axes=axes,
    min_size=hardware.fsdp_min_size,
    zero=hardware.zero,
  )


def check_remat(hardware: ml_collections.ConfigDict) -> None:
  """Raises UserError for names that no block has, or that nobody asks for."""
  for key in ("remat_save", "remat_offload"):
    given = hardware[key]
    unknown = [n for n in given if n not in stack.NAMES]
    if unknown or given and hardware.remat != "names":
      raise errors.UserError(
        f"hardware.{key}={tuple(given)} with hardware.remat={hardware.remat!r}",
        f"remat='names' and any of {', '.join(stack.NAMES)}",
        "set hardware.remat='names', or leave the key empty",
        f"hardware.{key}",
      )


def compiler_options(
  hardware: ml_collections.ConfigDict,
) -> dict[str, bool | str]:
  """hardware.compiler as `jax.stages.Lowered.compile` takes it.

  Raises:
    UserError: an entry that is not 'name=value'.
  """
  pairs = [entry.partition("=") for entry in hardware.compiler]
  for name, equals, value in pairs:
    if not (name and equals and value):
      raise errors.UserError(
        f"hardware.compiler has {name + equals + value!r}",
        "'xla_name=value', or nothing",
        "write ('xla_cpu_use_xnnpack=true',)",
        "hardware.compiler",
      )
  words = {"true": True, "false": False}  # the only ones XLA takes as such
  return {name: words.get(value.lower(), value) for name, _, value in pairs}


def make_runtime(
  hardware: ml_collections.ConfigDict, mesh: jax.sharding.Mesh
) -> runtime.Runtime:
  """Resolves the `auto` choices for the devices of the mesh.

  Raises:
    UserError: an implementation this hardware does not have.
  """
  check_remat(hardware)
  compiler_options(hardware)  # its mistakes are told here
  platform = mesh.devices.flat[0].platform
  dtype = {"auto": "f32" if platform == "cpu" else "bf16"}.get(
    hardware.dtype, hardware.dtype
  )
  attention = {"auto": "einsum" if platform == "cpu" else "xla"}.get(
    hardware.attention, hardware.attention
  )
  if attention == "cudnn" and (platform != "gpu" or dtype != "bf16"):
    raise errors.UserError(
      f"hardware.attention='cudnn' on {platform} in {dtype}",
      "a GPU and bf16",
      "use 'auto'",
      "hardware.attention",
    )
  if attention == "flash" and platform != "tpu":
    raise errors.UserError(
      f"hardware.attention='flash' on {platform}",
      "a TPU",
      "use 'auto'",
      "hardware.attention",
    )
  cheap = platform == "cpu" and mesh.shape.get("expert", 1) == 1
  experts = {"auto": "dense" if cheap else "ragged"}.get(
    hardware.experts, hardware.experts
  )
  scan = {"auto": platform == "tpu", "on": True, "off": False}[hardware.scan]
  auto = "all" if platform == "cpu" else "none"
  return runtime.Runtime(
    dtype={"f32": jnp.float32, "bf16": jnp.bfloat16}[dtype],
    scan=scan,
    unroll=hardware.unroll,
    remat=hardware.remat,
    remat_save=tuple(hardware.remat_save),
    remat_offload=tuple(hardware.remat_offload),
    flat={"auto": auto}.get(hardware.flat, hardware.flat),
    pad_tokens=hardware.pad_tokens,
    attention=attention,
    experts=experts,
    mesh=mesh,
    batch_axes=sharding.BATCH_AXES,
  )


def resolved(
  config: ml_collections.ConfigDict,
  instance: Any,
  evaluators: dict[str, eval_base.Evaluator],
  section: str = "method",
) -> ml_collections.ConfigDict:
  """The config with every default filled in.

  Args:
    config: of a run.
    instance: made of a section of it.
    evaluators: by name.
    section: which one, "method" or "procedure".
  """
  complete = config.to_dict()
  settings = lambda given, made: {"type": given["type"], **field.settings(made)}
  complete[section] = settings(complete[section], instance)
  for name, evaluator in evaluators.items():
    complete["evals"][name] = settings(complete["evals"][name], evaluator)
  return ml_collections.ConfigDict(complete)
