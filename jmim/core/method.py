"""The contract between a method and everything else.

A method is one file with one frozen dataclass of typed hyper-parameters and
pure functions. It never sees a mesh, an optimizer, a file or a flag; the core
never sees a method's name. All randomness of a training step is data: it is
made by `draw` and handed to `loss`, so a loss can be checked against numbers
computed elsewhere, and evaluated twice on the same draws.
"""

import dataclasses
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any
from typing import ClassVar

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import randomness
from jmim.core import runtime

Batch = dict[str, jax.Array]
Draws = dict[str, Any]
Tree = Any


@dataclasses.dataclass(frozen=True)
class Weights:
  """All arrays that a method computes with, apart from batch and draws.

  Attributes:
    params: player -> tree of what is trained.
    extra: what is saved but not differentiated (EMA target, statistics).
    consts: name -> tree of frozen networks.
  """

  params: Tree
  extra: Tree = dataclasses.field(default_factory=dict)
  consts: Tree = dataclasses.field(default_factory=dict)


jax.tree_util.register_dataclass(
  Weights, data_fields=["params", "extra", "consts"], meta_fields=[]
)
Predict = Callable[[Weights, Batch, jax.Array], Any]
Loss = tuple[jax.Array, dict[str, jax.Array]]


@dataclasses.dataclass(frozen=True)
class Input:
  """Shape and dtype of one entry of a batch, without the batch dimension."""

  shape: tuple[int, ...]
  dtype: Any = jnp.float32
  high: int | None = None  # exclusive upper bound of integer inputs
  # Least and greatest value of float inputs, where a method relies on them.
  range: tuple[float, float] | None = None
  # Whole numbers that every example has: where a text begins and ends.
  holds: tuple[int, ...] = ()
  # What the last place has one of, where examples end and are filled up.
  closes: tuple[int, ...] = ()
  windowed: bool = False  # larger ones are read, too, window by window


@dataclasses.dataclass(frozen=True)
class Const:
  """A frozen network a method reads: sharded, never saved with a run.

  Attributes:
    path: checkpoint or exported weights to load.
    init: key -> tree, the structure expected (and the offline fallback of
      tests).
    sha256: hash that the file, or its arrays (`checkpoints.identity`), must
      have; None or "": not checked.
    agrees: dotted field of the method that trained it -> (our key, our value):
      a run that knows another value is refused; 0: not known. "data.mean" and
      "data.std": per channel, where its images are not normalised as ours.
    implied: section `method` of a run's config -> what follows from several of
      its fields (widths of a named size), by dotted names as in `agrees`.
    weights: of a run: "raw" or "ema".
    key: config key of the path, for messages ("method.teacher.path").
    images: whether it reads images, which are to be normalised as its own were.
    exact: fields of `agrees` of which 0, "" and () are known, too.
    whole: of a run that has leaves beside those of `init`, nothing is taken.
  """

  path: str
  init: Callable[[jax.Array], Tree]
  sha256: str | None = None
  agrees: Mapping[str, tuple[str, Any]] = dataclasses.field(
    default_factory=dict, kw_only=True
  )
  implied: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dataclasses.field(
    default=lambda section: {}, kw_only=True
  )
  weights: str = dataclasses.field(default="raw", kw_only=True)
  key: str = dataclasses.field(default="method", kw_only=True)
  images: bool = dataclasses.field(default=True, kw_only=True)
  exact: Iterable[str] = dataclasses.field(default=(), kw_only=True)
  whole: bool = dataclasses.field(default=False, kw_only=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Group:
  """Optimizer settings of the parameters whose path matches a regex.

  Rules are tried in order, for each field the first that sets it wins.

  Attributes:
    pattern: `re.search`ed in "player/module/.../leaf".
    decay: multiplies the weight decay.
    lr: multiplies the learning rate.
    frozen: no gradient, no update, no optimizer state.
  """

  pattern: str
  decay: float | None = None
  lr: float | None = None
  frozen: bool | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Method:
  """Base of all methods: the defaults of the contract.

  Fields of subclasses are the keys of `config.method`: values
  (`field.value(default, "doc")`) and parts (`field.part(cls, "doc")`), frozen
  dataclasses that several methods are made of. `init` and `loss` must be
  overridden. A method derives from this class, or from one paper it extends.
  """

  # A property, where it depends on fields.
  players: ClassVar[tuple[str, ...]] = ("main",)
  # Whether losses are means over examples. Where they are not (statistics of
  # the batch, say), accumulation is another computation than a whole batch.
  per_example: ClassVar[bool] = True
  # Names of `draw` that are not per example: all parts of a batch get them.
  shared: ClassVar[tuple[str, ...]] = ()

  rt: runtime.Runtime = field.runtime()

  def __post_init__(self):
    """Hands the runtime to the parts that build networks."""
    for f in dataclasses.fields(self):
      part = getattr(self, f.name)
      if "parts" in f.metadata and hasattr(part, "rt"):
        own = dataclasses.replace(part, rt=self.rt)
        object.__setattr__(self, f.name, own)

  @classmethod
  def tiny(cls) -> "Method":
    """The smallest sensible instance, for the contract tests."""
    return cls()

  def inputs(self) -> dict[str, Input]:
    """What it reads from a batch: name -> shape and dtype."""
    raise TypeError(f"{type(self).__name__} must define inputs()")

  def init(self, key: jax.Array, batch: Batch) -> tuple[Tree, Tree]:
    """Fresh (params, extra).

    `params` has one tree per player; `extra` is saved but not
    differentiated (EMA target, codebook counts, running statistics).
    """
    raise TypeError(f"{type(self).__name__} must define init()")

  def consts(self) -> dict[str, Const]:
    """Frozen networks it reads, by name."""
    return {}

  def draw(self, keys: randomness.Keys, batch: Batch, step: jax.Array) -> Draws:
    """All randomness of a training step, as plain arrays by name.

    `keys("mask")` is the key of that name. Each leaf has the batch as its
    first dimension, and is sharded and split into micro-batches like it; those
    named in `shared` are not per example.
    """
    del keys, batch, step
    return {}

  def drawn(self, key: jax.Array, batch: Batch, step: int = 0) -> Draws:
    """`draw` with the names of a key: what a step or an output begins with."""
    return self.draw(randomness.Keys(key), batch, step)

  def loss(
    self,
    weights: Weights,
    batch: Batch,
    draws: Draws,
    step: jax.Array,
    player: str = "main",
  ) -> Loss:
    """(float32 scalar, aux) of one player; deterministic given `draws`.

    It is differentiated with respect to weights.params[player] only. Scalars
    in `aux` are logged; `after` receives all of `aux`.
    """
    raise TypeError(f"{type(self).__name__} must define loss()")

  def after(
    self, weights: Weights, aux: Tree, step: jax.Array, player: str = "main"
  ) -> Tree:
    """New `extra`, once a player has been updated (momentum, codebooks)."""
    del aux, step, player
    return weights.extra

  def predict(self) -> dict[str, Predict]:
    """What evaluators may ask for, by name.

    Each is fn(weights, batch, key).

    Outputs are arrays, or dicts of arrays, with the batch as dimension 0.
    Names evaluators share: features [b, d], one vector per image; cls [b, d];
    tokens [b, h, w, d], a feature map; layers {name: [b, d]}; attention
    [b, layers, heads, t, t]; reconstruct {image, mask}, both
    [b, h, w, c]; logits [b, k]. All of them: docs/evals.md.
    """
    return {}

  def lengths(self) -> dict[str, int]:
    """Fields that must be the steps of the run, by dotted name.

    A run of another length is an error before anything is computed.
    """
    return {}

  def sample_reads(self) -> tuple[str, ...]:
    """Entries of a batch that `sample` needs, beside "label"."""
    return ()

  def written(self, tokens: Any) -> str | None:
    """A line of text of sampled tokens [l].

    Of methods that have words of their own; None: the data may know, or they
    are numbers.
    """
    del tokens
    return None

  def diffuser(self, weights: Weights) -> Any:
    """Frozen, as functions of arrays: a `diffusion.model.Diffuser`.

    Of methods whose runs can be inverted and edited (`core.procedure`); None:
    this is none.
    """
    del weights
    return None

  def groups(self) -> tuple[Group, ...]:
    """Optimizer rules; by default only kernels are decayed."""
    return ()

  def axes(self) -> tuple[tuple[str, tuple[str | None, ...]], ...]:
    """(regex, mesh axis per dimension) where the default rules are wrong.

    It knows no mesh: an axis that the mesh lacks, or that does not divide the
    dimension, is passed over.
    """
    return ()


def draws_of(
  keys: randomness.Keys, shape: tuple[int, ...], *parts: Any
) -> Draws:
  """The draws of several parts for a batch of that shape, [b, ...]."""
  draws: Draws = {}
  for part in parts:
    draws |= part.draw(keys, shape)
  return draws


def outputs_of(
  make: Callable[[Weights], Any], names: Iterable[str]
) -> dict[str, Predict]:
  """Outputs of what a method makes of its weights: its own (batch, key)."""

  def output(name):
    return lambda weights, batch, key: getattr(make(weights), name)(batch, key)

  return {name: output(name) for name in names}


def batch_size(batch: Batch) -> int:
  """Examples of a batch."""
  return len(jax.tree.leaves(batch)[0])


def numbers(batch: Batch) -> jax.Array:
  """[b] the numbers of a batch's examples; without any: 0, 1, ..."""
  return batch.get("index", jnp.arange(batch_size(batch)))


def loss_name(method: Method, player: str) -> str:
  """What the loss of a player is called in metrics and logs."""
  return "loss" if len(method.players) == 1 else f"loss/{player}"
