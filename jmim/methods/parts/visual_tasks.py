"""Pairs of an input and its target: made of pictures by a task, or stored.

An example holds pictures that have nothing to do with each other, a clip
[n, h, w, c] under the name "video"; one task, drawn anew in each step, makes
an input and a target of each (`nn.visual_tasks`). Or pairs are stored, the
frames of all of them one after the other.
"""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.nn import visual_tasks as tasks

Array = jax.Array
HELD_OUT = ("transpose", "hue_swap")
TRAINED = tuple(name for name in tasks.TASKS if name not in HELD_OUT)
NUMBERS = 4  # uniform ones that a task may read, of each picture


@dataclasses.dataclass(frozen=True, kw_only=True)
class VisualTasks:
  """Where pairs come from, and which tasks there are."""

  source: str = field.value(
    "made",
    "pairs are made of pictures in the step, or stored",
    choices=("made", "stored"),
  )
  trained: tuple = field.value(TRAINED, "tasks of training, where made")
  held_out: tuple = field.value(HELD_OUT, "tasks that only evaluators ask for")
  stored: int = field.value(
    0, "tasks of stored pairs, numbered by `label`; 0: it is not read", low=0
  )
  new: bool = field.value(
    False, "`label` is 1 of pictures unlike those of training, for `errors`"
  )
  task: str = field.value(
    "", "task of samples, where made; empty: all in turn", asked=True
  )

  @property
  def made(self) -> bool:
    """Whether pairs are made of pictures."""
    return self.source == "made"

  @property
  def names(self) -> tuple[str, ...]:
    """Of all tasks, those of training first."""
    return (*self.trained, *self.held_out) if self.made else ()

  @property
  def count(self) -> int:
    """Tasks that are told apart by a number."""
    return len(self.names) or self.stored

  def inputs(
    self, found: dict[str, method.Input], pairs: int
  ) -> dict[str, method.Input]:
    """What is read of a batch.

    Args:
      found: of the frames of all pairs, by the first stage.
      pairs: of an example, that of the query among them.

    Raises:
      ValueError: fields that do not go together.
    """
    if not self.made:
      label = method.Input((), jnp.int32, self.stored)
      return found | ({"label": label} if self.stored else {})
    if "video" not in found:
      raise ValueError(
        "first_stage.read 'moments' with tasks.source 'made': pairs are made "
        "of pictures; read 'images', or 'stored' pairs"
      )
    self._check(found["video"].shape)
    shape = (pairs, *found["video"].shape[1:])
    label = method.Input((), jnp.int32, high=2)
    return {"video": method.Input(shape)} | (
      {"label": label} if self.new else {}
    )

  def _check(self, shape):
    unknown = sorted({*self.names, self.task} - {*tasks.TASKS, ""})
    if unknown:
      raise ValueError(
        f"tasks: {', '.join(unknown)}; there are {', '.join(tasks.TASKS)}"
      )
    if self.task and self.task not in self.names:
      raise ValueError(
        f"tasks.task {self.task!r} is neither in tasks.trained nor in "
        "tasks.held_out"
      )
    if len(self.trained) < 2 or len(set(self.names)) < len(self.names):
      raise ValueError(
        f"tasks.trained {self.trained} and tasks.held_out {self.held_out}: two "
        "or more to learn, and each task once"
      )
    if shape[1] != shape[2] and "transpose" in self.names:
      raise ValueError(
        f"tasks: 'transpose' of pictures of {shape[1:3]}, which are no squares"
      )

  def draw(
    self, keys: randomness.Keys, batch: int, pairs: int
  ) -> dict[str, Array]:
    """task [b] of training; where [b, n, 4] ~ U(0, 1); none where stored.

    Args:
      keys: by name.
      batch: b.
      pairs: n, of an example.
    """
    if not self.made:
      return {}
    shape = (batch, pairs, NUMBERS)
    return {
      "task": jax.random.randint(keys("task"), (batch,), 0, len(self.trained)),
      "where": jax.random.uniform(keys("where"), shape),
    }

  def of_samples(
    self, key: Array, numbers: Array, pairs: int
  ) -> dict[str, Array]:
    """As `draw`, for samples: functions of their numbers [b] alone."""
    if not self.made:
      return {}
    task = numbers % len(self.names)
    if self.task:
      task = jnp.full_like(task, self.names.index(self.task))
    keys, shape = randomness.numbered(key, numbers), (pairs, NUMBERS)
    where = jax.vmap(lambda k: jax.random.uniform(k, shape))(keys)
    return {"task": task, "where": where}

  def others(self, draws: Mapping[str, Array], key: Array) -> Array:
    """[b] other tasks of training than the drawn ones, equally likely."""
    task, n = draws["task"], len(self.trained)
    least = jnp.where(task < n, 1, 0)  # no task of training is one held out
    step = jax.random.randint(key, task.shape, least, n)
    return (task + step) % n

  def pairs(
    self, pictures: Array, draws: Mapping[str, Array]
  ) -> tuple[Array, Array]:
    """Inputs and targets of pictures [b, n, h, w, c], each; see `draw`."""
    task, where = draws["task"], draws["where"]
    return tasks.apply(self.names, task, pictures, where)

  def told(
    self, batch: method.Batch, draws: Mapping[str, Array]
  ) -> method.Batch:
    """The batch with frames of pairs, in turn, in place of pictures."""
    if not self.made:
      return batch
    both = jnp.stack(self.pairs(batch["video"], draws), axis=2)
    return batch | {"video": both.reshape(len(both), -1, *both.shape[3:])}
