"""A whole Stable Diffusion, 1 or 2, as three runs that know each other.

    python -m jmim.convert --from=sd --weights=FILE --out=SD
    python -m jmim.convert --from=sd --weights=FOLDER --out=SD

    SD/text         text.clip, of which only the tower of texts is theirs
    SD/first_stage  latent.autoencoder_kl
    SD/net          latent.ldm, told by a text; the paths of the others in it

FILE is a checkpoint of the authors or of Stability, FOLDER what Diffusers
saves. A file says nothing of its sizes: --config names a recipe of `latent.ldm`
with the task "text", whose encoder and first stage are those of the file, too;
without one it is `ldm_laion512`, told apart by how the text encoder is called.
"""

import dataclasses
import pathlib
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import ml_collections

from jmim.convert import families
from jmim.convert import files
from jmim.convert import importing
from jmim.convert import options
from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import errors
from jmim.core import field
from jmim.core import files as core_files
from jmim.core import home

NAME = "sd"
RECIPE = "configs/ldm_laion512.py:version={}"
# How names of the text encoder begin in a file -> version, families of the
# text encoder and of the network.
TOLD_BY = {
  "cond_stage_model.transformer.": (1, "hf_clip_text", "ldm"),
  "cond_stage_model.model.": (2, "open_clip_text", "ldm2"),
}
PREDICTIONS = {"epsilon": "eps", "v_prediction": "v", "sample": "x0"}
_FOLDERS = ("text_encoder", "vae", "unet")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
  """One of the three.

  Attributes:
    family: layout of its weights.
    path: of them.
    config: of its run.
  """

  family: str
  path: str
  config: ml_collections.ConfigDict


def run(
  path: str,
  config: ml_collections.ConfigDict | None,
  out: pathlib.Path,
  ignore: Sequence[str] = (),
) -> list[str]:
  """Converts a file or a folder; see the module.

  Args:
    path: of the file or folder.
    config: of a `latent.ldm`, for a file; None: that of `RECIPE`.
    out: folder of the three runs.
    ignore: regexes of names to leave out.

  Returns:
    lines of all three, see `importing.run`.

  Raises:
    UserError: something is missing or does not fit.
  """
  folder = home.expand(path, "--weights")
  diffusers = (folder / "unet").is_dir()
  parts = of_folder(folder, out) if diffusers else of_file(path, config, out)
  lines = []
  for name, part in parts.items():
    made = importing.run(
      part.family, part.path, part.config, out / name, ignore=ignore
    )
    lines += [f"{name}: {line}" for line in made]
  return lines


def of_file(
  path: str, config: ml_collections.ConfigDict | None, out: pathlib.Path
) -> dict[str, Part]:
  """The parts of a checkpoint."""
  names = [n.removeprefix("state_dict.") for n in files.read(path)]
  there = [k for k in TOLD_BY if any(n.startswith(k) for n in names)]
  if len(there) != 1:
    raise errors.UserError(
      f"{path}: names of {len(there)} text encoders",
      f"a checkpoint with names that begin with {' or '.join(TOLD_BY)}",
      "give a whole file of Stable Diffusion 1 or 2, or a folder of Diffusers",
      "--weights",
    )
  version, words, network = TOLD_BY[there[0]]
  config = config or configs.load(RECIPE.format(version))
  method, kind = discovery.make(config.method), config.method.type
  _check(kind, method)
  known, side = field.settings(method), method.size * method.first_stage.factor
  stage, text = known["first_stage"], _tower(known["condition"]["text"])
  images = dict(
    size=side,
    dims={n: stage[n] for n in ("variant", "width", "blocks")},
    latent_scale=stage["scale"],
  )
  part = lambda family, kind, fields: Part(
    family=family, path=path, config=_config(kind, fields, config)
  )
  return {
    "text": part(words, "text.clip", options.NO_IMAGES | {"text": text}),
    "first_stage": part("ldm_first_stage", "latent.autoencoder_kl", images),
    "net": part(network, kind, _joined(known, text, out)),
  }


def of_folder(folder: pathlib.Path, out: pathlib.Path) -> dict[str, Part]:
  """The parts of what Diffusers saves."""
  missing = [n for n in _FOLDERS if not (folder / n).is_dir()]
  if missing:
    raise errors.UserError(
      f"{folder} without {', '.join(missing)}",
      f"the folders {', '.join(_FOLDERS)} of a Stable Diffusion",
      "give the whole folder",
      "--weights",
    )
  beside = {n: importing.settings(str(folder / n)) for n in _FOLDERS}
  linear = beside["unet"].get("use_linear_projection", False)
  chosen = {
    "text_encoder": "hf_clip_text",
    "vae": "diffusers_vae",
    "unet": "diffusers_unet2" if linear else "diffusers_unet",
  }
  derived = {
    n: importing.derive(families.find(family), beside[n], {})
    for n, family in chosen.items()
  }
  text, stage, net = (
    field.settings(discovery.make(derived[n].method)) for n in _FOLDERS
  )
  words = _tower(text["text"]) | {
    "pad": _padding(folder / "tokenizer", text["text"]["end"])
  }
  derived["text_encoder"].method.text = configs.section(**words)
  same = {n: stage["dims"][n] for n in ("variant", "width", "blocks")}
  net["first_stage"] |= same | {"scale": stage["latent_scale"]}
  net |= _schedule(folder / "scheduler", net["noise"])
  net["condition"] |= {"task": "text", "null": ""}
  own = _joined(net, words, out)
  derived["unet"].method = configs.section(type="latent.ldm", **own)
  for config in derived.values():
    config.data.update(mean=(0.5,) * 3, std=(0.5,) * 3, channels=3)
  factor = discovery.make(derived["unet"].method).first_stage.factor
  derived["unet"].data.size = net["size"] * factor
  runs = {"text": "text_encoder", "first_stage": "vae", "net": "unet"}
  return {
    name: Part(
      family=chosen[where], path=str(folder / where), config=derived[where]
    )
    for name, where in runs.items()
  }


def _check(kind: str, method: Any) -> None:
  """Raises UserError unless a recipe is of a network told by a text."""
  condition = getattr(method, "condition", None)
  task = getattr(condition, "task", "")
  if kind != "latent.ldm" or task != "text":
    raise errors.UserError(
      f"--config of {kind}" + (f", task {task!r}" if task else ""),
      "a recipe of latent.ldm with condition.task='text'",
      "name one, such as configs/ldm_laion512.py",
      "--config",
    )


def _tower(text: Mapping[str, Any]) -> dict[str, Any]:
  """Fields of a run's tower of texts: it is no part of another run.

  Its projection is fresh where a file has none, and then as wide as it is.
  """
  wide = text["projection"] or text["width"]
  own = {name: x for name, x in text.items() if name != "type"}
  return dict(own, path="", sha256="", layer=1, projection=wide)


def _config(
  kind: str, fields: Mapping[str, Any], like: ml_collections.ConfigDict
) -> ml_collections.ConfigDict:
  """The config of a run whose images are normalised as those of another."""
  config = configs.base()
  config.method = configs.section(type=kind, **fields)
  config.data.update(like.data)
  if kind != "latent.ldm":  # whose images are larger than what is diffused
    config.data.size = fields["size"]
  return config


def _joined(
  fields: dict[str, Any], text: Mapping[str, Any], out: pathlib.Path
) -> dict[str, Any]:
  """Fields of the network, with the paths of the others."""
  paths = {n: str((out / n).resolve()) for n in ("text", "first_stage")}
  layer = fields["condition"]["text"]["layer"]
  encoder = dict(text, projection=0, layer=layer, path=paths["text"])
  condition = fields["condition"] | {"text": encoder}
  stage = fields["first_stage"] | {"path": paths["first_stage"], "sha256": ""}
  return fields | {"condition": condition, "first_stage": stage}


def _padding(folder: pathlib.Path, end: int) -> int:
  """The token that fills up: that of "!" is 0; else the end does.

  Version 2 fills up with "!", as its tokenizer says; version 1 with the end.
  """
  told = _object(folder / "tokenizer_config.json").get("pad_token", "")
  said = told.get("content", "") if isinstance(told, dict) else told
  return 0 if said == "!" else end


def _schedule(folder: pathlib.Path, noise: Mapping[str, Any]) -> dict[str, Any]:
  """What its scheduler says of the noise, and of what is predicted."""
  told = _object(folder / "scheduler_config.json")
  keys = {"num_train_timesteps": "times", "beta_schedule": "schedule"}
  keys |= {n: n for n in ("beta_start", "beta_end")}
  keys["rescale_betas_zero_snr"] = "zero_snr"
  if told.get("trained_betas"):
    raise errors.UserError(
      "scheduler_config.json with trained_betas",
      "a schedule by name",
      "give a file of weights with --config",
      "--weights",
    )
  said = {ours: told[n] for n, ours in keys.items() if n in told}
  predicted = told.get("prediction_type", "epsilon")
  return {
    "noise": {**noise, **said},
    "prediction": PREDICTIONS.get(predicted, predicted),
  }


def _object(path: pathlib.Path) -> dict[str, Any]:
  """A JSON file; {} where there is none."""
  return core_files.read_object(path, "--weights") if path.is_file() else {}
