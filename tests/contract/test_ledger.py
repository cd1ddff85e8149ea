"""The rule by which methods are checked whole or in short, on a small tree."""

import json
import types

import ledger
import pytest

from jmim.core import discovery
from jmim.core import method

LIBRARIES = {"jax": "1", "numpy": "2"}
FILES = {
  "jmim/core/words.py": "",
  "jmim/training/step.py": "from jmim.core import words\n",
  "jmim/nn/deep.py": "from jmim.core import words\n",
  "jmim/nn/net.py": "from jmim.nn import deep\n",
  "jmim/nn/rare.py": "",
  "jmim/methods/mim/a.py": "import jmim.nn.net\nfrom jmim.nn import rare\n",
  "jmim/methods/mim/b.py": "from jmim.methods.mim import a\n",
  "jmim/methods/mim/c.py": "def f():\n  from jmim.nn import net\n",
  "jmim/methods/mim/d.py": "import jmim.nn.net\n",
  "jmim/methods/mim/e.py": "",
  "tests/toys.py": "",
  "tests/contract/test_methods.py": "from jmim.training import step\n"
  "def runs(name): pass\n"
  "def test_one(runs): pass\n"
  '@pytest.mark.parametrize("how", [1, 2, 3], ids=str)\n'
  "def test_three(name, how): pass\n"
  "def test_of_the_tests(): pass\n",
}
METHODS = ["mim.a", "mim.b", "mim.c", "mim.d", "mim.e"]


@pytest.fixture
def root(tmp_path):
  for file, text in FILES.items():
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    for folder in path.relative_to(tmp_path).parents:
      if "jmim" in folder.parts:
        (tmp_path / folder / "__init__.py").touch()
  return tmp_path


def now(root, methods=METHODS, libraries=LIBRARIES):
  return ledger.now(methods, ledger.Tree(root), libraries)


def whole(root, stored, methods=METHODS, kinds=None, **more):
  """Sorted methods of the whole contract; `kinds`: method -> its kinds."""
  kinds = kinds or {}
  return sorted(
    ledger.whole(
      now(root, methods, **more),
      stored,
      kinds=lambda name: kinds.get(name, {"plain"}),
      size=lambda name: ord(name[-1]),
    )
  )


def append(root, file, text="# a word\n"):
  (root / file).write_text((root / file).read_text() + text)


def test_nothing_changed(root):
  assert whole(root, now(root)) == []


def test_what_has_not_changed_takes_turns(root):
  stored, seen = now(root), set()
  for version in map(str, range(20)):
    today = now(root, libraries={"jax": version})
    spared = ledger.spared(today, today)
    assert len(spared) in (3, 4)
    seen |= set(METHODS) - spared
  assert seen == set(METHODS)
  append(root, "jmim/methods/mim/c.py")
  assert not ledger.spared(now(root), stored) & {"mim.c"}
  assert ledger.spared(now(root), {}) == set()


def test_what_is_shared_changes_who_has_a_turn_and_no_more(root):
  stored, seen = now(root), set()
  for i in range(20):
    append(root, "jmim/nn/deep.py", f"# {i}\n")
    spared = ledger.spared(now(root), stored)
    assert len(spared) in (3, 4)
    seen |= set(METHODS) - spared
  assert seen == set(METHODS)


def test_a_new_method_is_whole(root):
  stored = now(root, METHODS[:-1])
  assert whole(root, stored) == ["mim.e"]
  assert whole(root, {}) == METHODS


def test_a_comment_in_a_file_of_its_own_is_a_change(root):
  stored = now(root)
  append(root, "jmim/methods/mim/c.py")
  assert whole(root, stored) == ["mim.c"]


def test_what_few_import_is_their_own(root):
  # rare: a and, through it, b. net: a, b, c, d, one too many.
  stored = now(root)
  append(root, "jmim/nn/rare.py")
  assert whole(root, stored) == ["mim.a", "mim.b"]
  own = ledger.own_files(ledger.Tree(root), METHODS)
  assert "jmim.nn.net" not in own["mim.d"]
  assert own["mim.b"] >= {"jmim.methods.mim.a", "jmim.methods.mim.b"}


def test_the_paper_it_extends_is_its_own_whoever_extends_it_too(root):
  stored = now(root)
  for name in "cde":
    append(root, f"jmim/methods/mim/{name}.py", "import jmim.methods.mim.a\n")
  # To a and b it is a change that `rare` is no longer theirs alone.
  assert whole(root, stored) == METHODS
  stored = now(root)
  append(root, "jmim/methods/mim/a.py")
  assert whole(root, stored) == METHODS


def test_what_is_shared_asks_for_one_of_each_kind_of_those_concerned(root):
  kinds = {
    "mim.a": {"plain"},
    "mim.b": {"plain", "video"},
    "mim.c": {"video", "tokens"},
    "mim.d": {"plain"},
    "mim.e": {"sound"},
  }
  stored = now(root)
  # Two imports away from all but e, which has the one of its kind.
  append(root, "jmim/nn/deep.py")
  assert whole(root, stored, kinds=kinds) == ["mim.a", "mim.b", "mim.c"]
  append(root, "jmim/core/words.py")
  everyone = ["mim.a", "mim.b", "mim.c", "mim.e"]
  assert whole(root, stored, kinds=kinds) == everyone
  # A method of its own that changed is whole beside them.
  append(root, "jmim/methods/mim/d.py")
  assert whole(root, stored, kinds=kinds) == METHODS


@pytest.mark.parametrize(
  "file", ["tests/contract/test_methods.py", "tests/toys.py"]
)
def test_the_tests_themselves_and_what_they_use_are_shared(root, file):
  stored = now(root)
  append(root, file)
  assert whole(root, stored) == ["mim.a"]


def test_what_the_tests_import_is_shared(root):
  stored = now(root)
  append(root, "jmim/training/step.py")
  assert whole(root, stored) == ["mim.a"]


def test_another_version_of_a_library_counts_as_a_change(root):
  stored = now(root)
  newer = {"jax": "1.1", "numpy": "2"}
  assert whole(root, stored, libraries=newer) == ["mim.a"]
  assert {"jax", "jaxlib", "flax", "optax", "numpy"} == set(ledger.versions())


def test_a_test_more_makes_all_whole(root):
  stored = now(root)
  append(root, "tests/contract/test_methods.py", "def test_new(runs): pass\n")
  assert whole(root, stored) == METHODS


def test_an_entry_edited_by_hand_does_not_count(root, tmp_path):
  path = tmp_path / "ledger.json"
  ledger.write(now(root), path)
  assert whole(root, ledger.read(path)) == []
  text = json.loads(path.read_text())
  text["mim.b"]["tests"] += 1
  text["mim.c"]["own"] = text["mim.d"]["own"]
  path.write_text(json.dumps(text))
  assert whole(root, ledger.read(path)) == ["mim.b", "mim.c"]
  assert ledger.read(tmp_path / "none") == {}


def test_tests_are_counted_with_their_values(root):
  assert ledger.count(ledger.Tree(root)) == 4


def test_the_count_is_that_of_pytest(request):
  """Of each method collected here."""
  numbers = {}
  for item in request.session.items:
    name = getattr(item, "callspec", None) and item.callspec.params.get("name")
    if name and item.path.parent == ledger.HERE:
      numbers.setdefault(name, set()).add(item.name)
  expected = ledger.count(ledger.Tree())
  short = request.config.option.markexpr or request.config.option.keyword
  args = request.config.args
  for name, tests in numbers.items():
    # Others may be deselected, or not asked for.
    assert len(tests) <= expected, name
    if not short and not any("::" in a or a.endswith(".py") for a in args):
      assert len(tests) == expected, name


# --- the run that writes


def report(test, name="mim.a", when="call", outcome="passed"):
  path = "tests/contract/test_methods.py"
  nodeid = f"{path}::{test}[{name}-8]" if name else f"{path}::{test}"
  return types.SimpleNamespace(
    nodeid=nodeid, when=when, passed=outcome == "passed", outcome=outcome
  )


@pytest.fixture
def run(root, tmp_path):
  """A run of the four tests of two methods; what it leaves in the ledger."""
  path = tmp_path / "ledger.json"

  def of(*changed):
    recorder = ledger.Recorder(now(root), path)
    for name in ("mim.a", "mim.b"):
      for test in ("one", "two", "three", "four"):
        for when in ("setup", "call", "teardown"):
          one = report(test, name, when)
          for other in changed:
            if (other.nodeid, other.when) == (one.nodeid, one.when):
              one = other
          recorder.pytest_runtest_logreport(one)
    recorder.pytest_sessionfinish()
    return ledger.read(path)

  return of


def test_a_run_that_passed_is_written(run, root):
  entries = run()
  today = now(root)
  assert entries == {name: today[name] for name in ("mim.a", "mim.b")}


@pytest.mark.parametrize(
  "when, outcome",
  [("call", "failed"), ("setup", "failed"), ("teardown", "failed")]
  + [("call", "skipped"), ("setup", "skipped"), ("call", "deselected")],
)
def test_one_test_that_did_not_pass_and_there_is_no_entry(run, when, outcome):
  assert list(run(report("two", "mim.a", when, outcome))) == ["mim.b"]


def test_a_failure_keeps_the_entry_there_was_which_then_no_longer_counts(
  run, root
):
  stored = run()
  append(root, "jmim/nn/rare.py")
  entries = run(report("two", outcome="failed"))
  assert entries["mim.a"] == stored["mim.a"]
  assert entries["mim.b"] != stored["mim.b"]
  assert whole(root, entries) == ["mim.a", "mim.c", "mim.d", "mim.e"]


def test_methods_that_are_gone_leave_the_ledger(run, root, tmp_path):
  ledger.write({"mim.gone": now(root)["mim.a"]}, tmp_path / "ledger.json")
  assert list(run()) == ["mim.a", "mim.b"]


def test_tests_elsewhere_are_not_of_the_contract(root, tmp_path):
  recorder = ledger.Recorder(now(root), tmp_path / "ledger.json")
  for test in ("one", "two", "three", "four"):
    other = report(test)
    other.nodeid = other.nodeid.replace("contract", "methods")
    recorder.pytest_runtest_logreport(other)
  assert recorder.complete() == []


# --- kinds


class Plain(method.Method):
  """Reads an image."""

  def inputs(self):
    return {"image": method.Input((8, 8, 3))}


class Clip(Plain):
  """Reads a clip, and has two players."""

  players = ("one", "other")

  def inputs(self):
    return {"video": method.Input((2, 8, 8, 3))}


class Words(Plain):
  """Reads tokens, keeps a state, draws once per batch."""

  shared = ("start",)

  def inputs(self):
    return {"tokens": method.Input((4,), int, high=5)}

  def after(self, weights, aux, step, player="main"):
    return weights.extra


def test_kinds_are_read_off_the_class():
  assert ledger.kinds(Plain) == {"none of these"}
  assert ledger.kinds(Clip) == {"several players", "video"}
  assert ledger.kinds(Words) == {
    "tokens",
    "state beside the parameters",
    "draws that are not per example",
  }
  assert "a transformer" in ledger.kinds(discovery.find("mim.mae"))
