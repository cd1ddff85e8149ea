"""tests/ mirrors jmim/: a module a/b.py has tests/a/test_b.py."""

import sources

# Modules without a file of tests of their own, and what tests them.
ELSEWHERE: dict[str, str] = {}


def mirror(name: str) -> str:
  """`jmim.nn.nets.vit` -> `tests/nn/nets/test_vit.py`; `_a` -> `test_a.py`."""
  *folders, last = name.split(".")[1:]
  return "/".join(["tests", *folders, f"test_{last.lstrip('_')}.py"])


def alone(names, files, elsewhere):
  """Modules that have neither a mirror among `files` nor a reason."""
  return [n for n in names if mirror(n) not in files and n not in elsewhere]


def modules():
  """Names of all modules that are no packages and no command lines."""
  files = [p for p in sources.FILES if not p.stem.startswith("__")]
  return [sources.name_of(path) for path in files]


def test_every_module_has_its_tests():
  files = {str(p.relative_to(sources.ROOT)) for p in sources.TESTS}
  found = alone(modules(), files, ELSEWHERE)
  assert not found, "\n".join(map(mirror, found))


def test_exceptions_are_modules_without_tests():
  files = {str(p.relative_to(sources.ROOT)) for p in sources.TESTS}
  for name in ELSEWHERE:
    assert name in sources.NAMES and mirror(name) not in files, name


def test_a_module_alone_is_seen():
  names = ["jmim.hub", "jmim.nn.nets.vit", "jmim.nn.block"]
  files = {"tests/test_hub.py", "tests/nn/test_vit.py"}
  assert alone(names, files, {}) == ["jmim.nn.nets.vit", "jmim.nn.block"]
  assert alone(names, files, {"jmim.nn.block": "x"}) == ["jmim.nn.nets.vit"]
