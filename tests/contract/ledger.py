"""For which methods the whole contract is checked, and for which it was.

`verified.json` says of a method what passed: its own files, and what it shares
with others, each as a hash. Own files are the method's module, that of a paper
it extends, and what at most FEW methods import. The rest of what it imports,
the tests of the contract and the versions of the libraries are shared.

    own files are not those of the ledger      the whole contract
    what it shares is not, own files are       the whole contract for one
                                               method of each kind; the others
                                               like the next line
    both are                                   the short contract for one in
                                               TURNS, what compiles no step for
                                               the others

Only a run in which every test of a method passed writes its entry.
"""

import ast
import collections
import dataclasses
import hashlib
import importlib.metadata
import json
import math
import pathlib
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping

import sources

HERE = pathlib.Path(__file__).resolve().parent
PATH = HERE / "verified.json"
FEW = 3
TURNS = 4
LIBRARIES = ("jax", "jaxlib", "flax", "optax", "numpy")
METHODS = "jmim.methods."


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
  """What passed, or what would have to.

  Attributes:
    own: hash of the files that are the method's own.
    shared: hash of all else that its tests depend on.
    tests: how many tests; part of both hashes.
  """

  own: str
  shared: str
  tests: int

  def own_equal(self, stored: "Entry | None") -> bool:
    """Whether the method's own files passed as they are, in as many tests."""
    return stored is not None and (stored.own, stored.tests) == (
      self.own,
      self.tests,
    )


def versions() -> dict[str, str]:
  """Library -> the version installed."""
  return {name: importlib.metadata.version(name) for name in LIBRARIES}


class Tree:
  """Which modules of a checkout import which, read off their text."""

  def __init__(self, root: pathlib.Path = sources.ROOT):
    """`root` has jmim/ and tests/contract/."""
    self.root = root
    paths = sorted((root / "jmim").rglob("*.py"))
    self.files = {sources.name_of(path, root): path for path in paths}
    self._imports: dict[str, set[str]] = {}

  def imports(self, name: str) -> set[str]:
    """Modules of jmim that a module needs, with packages that say anything."""
    if name not in self._imports:
      parts = name.split(".")
      above = {".".join(parts[:i]) for i in range(1, len(parts))}
      above = {p for p in above & set(self.files) if self.text(p)}
      self._imports[name] = self.imported(self.files[name]) | above
    return self._imports[name]

  def text(self, name: str) -> str:
    """Of a module; "" of most packages."""
    return self.files[name].read_text()

  def imported(self, path: pathlib.Path) -> set[str]:
    """Modules of jmim that a file names."""
    names = set(self.files)
    return sources.imports(path.read_text(), names) & names

  def closure(self, names: Iterable[str]) -> set[str]:
    """Modules, and all that they import, directly or not."""
    seen, todo = set(), list(names)
    while todo:
      name = todo.pop()
      if name not in seen:
        seen.add(name)
        todo += self.imports(name)
    return seen

  @property
  def tests(self) -> list[pathlib.Path]:
    """Files of the contract's own tests, and what they stand on."""
    folder = self.root / "tests"
    others = ("conftest.py", "released.py", "toys.py")
    there = [folder / name for name in others if (folder / name).is_file()]
    return [*sorted((folder / "contract").glob("*.py")), *there]

  def hashed(self, paths: Iterable[pathlib.Path], *more: str) -> str:
    """One hash of the names and contents of files, and of other lines."""
    lines = sorted(
      f"{path.relative_to(self.root)} {_sha(path.read_bytes())}"
      for path in paths
    )
    return _sha("\n".join([*lines, *more]).encode())[:16]


def _sha(data: bytes) -> str:
  return hashlib.sha256(data).hexdigest()


def own_files(tree: Tree, methods: Iterable[str]) -> dict[str, set[str]]:
  """Method -> modules that are its own.

  Args:
    tree: of the checkout.
    methods: names as `discovery.names` gives them.
  """
  modules = {name: METHODS + name for name in methods}
  closures = {name: tree.closure([m]) for name, m in modules.items()}
  users = collections.Counter(m for c in closures.values() for m in c)
  papers = set(modules.values())
  return {
    name: {m for m in c if m in papers or users[m] <= FEW}
    for name, c in closures.items()
  }


def sizes(methods: Iterable[str], tree: Tree | None = None) -> dict[str, int]:
  """Method -> bytes of the files that are its own."""
  tree = tree or Tree()
  return {
    name: sum(tree.files[m].stat().st_size for m in own)
    for name, own in own_files(tree, methods).items()
  }


def now(
  methods: Iterable[str],
  tree: Tree | None = None,
  libraries: Mapping[str, str] | None = None,
) -> dict[str, Entry]:
  """Method -> the entry that would count today.

  Args:
    methods: names as `discovery.names` gives them.
    tree: of the checkout; None: this one.
    libraries: versions; None: those installed.
  """
  tree = tree or Tree()
  number = count(tree)
  found = sorted((libraries or versions()).items())
  lines = [f"{number} tests", *map(" ".join, found)]
  below = set().union(*map(tree.imported, tree.tests))
  harness = tree.closure(below)
  entries = {}
  for name, own in own_files(tree, methods).items():
    shared = (tree.closure([METHODS + name]) | harness) - own
    files = [tree.files[m] for m in shared] + tree.tests
    entries[name] = Entry(
      own=tree.hashed([tree.files[m] for m in own], lines[0]),
      shared=tree.hashed(files, *lines),
      tests=number,
    )
  return entries


def count(tree: Tree) -> int:
  """How many tests of the contract there are for one method.

  They are functions `test_...` of `name`, or of a fixture that takes it, and
  the values they are parametrised with.
  """
  number = 0
  for path in tree.tests:
    of_a_method = {"name"}
    for node in ast.parse(path.read_text()).body:
      if not isinstance(node, ast.FunctionDef):
        continue
      if of_a_method & {a.arg for a in node.args.args}:
        if node.name.startswith("test_"):
          number += math.prod(_values(d) for d in node.decorator_list)
        else:
          of_a_method.add(node.name)
  return number


def _values(decorator: ast.expr) -> int:
  """How many values a `pytest.mark.parametrize` has; 1 for other decorators."""
  if not isinstance(decorator, ast.Call):
    return 1
  if sources.dotted(decorator.func) != "pytest.mark.parametrize":
    return 1
  return len(decorator.args[1].elts)


def read(path: pathlib.Path = PATH) -> dict[str, Entry]:
  """The entries of a ledger; none if there is no such file."""
  if not path.exists():
    return {}
  stored = json.loads(path.read_text())
  return {name: Entry(**entry) for name, entry in stored.items()}


def write(entries: Mapping[str, Entry], path: pathlib.Path = PATH) -> None:
  """Writes a ledger, one method a line."""
  lines = [
    f"{json.dumps(name)}: {json.dumps(dataclasses.asdict(entry))}"
    for name, entry in sorted(entries.items())
  ]
  path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def whole(
  today: Mapping[str, Entry],
  ledger: Mapping[str, Entry],
  kinds: Callable[[str], set[str]],
  size: Callable[[str], int],
) -> set[str]:
  """The methods that the whole contract is to be checked for.

  Args:
    today: method -> the entry that would count.
    ledger: method -> the entry stored.
    kinds: of a method; see `kinds`.
    size: of a method: the smallest of a kind stands for it.
  """
  changed, stale = set(), set()
  for name, entry in today.items():
    stored = ledger.get(name)
    if not entry.own_equal(stored):
      changed.add(name)
    elif stored.shared != entry.shared:
      stale.add(name)
  chosen = {}
  for name in sorted(stale, key=lambda name: (size(name), name)):
    for kind in kinds(name):
      chosen.setdefault(kind, name)
  return changed | set(chosen.values())


def spared(today: Mapping[str, Entry], ledger: Mapping[str, Entry]) -> set[str]:
  """The methods whose steps need not be compiled.

  No file of their own has changed since they passed. What they share may have:
  `whole` has one of each kind then, and their golden values are compared in any
  case. They take turns: one in `TURNS` has the short contract, with each change
  of any file other ones.

  Args:
    today: method -> the entry that would count.
    ledger: method -> the entry stored.
  """
  known = [n for n in sorted(today) if today[n].own_equal(ledger.get(n))]
  turn = int(_sha(repr(sorted(today.items())).encode())[:8], 16)
  return {name for i, name in enumerate(known) if (i + turn) % TURNS}


def kinds(cls: type) -> set[str]:
  """What a method asks of the core that not every method does.

  Args:
    cls: the class of the method.
  """
  base = cls.__mro__[-2]  # `method.Method`, the last before `object`
  tiny = cls.tiny()
  inputs = tiny.inputs().values()
  traits = {
    "several players": len(tiny.players) > 1,
    "state beside the parameters": cls.after is not base.after,
    "frozen networks": cls.consts is not base.consts,
    "a loss that is no mean over examples": not cls.per_example,
    "draws that are not per example": bool(cls.shared),
    "tokens": any(x.high and x.shape for x in inputs),
    "video": any(len(x.shape) == 4 for x in inputs),
    "a transformer": "dims" in cls.__dataclass_fields__,
  }
  return {name for name, has in traits.items() if has} or {"none of these"}


class Recorder:
  """Plugin of a run that writes the ledger: who passed everything."""

  def __init__(self, today: Mapping[str, Entry], path: pathlib.Path = PATH):
    """`today` is taken before the run: files that change meanwhile count."""
    self.today, self.path = today, path
    self.passed = collections.defaultdict(set)
    self.others = set()

  def pytest_runtest_logreport(self, report) -> None:
    """Notes what became of one test."""
    file, _, rest = report.nodeid.partition("::")
    name = rest.partition("[")[2].rstrip("]").partition("-")[0]
    if "contract" not in pathlib.PurePath(file).parts or name not in self.today:
      return
    if not report.passed:
      self.others.add(name)
    elif report.when == "call":
      self.passed[name].add(rest)

  def pytest_sessionfinish(self) -> None:
    """Adds the methods all of whose tests passed; others keep their entry."""
    stored = read(self.path)
    entries = {n: e for n, e in stored.items() if n in self.today}
    write(entries | {n: self.today[n] for n in self.complete()}, self.path)

  def complete(self) -> list[str]:
    """Methods all of whose tests ran and passed."""
    return [
      name
      for name, tests in sorted(self.passed.items())
      if len(tests) == self.today[name].tests and name not in self.others
    ]
