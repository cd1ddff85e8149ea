"""tests/ mirrors jmim/: a module a/b.py has tests/a/test_b.py."""

import sources


def mirror(name: str) -> str:
  """`jmim.nn.nets.vit` -> `tests/nn/nets/test_vit.py`; `_a` -> `test_a.py`."""
  *folders, last = name.split(".")[1:]
  return "/".join(["tests", *folders, f"test_{last.lstrip('_')}.py"])


def alone(names, files):
  """Modules without a mirror among `files`."""
  return [n for n in names if mirror(n) not in files]


def modules():
  """Names of all modules that are no packages and no command lines."""
  files = [p for p in sources.FILES if not p.stem.startswith("__")]
  return [sources.name_of(path) for path in files]


def test_every_module_has_its_tests():
  files = {str(p.relative_to(sources.ROOT)) for p in sources.TESTS}
  found = alone(modules(), files)
  assert not found, "\n".join(map(mirror, found))


def test_a_module_alone_is_seen():
  names = ["jmim.hub", "jmim.nn.nets.vit", "jmim.nn.block"]
  files = {"tests/test_hub.py", "tests/nn/test_vit.py"}
  assert alone(names, files) == ["jmim.nn.nets.vit", "jmim.nn.block"]
