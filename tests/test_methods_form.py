"""How methods and their parts are written, whatever they compute."""

import ast
import dataclasses
import functools
import itertools
import operator
import re

import phrases
import sources
import which_files

from jmim.core import base_config
from jmim.core import discovery
from jmim.core import field
from jmim.core import method
from jmim.evals.lib import base as evaluators

METHODS = sources.ROOT / "jmim" / "methods"
FILES = [path for path in sources.FILES if METHODS in path.parents]


# Files.


def test_a_method_is_in_one_or_two_files():
  found = {n: f for n, f in which_files.table().items() if len(f) > 2}
  assert not found, "\n".join(f"{n}: {' '.join(f)}" for n, f in found.items())


def made(name, module, *bases, **members):
  """A class, as if a module had it."""
  code = {m: _function(body) for m, body in members.items()}
  return type(name, bases, {"__module__": module, **code})


def _function(body):
  """`loss(self): body`, not in this file."""
  scope = {}
  exec(f"def f(self):\n  {body}", scope)
  return scope["f"]


def test_files_are_those_of_what_is_used():
  plain = made("A", "a", method.Method, loss="1", init="1", draw="1")
  child = made("B", "b", plain, draw="return super().draw()", predict="1")
  mixin = made("C", "c", loss="1", inputs="1", other="1")
  assert which_files.files(plain) == ["a"]
  assert which_files.files(child) == ["b", "a"]
  assert which_files.files(made("D", "d", mixin, child)) == ["c", "b", "a"]
  # Nothing is left of a: every member is another, and asks for none above.
  own = dict.fromkeys(which_files.MEMBERS, "1")
  assert which_files.files(made("E", "e", plain, **own)) == ["e"]
  again = own | {"init": "super().init()"}
  assert which_files.files(made("F", "f", plain, **again)) == ["f", "a"]


# Bases.


def foreign_bases(cls, methods):
  """Bases that are neither `Method`, alone, nor another method, alone."""
  fine = len(cls.__bases__) == 1 and cls.__bases__[0] in methods
  return [] if fine else [base.__qualname__ for base in cls.__bases__]


def test_a_method_derives_from_the_contract_or_from_one_paper():
  classes = {name: discovery.find(name) for name in discovery.names()}
  known = {method.Method, *classes.values()}
  found = {n: foreign_bases(c, known - {c}) for n, c in classes.items()}
  assert {name: bases for name, bases in found.items() if bases} == {}


def test_other_bases_are_seen():
  a = made("A", "a", method.Method)
  mixin = made("Mixin", "a")
  known = {method.Method, a}
  assert foreign_bases(made("B", "b", a), known) == []
  assert foreign_bases(made("B", "b", mixin), known) == ["Mixin"]
  assert foreign_bases(made("B", "b", mixin, a), known) == ["Mixin", "A"]
  shared = made("Shared", "s", method.Method)
  assert foreign_bases(made("B", "b", shared), known) == ["Shared"]


# Parts.


def kinds_of(f):
  """Classes that a field, if it is a part, may have."""
  kinds = (f.metadata.get("parts") or {}).values()
  return [k if isinstance(k, type) else type(k) for k in kinds]


def part_classes(cls):
  """Classes of the parts of a documented dataclass, and of theirs."""
  found = set()
  for f in field.configured(cls).values():
    for part in kinds_of(f):
      found |= {part} | part_classes(part)
  return found


def related(classes):
  """Pairs of which one is derived from the other."""
  return [
    (a.__qualname__, b.__qualname__)
    for a, b in itertools.permutations(sorted(classes, key=repr), 2)
    if issubclass(a, b)
  ]


def all_parts():
  """Classes of the parts of all methods."""
  methods = map(discovery.find, discovery.names())
  return set().union(*map(part_classes, methods))


def test_no_part_is_derived_from_another():
  parts = all_parts()
  assert len(parts) >= 2 and related(parts) == []


def test_parts_are_frozen_dataclasses():
  for part in all_parts():
    assert part.__dataclass_params__.frozen, part


def test_parts_are_found_in_parts():
  @dataclasses.dataclass(frozen=True)
  class Inner:
    x: int = field.value(1, "a number")

  @dataclasses.dataclass(frozen=True)
  class More(Inner):
    y: int = field.value(1, "another number")

  @dataclasses.dataclass(frozen=True)
  class Outer:
    inner: Inner = field.part(Inner, "the inner part")

  @dataclasses.dataclass(frozen=True)
  class All:
    x: int = field.value(1, "a number")
    outer: Outer = field.part({"": Outer, "more": More}, "the outer part")

  assert part_classes(All) == {Outer, Inner, More}
  (pair,) = related(part_classes(All))
  assert [name.rpartition(".")[2] for name in pair] == ["More", "Inner"]


# Draws.

NUMBERED = re.compile(r"(^|\.)(split|fold_in)$")


def numbered_keys(source):
  """(line, call) of keys that are numbered, not named.

  In `draw`: any split or fold, but of a named key into one per example;
  elsewhere: folds of a number.
  """
  tree = ast.parse(source)
  draws = [f for f in sources.functions(tree) if f.name == "draw"]
  inside = {id(node) for f in draws for node in ast.walk(f)}
  found = []
  for node in ast.walk(tree):
    if not isinstance(node, ast.Call):
      continue
    callee = sources.dotted(node.func)
    number = len(node.args) > 1 and isinstance(node.args[1], ast.Constant)
    if NUMBERED.search(callee) and "random" in callee:
      fold = callee.endswith("fold_in")
      bad = id(node) in inside and (fold or not per_example(node))
      if bad or fold and number:
        found.append((node.lineno, ast.unparse(node)))
  return found


def per_example(split):
  """Whether a call is `split(keys("name"), b)`, with no number as `b`."""
  if len(split.args) < 2 or isinstance(split.args[1], ast.Constant):
    return False
  named = split.args[0]
  return isinstance(named, ast.Call) and sources.dotted(named.func) == "keys"


def test_numbered_keys_are_seen():
  source = (
    "class A:\n"
    "  def init(self, key):\n"
    "    a, b = jax.random.split(key)\n"
    "    return jax.random.fold_in(key, step)\n"
    "  def draw(self, keys, batch, step):\n"
    "    a, b = jax.random.split(keys('x'))\n"
    "    x = 'a b'.split(' '), jax.random.normal(keys('noise'))\n"
    "    c = jax.random.fold_in(keys('y'), step)\n"
    "    each = jax.random.split(keys('mask'), len(batch))\n"
    "    d, e = jax.random.split(keys('mask'), 2)\n"
    "    f = jax.random.split(key, len(batch))\n"
    "  def other(self, key):\n"
    "    return jax.random.fold_in(key, 3)\n"
  )
  assert [line for line, _ in numbered_keys(source)] == [6, 8, 10, 11, 13]


def test_draws_have_names():
  found = [
    f"{sources.name_of(path)}:{line} {call}"
    for path in FILES
    for line, call in numbered_keys(path.read_text())
  ]
  assert not found, "\n".join(found)


# Documentation of fields.


def test_docs_that_lean_on_others_are_seen():
  docs = {
    "fine": "width of the head",
    "a word": "offset in pixels; its sign does not matter",
    "longer": "orbit, asset, thatched, whatever",
    "of": "of the critic",
    "its": "Its start",
    "same": "the same for evaluation",
    "what": "What the network gets",
    "as": "as many as there are",
    "empty": " ",
  }
  assert list(phrases.leaning(docs)) == [
    "of",
    "its",
    "same",
    "what",
    "as",
    "empty",
  ]


def docs_of(cls):
  """Dotted key -> documentation, of values and of parts."""
  docs = {}
  for name, f in field.configured(cls).items():
    docs[name] = f.metadata["doc"]
    for part in kinds_of(f):
      docs |= {f"{name}.{key}": doc for key, doc in docs_of(part).items()}
  return docs


def test_docs_of_fields_stand_alone():
  """All that --help, a report or an error may show by itself."""
  docs = docs_of(base_config.Base)
  assert set(docs) >= set(base_config.KEYS)
  classes = {
    **{f"method {n}": discovery.find(n) for n in discovery.names()},
    **{
      f"procedure {n}": discovery.find_procedure(n)
      for n in discovery.procedures()
    },
    **{
      f"evaluator {n}": discovery.find_evaluator(n) for n in evaluators.names()
    },
  }
  for owner, cls in classes.items():
    docs |= {f"{owner}: {key}": doc for key, doc in docs_of(cls).items()}
  found = phrases.leaning(docs)
  assert not found, "\n".join(f"{k}: {doc!r}" for k, doc in found.items())


# Frozen networks.


def test_frozen_networks_name_the_config_key_of_their_path():
  """Where a message sends somebody, there is that path."""
  seen = 0
  for name in discovery.names():
    made = discovery.find(name).tiny()
    consts = made.consts()
    assert len({c.key for c in consts.values()}) == len(consts), name
    for const in consts.values():
      room, _, key = const.key.partition(".")
      assert room == "method" and key, f"{name}: {const.key}"
      moved = operator.attrgetter(key)(made) + "elsewhere"
      changes = functools.reduce(
        lambda inner, k: {k: inner}, reversed(key.split(".")), moved
      )
      paths = [c.path for c in field.replace(made, **changes).consts().values()]
      assert paths.count(moved) == 1, f"{name}: {const.key}"
      seen += 1
  assert seen > 10
