"""From a config to the objects of a run; every mistake is found here.

Nothing is compiled, and but for indices of data nothing written, before all of
it has passed.
"""

import dataclasses
import pathlib
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import jax
import ml_collections

from jmim.checkpoints import frozen as const_files
from jmim.core import discovery
from jmim.core import method as methods
from jmim.core import units
from jmim.core import validate
from jmim.core.settings import optim as optim_settings
from jmim.data import augment
from jmim.data import inputs
from jmim.data import pipeline
from jmim.evals.lib import base as eval_base
from jmim.evals.lib import predict
from jmim.parallel import sharding
from jmim.session import adapted
from jmim.session import build
from jmim.session import checks
from jmim.session import opened
from jmim.training import optim
from jmim.training import schedule
from jmim.training import step as steps


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model:
  """The network of a config on its mesh.

  Attributes:
    method: the method, with its runtime.
    mesh: devices.
    layout: where arrays live on them.
    shapes: of the parameters, player -> tree.
  """

  method: methods.Method
  mesh: jax.sharding.Mesh
  layout: sharding.Layout
  shapes: Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parts:
  """What a run is made of.

  Attributes:
    config: complete: what the recipe leaves out is at its default.
    mesh: devices.
    layout: where arrays live on them.
    method: the method, with its runtime.
    shapes: of its parameters, player -> tree.
    consts: its frozen networks.
    sources: "train" and "eval".
    splits: others that evaluators fit on, as they are written.
    spec: of the input pipeline and of the augmentation on the device.
    evaluators: name -> (evaluator, steps between its runs or 0).
    examples: slots of one epoch: its examples, each as often as it is
      repeated.
    total: steps of the run.
    checkpoint_every: steps; 0: only at the end.
    keep_every: steps between checkpoints that stay; 0: none does.
    renamed: a line for every key of the config that has another name now.
  """

  config: ml_collections.ConfigDict
  mesh: jax.sharding.Mesh
  layout: sharding.Layout
  method: methods.Method
  shapes: Any
  consts: Any
  sources: dict[str, Any]
  splits: dict[str, Any]
  spec: pipeline.Spec
  evaluators: dict[str, tuple[eval_base.Evaluator, int]]
  examples: int
  total: int
  checkpoint_every: int
  keep_every: int
  renamed: tuple[str, ...] = ()

  @property
  def batch(self) -> int:
    """Total batch."""
    return self.config.data.batch


def prepare(
  config: ml_collections.ConfigDict, devices: Sequence[Any] | None = None
) -> Model:
  """Checks what needs no data, and builds the method.

  Args:
    config: to be checked.
    devices: of the mesh; None: those of this process.

  Raises:
    UserError: at the first thing that cannot work.
  """
  validate.validate(config)
  method = discovery.make(config.method)
  hardware = config.hardware
  mesh = sharding.make_mesh(hardware.mesh, devices)
  layout = build.make_layout(hardware, mesh, method.axes())
  method = dataclasses.replace(method, rt=build.make_runtime(hardware, mesh))
  shapes = trace_parameters(method, config.data.batch)
  checks.check_parameters(config, method, shapes)
  layout.plan({"params": shapes})  # raises for a rule that cannot be followed
  return Model(method=method, mesh=mesh, layout=layout, shapes=shapes)


def trace_parameters(method: methods.Method, batch: int) -> Any:
  """Shapes of its parameters, player -> tree; nothing is computed."""
  return _trace(method, batch)[0]


def _trace(method: methods.Method, batch: int) -> tuple[Any, Any]:
  """Shapes of (params, extra)."""
  shapes = {
    name: jax.ShapeDtypeStruct((batch, *x.shape), x.dtype)
    for name, x in method.inputs().items()
  }
  return jax.eval_shape(method.init, jax.random.key(0), shapes)


def abstract(method: methods.Method, batch: int = 1) -> methods.Weights:
  """Shapes of its weights; nothing is computed or read."""
  params, extra = _trace(method, batch)
  return methods.Weights(params, extra, make_consts(method, {}, empty=True))


def trace_widths(
  method: methods.Method, batch: int, names: Sequence[str]
) -> dict[str, int]:
  """Numbers per example of outputs, see `predict.widths`."""
  weights = abstract(method, batch)
  return predict.widths(predict.shapes(method, weights, names, batch))


def make(
  config: ml_collections.ConfigDict,
  devices: Sequence[Any] | None = None,
  stand_in: dict[str, Any] | None = None,
  index: pathlib.Path | None = None,
) -> Parts:
  """Checks a config and builds everything but the state.

  Args:
    config: to be checked.
    devices: of the mesh; None: those of this process.
    stand_in: in place of the sources, where nothing is to be read: then the
      frozen networks are shapes.
    index: folder for indices of large files, see `sources.build`.

  Raises:
    UserError: at the first thing that cannot work.
  """
  data = stand_in
  if config.data.get("follow_labels") and not stand_in:
    validate.validate(config)
    data = opened.make_sources(config, index)
    config = adapted.to_labels(config, data["train"])
  model = prepare(config, devices)
  method = model.method
  evaluators = build.make_evaluators(config, method)
  renamed = build.renamed_keys(config, method, evaluators)
  spec = build.make_spec(config, method.inputs())
  build.make_schedule(config)  # its mistakes come before any file
  inputs.check_settings(spec, method.inputs(), config.method.type)
  sharding.check_batch(config.data.batch, config.optim.accumulate, model.mesh)
  data = data or opened.make_sources(config, index)
  asking = {} if stand_in else evaluators
  further = opened.make_splits(config, asking, data, index)
  checks.check_labels(evaluators, data, further)
  config = build.resolved(config, method, evaluators)
  stream = pipeline.stream_of(data["train"], spec)
  examples = stream.epoch_examples * spec.repeat_samples
  length = lambda section, stem, where: units.steps(
    section, stem, batch=config.data.batch, examples=examples, where=where
  )

  def interval(*where) -> int:
    """0: none; one shorter than a step is every step, not never."""
    steps = length(*where)
    return max(1, round(steps)) if steps else 0

  total = round(length(config.train, "total", "train"))
  checks.check_durations(config, total, examples)
  checks.check_lengths(method.lengths(), total)
  if not stand_in:
    widths = lambda names: trace_widths(method, config.data.batch, names)
    checks.check_evaluators(evaluators, data, further, widths)
    tested = [data["eval"], *further.values()] if evaluators else []
    _check_data(data["train"], tested, spec, method.inputs())
  return Parts(
    config=config,
    mesh=model.mesh,
    layout=model.layout,
    method=method,
    shapes=model.shapes,
    consts=make_consts(method, config.data, empty=bool(stand_in)),
    sources=data,
    splits=further,
    spec=spec,
    evaluators={
      name: (e, interval(vars(e), "every", f"evals.{name}"))
      for name, e in evaluators.items()
    },
    examples=examples,
    total=total,
    checkpoint_every=interval(config.train, "checkpoint", "train"),
    keep_every=interval(config.train, "keep_every", "train"),
    renamed=renamed,
  )


def _check_data(
  train: Any, tested: Sequence[Any], spec: pipeline.Spec, read: inputs.Inputs
) -> None:
  """Raises UserError for data that the method cannot read."""
  pipeline.check_example(train, spec, training=True, inputs=read)
  for source in tested:
    inputs.check_stored(source, read, unlabelled=True)


def make_consts(
  method: methods.Method, data: Mapping[str, Any], empty: bool
) -> dict[str, Any]:
  """Its frozen networks by name; `empty`: their shapes, nothing is read."""
  if not empty:
    return const_files.load_all(method.consts(), data)
  return {
    name: jax.eval_shape(const.init, jax.random.key(0))
    for name, const in method.consts().items()
  }


def make_step(parts: Parts) -> steps.Step:
  """The training step."""
  config, method = parts.config, parts.method
  optimizers = {
    player: make_optimizer(parts, player, {player: parts.shapes[player]})
    for player in method.players
  }
  return steps.Step(
    method,
    optimizers,
    lambda key, batch: augment.augment_batch(parts.spec, key, batch),
    seed=config.seed,
    accumulate=config.optim.accumulate,
    ema_decay=config.ema.decay,
    ema_warmup=config.ema.warmup,
    place=parts.layout.gradients,
  )


def make_optimizer(parts: Parts, player: str, shapes: Any) -> optim.Optimizer:
  """The optimizer of one player, with its learning-rate schedule.

  The peak is lr * batch / lr_batch; the weight decay may follow half a cosine.
  """
  config = parts.config
  cfg = build.make_optim(config, player)
  scale = parts.batch / cfg.lr_batch if cfg.lr_batch else 1.0
  shape = units.resolve(
    build.make_schedule(config), parts.batch, parts.examples, "schedule"
  )
  rate = schedule.make(shape, cfg.lr * scale, parts.total)
  decay = cfg.weight_decay
  if cfg.weight_decay_end:
    to_end = optim_settings.Schedule(min_lr=cfg.weight_decay_end)
    decay = schedule.make(to_end, decay, parts.total)
  return optim.make(
    cfg, shapes, groups=parts.method.groups(), schedule=rate, weight_decay=decay
  )
