"""Answers to a query that pairs explain, and how far they are from the truth.

    right      the whole context
    pairs_K    its last K pairs
    wrong      pairs of another task, made of the same pictures
    copy       the query, in place of an answer

Each is a mean squared error [b] over a target, in the units of the input.

`owner` is a method with the parts `tasks`, `context`, `first_stage`, `noise`
and `sampling`, a `shape` and a function `network` that takes a context.
"""

import dataclasses
import functools
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import method
from jmim.core import randomness
from jmim.methods.parts import in_context
from jmim.methods.parts import latent_mode

Array = jax.Array


def of(owner: Any) -> dict[str, method.Predict]:
  """What evaluators may ask for: sample, solved, errors, by_task."""
  made = {"by_task": by_task} if owner.tasks.made else {}
  every = {"sample": sample, "solved": solved, "errors": errors} | made
  return {name: functools.partial(f, owner) for name, f in every.items()}


def frames(
  owner: Any, weights: method.Weights, batch: method.Batch, draws: method.Draws
) -> tuple[Array, Array]:
  """Context and target of what is diffused, at the first stage's mode."""
  told = owner.tasks.told(batch, draws)
  z = latent_mode.latents(owner.first_stage, weights, told)
  return owner.context.split(z.astype(jnp.float32))


def answer(
  owner: Any,
  weights: method.Weights,
  context: Array,
  batch: method.Batch,
  key: Array,
) -> Array:
  """Frames [b, f, H, W, C] that the query of a context [b, n, ...] leads to."""
  z = owner.sampling.sample(
    owner.noise,
    functools.partial(owner.network, weights.params),
    condition=(context, in_context.null(context)),
    shape=owner.shape,
    batch=batch,
    key=key,
  )
  return owner.first_stage.decode(weights, z)


def asked(
  owner: Any, weights: method.Weights, batch: method.Batch, key: Array
) -> tuple[Array, Array]:
  """Context and target of samples: pairs of the example, or templates."""
  keys, numbers = randomness.Keys(key), method.numbers(batch)
  n = owner.context.pairs
  draws = owner.tasks.of_samples(keys("tasks"), numbers, n + 1)
  context, target = frames(owner, weights, batch, draws)
  context = owner.context.last(context, min(owner.context.asked, n))
  if not owner.context.templates:
    return context, target
  task = draws["task"] if owner.tasks.made else batch["label"]
  options = dict(key=keys("templates"), numbers=numbers)
  pairs = owner.context.from_templates(weights, task, **options)
  pixels = dataclasses.replace(owner.first_stage, read="images")
  pairs = latent_mode.latents(pixels, weights, {"video": pairs})
  return jnp.concatenate([pairs, context[:, -1:]], axis=1), target


def sample(
  owner: Any, weights: method.Weights, batch: method.Batch, key: Array
) -> Array:
  """Targets [b, f, H, W, C] of queries, in the units of the input."""
  context, _ = asked(owner, weights, batch, key)
  noise = randomness.Keys(key)("answer")
  return answer(owner, weights, context, batch=batch, key=noise)


def solved(
  owner: Any, weights: method.Weights, batch: method.Batch, key: Array
) -> Array:
  """Frames of contexts, answers and truths, one after the other."""
  context, target = asked(owner, weights, batch, key)
  noise = randomness.Keys(key)("answer")
  made = answer(owner, weights, context, batch=batch, key=noise)
  show = functools.partial(owner.first_stage.decode, weights)
  return jnp.concatenate([show(context), made, show(target)], axis=1)


def errors(
  owner: Any, weights: method.Weights, batch: method.Batch, key: Array
) -> dict[str, Array]:
  """right, copy, pairs_K; wrong where made; new, new_copy where labelled."""
  draws, told = owner.drawn(key, batch), range(1, owner.context.pairs)
  found = _errors(owner, weights, batch, draws, key=key, few=told)
  if owner.tasks.made and owner.tasks.new:
    found |= of_new(found, batch["label"])
  return found


def by_task(
  owner: Any, weights: method.Weights, batch: method.Batch, key: Array
) -> dict[str, Array]:
  """NAME/right, NAME/wrong, NAME/copy of every task, those held out, too."""
  draws, names = owner.drawn(key, batch), owner.tasks.names

  def one(i):
    own = draws | {"task": jnp.full_like(draws["task"], i)}
    return _errors(owner, weights, batch, own, key=key, few=())

  every = jax.lax.map(one, jnp.arange(len(names)))
  return {
    f"{name}/{what}": each[i]
    for i, name in enumerate(names)
    for what, each in every.items()
  }


def _errors(owner, weights, batch, draws, *, key, few):
  """Of the drawn tasks, with few pairs as well."""
  context, target = frames(owner, weights, batch, draws)
  keys = randomness.Keys(key)
  told = {"right": context}
  told |= {f"pairs_{k}": owner.context.last(context, k) for k in few}
  if owner.tasks.made:
    task = owner.tasks.others(draws, keys("others"))
    other, _ = frames(owner, weights, batch, draws | {"task": task})
    told["wrong"] = exchanged(other, context)
  options = dict(batch=batch, key=keys("answer"))
  return compared(
    lambda context: answer(owner, weights, context, **options),
    functools.partial(owner.first_stage.decode, weights),
    told,
    target,
  )


def exchanged(other: Array, context: Array) -> Array:
  """The pairs of one context [b, n, ...] with the query of another."""
  return jnp.concatenate([other[:, :-1], context[:, -1:]], axis=1)


def compared(
  made: Callable[[Array], Array],
  decode: Callable[[Array], Array],
  told: Mapping[str, Array],
  target: Array,
) -> dict[str, Array]:
  """The errors above, "copy" and those of every context.

  Args:
    made: a context -> frames [b, f, H, W, C].
    decode: what is diffused -> frames.
    told: name -> context [b, n, h, w, c], all with the same query.
    target: [b, f, h, w, c] of the query.
  """
  truth = decode(target)
  error = lambda found: ((found - truth) ** 2).mean((1, 2, 3, 4))
  query = next(iter(told.values()))[:, -1:]
  found = {"copy": error(decode(query))}
  return found | {n: error(made(context)) for n, context in told.items()}


def of_new(found: Mapping[str, Array], label: Array) -> dict[str, Array]:
  """new, new_copy [b]: right and copy where the label is 1, elsewhere 0.

  Both have the same zeros: the ratio of their means is that of the errors of
  the examples with this label.
  """
  on = label.astype(jnp.float32)
  return {"new": found["right"] * on, "new_copy": found["copy"] * on}
