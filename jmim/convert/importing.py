"""Weights of others as a run: what `python -m jmim.convert` does.

The result is a workdir with a config and a checkpoint of step 0 that holds
parameters (and `extra`) only: `config.init_from` and `--mode=eval`, `sample`
and `export` read it. Arrays pass one at a time from the file to the mesh.
"""

import json
import pathlib
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from jmim.checkpoints import store as checkpoint
from jmim.convert import families
from jmim.convert import family as layouts
from jmim.convert import files
from jmim.convert import plan as plans
from jmim.convert import preprocessing
from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import errors
from jmim.core import files as core_files
from jmim.core import home
from jmim.core import method as methods
from jmim.core import state as states
from jmim.core import tree as trees
from jmim.parallel import sharding
from jmim.session import build
from jmim.training import step as steps

CONFIG = "config.json"
PROCESSOR = "preprocessor_config.json"


def run(
  name: str,
  path: str,
  config: ml_collections.ConfigDict | None,
  out: pathlib.Path,
  resize: bool = False,
  ignore: Sequence[str] = (),
) -> list[str]:
  """Converts a file of weights to a workdir.

  Args:
    name: the family; "auto": detected by the config.json beside the file.
    path: file or folder.
    config: of the run; None: made from the config.json beside the file.
    out: the workdir, without a checkpoint.
    resize: resize positions of another grid.
    ignore: regexes of their names to leave out.

  Returns:
    lines about names without a partner, and the scale of latents.

  Raises:
    UserError: something does not fit; nothing has been written.
  """
  weights = files.read(path)
  name, config = resolve(name, path, config)
  method = discovery.make(config.method)
  config = build.resolved(config, method, {})
  family = families.find(name)
  _check_fit(name, family, config.method.type, method)
  store = checkpoint.Checkpoints(out)
  _check_new(store, out)
  like = shapes(method)
  plan = plans.make(
    family,
    method,
    weights=weights,
    like=like,
    resize_positions=resize,
    ignore=ignore,
  )
  state = _state(load(plan, method, like, config))
  content = json.loads(config.to_json())
  source = {"family": name, "weights": weights.where}
  store.save(0, state, {"config": content, "imported": source})
  store.close()
  (out / CONFIG).write_text(
    json.dumps(content, indent=2) + "\n", encoding="utf-8"
  )
  scale = getattr(method, "latent_scale", 0)  # of an autoencoder
  told = f"models of these latents: method.first_stage.scale={scale}"
  return plan.lines() + [told] * bool(scale)


def _check_fit(name, family, method_name, method) -> None:
  """Raises UserError where the method does not fit the layout."""
  why = family.objection(method_name, method)
  if why:
    raise errors.UserError(
      f"--from={name} with {method_name}: {why}",
      "a method of this layout",
      "change --from or the config",
      "--from",
    )


def _check_new(store: checkpoint.Checkpoints, out: pathlib.Path) -> None:
  """Raises UserError where a run is already."""
  if store.latest() is not None:
    raise errors.UserError(
      f"--out={out} has a checkpoint already",
      "a new folder",
      "choose another",
      "--out",
    )


def _state(named: Mapping[str, jax.Array]) -> states.State:
  """The state of step 0 with these leaves, and nothing to train them with."""
  zero = np.zeros((), np.int32)
  tree = {"params": {}, "extra": {}} | trees.nested(named)
  return states.State(
    step=zero,
    params=tree["params"],
    opt={},
    ema={},
    extra=tree["extra"],
    window={},
    counted=zero,
    skipped=zero,
    skipped_total=zero,
  )


def resolve(
  name: str, path: str, config: ml_collections.ConfigDict | None
) -> tuple[str, ml_collections.ConfigDict]:
  """The family's name and the config, from what is beside the weights.

  Args:
    name: the family, or "auto".
    path: file or folder of the weights.
    config: of the run, or None.

  Raises:
    UserError: there is no family or config, and no config.json has it.
  """
  beside = settings(path)
  if name == "auto":
    name = families.detect(beside)
    if not name:
      keys = ("architecture", "model_type", "_class_name")
      kind = next((beside[k] for k in keys if beside.get(k)), "")
      raise errors.UserError(
        f"{path}: config.json says {kind or 'nothing'}",
        f"one of {', '.join(families.detectable())}, or --from",
        "name the family",
        "--from",
      )
  family = families.find(name)
  if config is None:
    if not beside or family.read_config is None:
      raise errors.UserError(
        f"no --config, and no config.json of {name} beside {path}",
        "a recipe whose method has the sizes of the weights",
        "add --config=configs/<recipe>.py",
        "--config",
      )
    image = processor(path) if family.images else {}
    config = derive(family, beside, image)
  return name, config


def derive(
  family: layouts.Family, beside: Mapping[str, Any], image: dict[str, Any]
) -> ml_collections.ConfigDict:
  """A config from a library's config.json and its preprocessing.

  Args:
    family: has a `read_config`.
    beside: the config.json.
    image: keys of `config.data`, see `processor`.

  Raises:
    UserError: the config.json lacks a size, or the preprocessing has another.
  """
  try:
    fields = family.read_config(beside)
  except errors.UserError:  # a ValueError too
    raise
  except (KeyError, TypeError, ValueError, AttributeError) as e:
    lacks = isinstance(e, KeyError)
    raise errors.UserError(
      f"config.json has no {e}" if lacks else f"config.json: {e}",
      "every size of the network",
      "add it, or use --config",
      "--config",
    ) from e
  seen = image.get("size", fields["size"])
  if seen != fields["size"]:
    if family.resized is None:
      raise errors.UserError(
        f"preprocessing to {seen} pixels beside a network of {fields['size']}",
        "the same: this network takes images of one size",
        "correct preprocessor_config.json, or give a recipe with --config",
        "--weights",
      )
    fields = family.resized(fields, seen)
  config = configs.base()
  config.method = configs.section(type=family.methods[0], **fields)
  config.data.update(
    {"name": "folder", "size": seen, "frames": fields.get("frames", 0)} | image
  )
  if fields.get("channels") in (1, 3):  # not of latents
    config.data.channels = fields["channels"]
  return config


def _folder(path: str) -> pathlib.Path:
  where = home.expand(path, "--weights")
  return where if where.is_dir() else where.parent


def settings(path: str) -> dict[str, Any]:
  """The config.json beside weights; {} if there is none."""
  file = _folder(path) / CONFIG
  return core_files.read_object(file, "--weights") if file.is_file() else {}


def processor(path: str) -> dict[str, Any]:
  """Keys of `config.data` from what stands beside weights.

  Transformers' preprocessor_config.json, or timm's `pretrained_cfg`.
  """
  timm = settings(path).get("pretrained_cfg")
  if timm:
    return preprocessing.from_timm(timm)
  file = _folder(path) / PROCESSOR
  if not file.is_file():
    return {}
  return preprocessing.from_hf(core_files.read_object(file, "--weights"))


def shapes(method: methods.Method) -> dict[str, Any]:
  """{"params": ..., "extra": ...} of a method, as shapes."""
  params, extra = jax.eval_shape(lambda: _init(method, 0))
  return {"params": params, "extra": extra}


def _init(method, seed):
  batch = {
    name: jnp.zeros((2, *x.shape), x.dtype)
    for name, x in method.inputs().items()
  }
  return method.init(steps.init_key(seed), batch)


def load(
  plan: plans.Plan,
  method: methods.Method,
  like: Any,
  config: ml_collections.ConfigDict,
) -> dict[str, jax.Array]:
  """Leaf name -> array on the mesh of the config, the fresh ones included.

  Args:
    plan: the import.
    method: makes the leaves that the file lacks.
    like: shapes of the method, see `shapes`.
    config: with the mesh, and the seed of fresh leaves.
  """
  hardware = config.hardware
  mesh = sharding.make_mesh(hardware.mesh)
  layout = build.make_layout(hardware, mesh, method.axes())
  where = trees.named(layout.tree(like))
  placed = plans.place(plan.pieces(), plan.like, where)
  if not plan.fresh:
    return placed

  def pick():
    params, extra = _init(method, config.seed)
    named = trees.named({"params": params, "extra": extra})
    return {n: named[n] for n in plan.fresh}

  shardings = {n: where[n] for n in plan.fresh}
  return placed | jax.jit(pick, out_shardings=shardings)()
