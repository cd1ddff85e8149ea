"""Arguments: by keyword where there are many, and with types."""

import ast
import builtins
import dataclasses
import functools
import importlib
import inspect

import flax.linen as nn
import sources

OURS = [*sources.FILES, *sources.TESTS, *sources.RECIPES]
MOST = 4  # positional arguments of a call
FIELDS = 3  # of a class that may be made without keywords
# Methods of arrays, strings and sets, which take as many values as there are,
# of Flax, which hands on those of an initialiser, and of two fixtures that take
# a shape and the arguments of a network.
LISTS = {"reshape", "transpose", "format", "union", "param", "normal", "fill"}
# Of networks: the parameters, or a key, come before the arguments.
FLAX = {"apply", "init"}
# Positional all the same, and why.
EXCEPT = {"jmim.core.method.Input": "a shape and a dtype, as of an array"}


def foreign(tree: ast.Module) -> set[str]:
  """Names in a module that stand for something of another package.

  Imported, or assigned from what is: `P = jax.sharding.PartitionSpec`.
  """
  known = set(dir(builtins))
  for node in ast.walk(tree):
    if isinstance(node, ast.Import):
      names = [a.name for a in node.names]
      aliases = [a.asname or a.name.partition(".")[0] for a in node.names]
      known |= {b for a, b in zip(names, aliases, strict=True) if not _ours(a)}
    elif isinstance(node, ast.ImportFrom) and not _ours(node.module or ""):
      known |= {a.asname or a.name for a in node.names}
  for node in ast.walk(tree):
    if isinstance(node, ast.Assign) and _head(node.value) in known:
      if sources.dotted(node.value):
        known |= {t.id for t in node.targets if isinstance(t, ast.Name)}
  return known


TEST_MODULES = {path.stem for path in sources.TESTS}


def _ours(module: str) -> bool:
  top = module.partition(".")[0]
  return top in {"jmim", "configs", "tests"} | TEST_MODULES


def _head(node: ast.expr) -> str:
  return sources.dotted(node).partition(".")[0]


def takes_many(tree: ast.Module) -> set[str]:
  """Names of the functions and lambdas of a module that take *args."""
  found = {f.name for f in sources.functions(tree) if f.args.vararg}
  for node in ast.walk(tree):
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
      if node.value.args.vararg:
        found |= {t.id for t in node.targets if isinstance(t, ast.Name)}
  return found


@functools.cache  # every file is parsed for it
def spared() -> set[str]:
  """LISTS, and functions of jmim that hand on what another function takes."""
  return LISTS | {
    name
    for path in sources.FILES
    for name in takes_many(ast.parse(path.read_text()))
    if not name.startswith("_")
  }


def long_calls(source: str) -> list[tuple[int, str]]:
  """(line, callee) of calls with more than MOST positional arguments."""
  tree, long = ast.parse(source), []
  for node in ast.walk(tree):
    if isinstance(node, ast.Call):
      plain = [a for a in node.args if not isinstance(a, ast.Starred)]
      last = getattr(node.func, "attr", getattr(node.func, "id", ""))
      if len(plain) > MOST + (last in FLAX):
        long.append((node, last))
  if not long:
    return []
  known, lists = foreign(tree), spared() | takes_many(tree)
  return [
    (node.lineno, ast.unparse(node.func))
    for node, last in long
    if last not in lists and _head(node.func) not in known
  ]


def test_long_calls_are_seen():
  source = (
    "import jax.numpy as jnp\n"
    "import numpy as np, struct\n"
    "from jax import lax\n"
    "from jmim.nn import block\n"
    "P = lax.Spec\n"
    "Mine = block.Block\n"
    "np.f(1, 2, 3, 4, 5); jnp.f(1, 2, 3, 4, 5); lax.g(1, 2, 3, 4, 5)\n"
    "max(1, 2, 3, 4, 5); P(1, 2, 3, 4, 5); x.reshape(1, 2, 3, 4, 5)\n"
    "block.Block(1, 2, 3, 4); block.Block(1, 2, 3, 4, *x); f(a=1, b=2, **c)\n"
    "block.Block(1, 2, 3, 4, 5)\n"
    "Mine(1, 2, 3, 4, 5)\n"
    "f(x)(1, 2, 3, 4, 5)\n"
    "self.loss(1, 2, 3, 4, 5, *x)\n"
    "def many(*words): pass\n"
    "many(1, 2, 3, 4, 5)\n"
    "net.apply(v, 1, 2, 3, 4); net.init(key, 1, 2, 3, 4)\n"
    "net.apply(v, 1, 2, 3, 4, 5)\n"
  )
  lines = [line for line, _ in long_calls(source)]
  assert lines == [10, 11, 12, 13, 17]


def test_no_call_has_many_positional_arguments():
  found = [
    f"{path.relative_to(sources.ROOT)}:{line} {callee}"
    for path in OURS
    for line, callee in long_calls(path.read_text())
  ]
  assert not found, "\n".join(found)


# Classes.


def positional(cls: type) -> list[str]:
  """Fields that can be given without their names, if there are many.

  Those of classes of other packages do not count.
  """
  ours = [c for c in cls.__mro__ if _ours(c.__module__)]
  named = {name for c in ours for name in vars(c).get("__annotations__", {})}
  if issubclass(cls, nn.Module):
    named -= {"parent", "name"}
  fields = [f for f in dataclasses.fields(cls) if f.init and f.name in named]
  names = [f.name for f in fields if not f.kw_only]
  return names if len(names) > FIELDS else []


def classes() -> list[type]:
  """Dataclasses and networks of jmim, where nothing optional is needed."""
  found = {}
  for path in sources.FILES:
    tops = {name.partition(".")[0] for name in sources.imported(path)}
    if path.stem != "__main__" and not tops & {"torch", "tensorflow"}:
      module = importlib.import_module(sources.name_of(path))
      for value in vars(module).values():
        if inspect.isclass(value) and dataclasses.is_dataclass(value):
          if value.__module__.partition(".")[0] == "jmim":
            found[f"{value.__module__}.{value.__qualname__}"] = value
  return [found[name] for name in sorted(found)]


def test_positional_fields_are_seen():
  @dataclasses.dataclass(kw_only=True)
  class Named:
    a: int
    b: int
    c: int
    d: int = 0

  @dataclasses.dataclass
  class Few:
    a: int
    b: int
    c: int

  @dataclasses.dataclass
  class Many(Few):
    d: int = 0

  class Network(nn.Module):
    a: int
    b: int
    c: int
    d: int = 0

  class NamedNetwork(nn.Module, kw_only=True):
    a: int
    b: int
    c: int
    d: int = 0

  seen = [positional(c) for c in (Named, Few, NamedNetwork)]
  assert seen == [[], [], []]
  assert positional(Many) == positional(Network) == ["a", "b", "c", "d"]


def test_classes_of_many_fields_take_keywords_only():
  known = classes()
  assert len(known) > 100
  found = [
    f"{c.__module__}.{c.__qualname__}: {', '.join(fields)}"
    for c in known
    if f"{c.__module__}.{c.__qualname__}" not in EXCEPT
    if (fields := positional(c))
  ]
  assert not found, "\n".join(found)


# Types.

# Rooms that are not annotated yet.
NOT_YET: set[str] = set()
# Arguments of the contracts, whose types `core.method` and `core.procedure`
# give once for all.
CONTRACT = {"weights", "batch", "draws", "key", "keys", "step", "player", "aux"}
CONTRACT |= {"models", "example", "fitted"}


def unannotated(source: str, known: set[str] = frozenset()) -> list[str]:
  """Public functions and methods with an argument or a result of no type.

  Not those inside functions; `known` arguments, `self` and `cls` need none, nor
  do the results of special methods (`__call__` does).
  """
  found = []

  def visit(node, prefix, inside):
    for child in node.body:
      if isinstance(child, ast.ClassDef) and not child.name.startswith("_"):
        visit(child, f"{prefix}{child.name}.", True)
      elif isinstance(child, ast.FunctionDef) and _public(child.name):
        if _missing(child, inside, known):
          found.append(prefix + child.name)

  visit(ast.parse(source), "", False)
  return found


def _public(name: str) -> bool:
  return not name.startswith("_") or name in ("__call__", "__init__")


def _missing(node: ast.FunctionDef, method: bool, known: set[str]) -> bool:
  args = node.args
  named = [*args.posonlyargs, *args.args]
  static = any(sources.dotted(d) == "staticmethod" for d in node.decorator_list)
  named = named[1:] if method and not static else named
  extra = [a for a in (args.vararg, args.kwarg) if a]
  untyped = [
    a.arg for a in (*named, *args.kwonlyargs, *extra) if not a.annotation
  ]
  untyped = set(untyped) - (known if method else set())
  return bool(untyped) or not node.returns and node.name != "__init__"


def test_missing_types_are_seen():
  source = (
    "def fine(a: int, *b: int, c: int = 0, **d: int) -> None:\n"
    "  def inner(x): pass\n"
    "  return lambda y: y\n"
    "def _private(x): pass\n"
    "def result(a: int): pass\n"
    "def star(*a) -> int: pass\n"
    "def keyword(*, a) -> int: pass\n"
    "class A:\n"
    "  def __init__(self, a: int): pass\n"
    "  def __len__(self): pass\n"
    "  def fine(self) -> int: pass\n"
    "  def __call__(self, x) -> int: pass\n"
    "  @staticmethod\n"
    "  def static(a) -> int: pass\n"
    "  @property\n"
    "  def size(self): pass\n"
    "class _B:\n"
    "  def f(self, x): pass\n"
  )
  names = ["result", "star", "keyword", "A.__call__", "A.static", "A.size"]
  assert unannotated(source) == names
  contract = "class A:\n  def f(self, key) -> int: pass\n"
  assert unannotated(contract) == ["A.f"]
  assert unannotated(contract, {"key"}) == []


def room(name: str) -> str:
  """`jmim.nn.nets.vit` -> `nn`."""
  return name.split(".")[1] if "." in name else ""


def typed(name: str) -> set[str]:
  """Arguments of the methods of a module that need no type."""
  return CONTRACT if room(name) == "methods" else set()


def test_public_functions_have_types():
  names = {sources.name_of(path): path for path in sources.FILES}
  found = [
    f"{name}: {', '.join(functions)}"
    for name, path in names.items()
    if room(name) not in NOT_YET
    and (functions := unannotated(path.read_text(), typed(name)))
  ]
  assert not found, "\n".join(found)


def test_rooms_that_lack_types_are_rooms():
  assert NOT_YET <= {path.name for path in sources.ROOT.glob("jmim/*")}
