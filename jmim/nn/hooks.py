"""Looking inside a frozen network: reads or changes the call of any module.

    with hooks.edited({"middle_1": hooks.after(lambda h: h + direction)}):
      eps = net.apply({"params": params}, x, t)
    with hooks.seen("*/self_0/attend") as calls:
      net.apply({"params": params}, x, t)
    q, k, v = calls["down1_0_attention/self_0/attend"][0].args

A name is the path of a module's parameters below the network that is applied
("middle_attention/attn/qkv"), layers of a stack by their number
("blocks/layers_3/attn"); names may be patterns of `fnmatch`. Of every attention
<path>/attend is the call (q, k, v, bias=, mask=) -> output, [b, heads, tokens,
d], without parameters of its own.

Hooks act while a program is traced: they belong inside the function that is
compiled. What is read is known within the same function, and neither leaves a
scan nor a recomputed layer: layers of a stack have names where it is unrolled
(`hardware.scan="off"`, `hardware.remat="none"`). What a LOSS reads is an output
of the network instead (`UNet.tapped`).
"""

import contextlib
import dataclasses
import fnmatch
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import flax.linen as nn

from jmim.nn import stack


@dataclasses.dataclass(frozen=True, kw_only=True)
class Call:
  """One call of one module.

  Attributes:
    name: of the module.
    args: positional arguments.
    kwargs: other arguments.
    run: the call itself, which a change may make with other arguments.
    output: what it gave; None before it ran.
  """

  name: str
  args: tuple[Any, ...]
  kwargs: Mapping[str, Any]
  run: Callable[..., Any]
  output: Any = None


# Makes the call, or not, and returns what stands for its output.
Change = Callable[[Call], Any]


def after(change: Callable[[Any], Any]) -> Change:
  """Of the output alone: output -> what stands for it."""
  return lambda call: change(call.run(*call.args, **call.kwargs))


def before(change: Callable[..., tuple[tuple, Mapping[str, Any]]]) -> Change:
  """Of the arguments alone: (*args, **kwargs) -> (args, kwargs)."""

  def changed(call):
    args, kwargs = change(*call.args, **call.kwargs)
    return call.run(*args, **kwargs)

  return changed


@contextlib.contextmanager
def edited(changes: Mapping[str, Change]) -> Iterator[None]:
  """Calls of these modules are what the changes make of them.

  Args:
    changes: name or pattern -> change; the first that fits is taken.

  Raises:
    ValueError: no module of a name was called, or none that is not in a
      scanned or recomputed stack.
  """
  met: set[str] = set()

  def around(call):
    for pattern, change in changes.items():
      if fnmatch.fnmatchcase(call.name, pattern):
        met.add(pattern)
        return change(call)
    return call.run(*call.args, **call.kwargs)

  with _Names().intercepting(around) as names:
    yield
  names.check(changes, met)


@contextlib.contextmanager
def seen(*patterns: str) -> Iterator[dict[str, list[Call]]]:
  """Calls of these modules, by name, in their order.

  Args:
    *patterns: names or patterns.

  Raises:
    ValueError: as `edited`.
  """
  found: dict[str, list[Call]] = {}

  def keep(call):
    output = call.run(*call.args, **call.kwargs)
    made = dataclasses.replace(call, output=output)
    found.setdefault(call.name, []).append(made)
    return output

  with edited(dict.fromkeys(patterns, keep)):
    yield found


class _Names:
  """The names of what is called, also below stacks of layers.

  A stack applies each layer as a network of its own, whose path is empty: the
  stack's own path and the number of the layer stand before it.
  """

  def __init__(self):
    self._prefix: list[str] = []
    self._stacks: list[dict[str, Any]] = []
    self._known: list[str] = []
    self._hidden: list[str] = []

  @contextlib.contextmanager
  def intercepting(self, around: Change) -> Iterator["_Names"]:
    """Hands every call of a module but the outermost to `around`."""

    def intercept(run, args, kwargs, context):
      # Layers that are made, to see their parameters, are not those that run.
      if context.method_name != "__call__" or context.module.is_initializing():
        return run(*args, **kwargs)
      return self._call(around, context.module, run=run, call=(args, kwargs))

    with nn.intercept_methods(intercept):
      yield self

  def _call(self, around, module, *, run, call):
    args, kwargs = call
    if self._stacks and self._stacks[-1]["fault"]:
      return run(*args, **kwargs)
    inner = self._layer() if not module.path and self._stacks else None
    own = [*self._prefix, *([inner] if inner else []), *_path(module)]
    if isinstance(module, stack.Stack):
      body = lambda *a, **k: self._within(module, own, run=run, call=(a, k))
    elif inner:
      body = lambda *a, **k: self._below(own, run=run, call=(a, k))
    else:
      body = run
    if not own:
      return body(*args, **kwargs)
    name = "/".join(own)
    self._known.append(name)
    return around(Call(name=name, args=args, kwargs=kwargs, run=body))

  def _layer(self):
    """Name of the next layer of the innermost stack."""
    now = self._stacks[-1]
    now["next"] += 1
    return f"layers_{now['next'] - 1}"

  def _within(self, module, own, *, run, call):
    """Runs a stack: what is applied meanwhile are its layers."""
    start, fault = call[1].get("start", 0), _fault(module.rt)
    self._stacks.append({"next": start, "fault": fault})
    if fault:
      self._hidden.append(f"; layers of {'/'.join(own)} {fault}")
    try:
      return self._below(own, run=run, call=call)
    finally:
      self._stacks.pop()

  def _below(self, own, *, run, call):
    """Runs what has paths of its own, below this one."""
    before, self._prefix = self._prefix, own
    try:
      return run(*call[0], **call[1])
    finally:
      self._prefix = before

  def check(self, changes: Mapping[str, Any], met: set[str]) -> None:
    """Raises ValueError for a name that nothing had."""
    if lost := [p for p in changes if p not in met]:
      there = ", ".join(dict.fromkeys(self._known)) or "no module at all"
      raise ValueError(
        f"hooks on {lost}, but what was traced here called {there}"
        + "".join(dict.fromkeys(self._hidden))
      )


def _path(module):
  """Of a module; one that shares another's parameters keeps its own name."""
  path = list(module.path)
  if path and module.name and path[-1] != module.name:
    path.append(module.name)
  return path


def _fault(rt):
  """What hides the layers of a stack, or nothing."""
  if rt.scan:
    return "are scanned (hardware.scan)"
  return "" if rt.remat == "none" else "are recomputed (hardware.remat)"
