"""--mode=sample: arrays, pictures or text of a trained run.

    python -m jmim.main --mode=sample --config=... --workdir=... --num=64 \
      --guidance=2 --sampler=ddim --steps=50 --seed=0

Image i is a function of (sample.seed, i) and of nothing else: not of the batch,
the number of devices, or of how many images are asked for. They are written in
parts, `samples/<settings>/part_00000.npz` (uint8 "image", "label", "index"),
with a picture beside it. A method of clips writes "video", [n, t, h, w, c], in
place of "image", and a picture whose rows are clips. What is in a part is not
made again, with whatever sample.batch: the same command resumes, and a larger
--num continues. A method of tokens writes int32 "tokens" in place of "image",
and a text file, one line per sample, beside it; one of clouds float32 "points"
[n, p, 3].
"""

import hashlib
import json
import math
import pathlib
import time
from collections.abc import Callable
from typing import Any

import jax
import ml_collections
import numpy as np

from jmim.core import config as configs
from jmim.core import errors
from jmim.core import files
from jmim.core import method as methods
from jmim.core import state as states
from jmim.evals.lib import predict
from jmim.parallel import sharding
from jmim.runlog import waits
from jmim.session import assemble
from jmim.session import holding
from jmim.session import restore
from jmim.session import samples
from jmim.session import seen
from jmim.session import session as sessions
from jmim.session import stopping
from jmim.session import trained


def run(
  config: ml_collections.ConfigDict,
  workdir: pathlib.Path,
  allow_changes: bool = False,
) -> pathlib.Path:
  """Makes `sample.num` images from the newest checkpoint of workdir.

  Args:
    config: of the run, and of the samples.
    workdir: of the run.
    allow_changes: as of `trained.check`.

  Returns:
    the folder of the samples.

  Raises:
    UserError: no checkpoint, a method that does not sample, or no EMA.
    NotSaved: the images cannot be written.
  """
  config = with_weights(config)
  with (
    stopping.ending(jax.process_count()),
    sessions.open(config, workdir, write=False, watched=True) as session,
  ):
    check(session.parts)
    trained.check(session, allow_changes)
    which = {"ema": "the EMA", "raw": "the parameters"}[config.sample.weights]
    session.console.print(f"samples of {which} (--weights=raw or ema)")
    point = restore.only_weights(session).point
    return make(session, point)


def with_weights(
  config: ml_collections.ConfigDict,
) -> ml_collections.ConfigDict:
  """The config with sample.weights chosen: the EMA where there is one."""
  if config.sample.weights != "auto":
    return config
  chosen = "ema" if config.ema.decay else "raw"
  return configs.override(config, [f"sample.weights={chosen}"])


def check(parts: assemble.Parts) -> None:
  """Raises UserError for what can be seen before anything is loaded."""
  config, offered = parts.config, parts.method.predict()
  if "sample" not in offered:
    raise errors.UserError(
      f"--mode=sample with method.type={config.method.type!r}",
      f"a method that samples; this one offers {', '.join(sorted(offered))}",
      "choose a diffusion method",
      "method.type",
    )
  if reads := parts.method.sample_reads():
    raise errors.UserError(
      f"--mode=sample with a method that samples given {', '.join(reads)}",
      "a method that samples given a label or nothing",
      "use the evaluators `samples` and `restoration`, which read examples",
      "method.type",
    )
  if config.sample.weights == "ema" and not config.ema.decay:
    raise errors.UserError(
      "sample.weights='ema' with ema.decay=0",
      "an EMA to sample from",
      "use weights='raw'",
      "sample.weights",
    )
  classes = _classes(parts)
  if config.sample.label >= max(classes, 0):
    raise errors.UserError(
      f"sample.label={config.sample.label}",
      f"-1 or a class below {classes}",
      "correct it",
      "sample.label",
    )


def _classes(parts: assemble.Parts) -> int:
  """Labels the method reads; 0: none."""
  label = parts.method.inputs().get("label")
  return label.high if label else 0


def protocol(parts: assemble.Parts, step: int) -> dict[str, Any]:
  """Everything the images depend on, apart from their numbers."""
  config = json.loads(parts.config.to_json())
  settings = {k: config["sample"][k] for k in ("seed", "label", "weights")}
  clouds = "points" in parts.method.inputs()
  names = ("points_mean", "points_std") if clouds else ("mean", "std")
  units = {k: config["data"][k] for k in names}
  return {"step": step, "method": config["method"], **units, **settings}


def reader(parts: assemble.Parts) -> Callable[[np.ndarray], str]:
  """What makes a line of sampled tokens [l]: the method, data, or nobody."""
  known = getattr(parts.sources["eval"], "text", samples.numbers)

  def text(tokens):
    line = parts.method.written(tokens)
    return known(tokens) if line is None else line

  return text


def open_folder(session: sessions.Session, step: int) -> pathlib.Path:
  """The folder of the samples of one protocol; the first host makes it."""
  config = session.parts.config.sample
  text = json.dumps(protocol(session.parts, step), indent=2, sort_keys=True)
  mark = hashlib.sha256(text.encode()).hexdigest()[:8]
  name = f"step{step}_{config.weights}_seed{config.seed}_{mark}"
  folder = session.workdir / "samples" / name
  if jax.process_index() == 0:
    with session.saving():
      folder.mkdir(parents=True, exist_ok=True)
      files.replace(folder / "protocol.json", text + "\n")
  return folder


def make(session: sessions.Session, point: restore.Point) -> pathlib.Path:
  """Samples the parts that are not there yet; prints images per second.

  Returns:
    the folder of all of them.

  Raises:
    UserError: another process writes there, or as `sampler`.
    NotSaved: they cannot be written.
  """
  folder, group = open_folder(session, point.step), session.group
  lock = holding.hold(folder, group, session.console.print)
  try:
    warn = lambda line: session.console.print(line, style="yellow")
    with session.saving():
      held = seen.held(group, folder, warn)
    _fill(session, point, folder, held)
  finally:
    if lock:
      lock.release()
  return folder


def _fill(
  session: sessions.Session,
  point: restore.Point,
  folder: pathlib.Path,
  held: np.ndarray,
) -> None:
  """Makes what is missing beside the images that are held."""
  parts, say = session.parts, session.console.print
  config, text = parts.config.sample, reader(parts)
  ways = math.prod(parts.mesh.shape[a] for a in sharding.BATCH_AXES)
  draw = sampler(parts, point.state, -(-config.batch // ways) * ways)
  made, seconds = 0, 0.0  # seconds: without the first part, which compiles
  missing = np.setdiff1d(np.arange(config.num), held)
  for start in range(0, len(missing), config.batch):
    index = missing[start : start + config.batch]
    begun = time.monotonic()
    with session.watch.during(waits.output("samples")):
      rows = draw(index)
    lap = time.monotonic() - begun
    rate = f", {len(index) / lap:.2f} images/s"
    rate = rate if made else " (compiling included)"
    made, seconds = made + len(index), seconds + lap * bool(made)
    name = "a part"
    if jax.process_index() == 0:
      with session.watch.during(waits.WRITE), session.saving():
        name = samples.write(folder, rows, text).name
    say(f"{name}: {len(index)} images, {lap:.1f} s{rate}")
  timed = made - min(made, config.batch)
  if timed > 0:
    say(f"{timed / seconds:.2f} images/s without the first part")
  more = np.count_nonzero(held >= config.num)
  more = f" (and {more} of larger numbers)" if more else ""
  say(f"done: {config.num} images in {folder}{more}, {made} of them new")


def sampler(
  parts: assemble.Parts, state: states.State, batch: int
) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
  """A function that makes the images of some numbers.

  Args:
    parts: of the run.
    state: whose weights are used.
    batch: images that are made at once.

  Returns:
    indices [<= batch] -> {"image" uint8 [n, h, w, c], "label" [n], "index"
    [n]} on every host; in place of "image" what the method samples: "video"
    uint8 [n, t, h, w, c], "tokens" int32 [n, l] or "points" float32 [n, p, 3].
    It raises UserError where some are not finite.
  """
  config, where = parts.config.sample, sharding.batch_sharding(parts.mesh)
  compiled = jax.jit(
    predict.samples(parts.method, parts.spec),
    out_shardings=sharding.replicated(parts.mesh),
  )
  params = state.ema if config.weights == "ema" else state.params
  weights = methods.Weights(params, state.extra, parts.consts)
  label = None if config.label < 0 else config.label
  key = jax.random.key(config.seed)

  def images(index: np.ndarray) -> dict[str, np.ndarray]:
    padded = np.resize(index, batch)
    inputs = predict.conditions(parts.method, padded, label)
    put = {
      k: jax.make_array_from_callback(v.shape, where, lambda s, v=v: v[s])
      for k, v in inputs.items()
    }
    made, finite = map(np.asarray, compiled(weights, put, key))
    predict.require_finite(finite[: len(index)], "samples")
    name = samples.kind(made)
    return {k: v[: len(index)] for k, v in {name: made, **inputs}.items()}

  return images
