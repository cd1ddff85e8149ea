"""Which methods the contract is checked for, and how much of it."""

import pathlib
import sys

import ledger
import pytest

from jmim.core import discovery

HERE = pathlib.Path(__file__).parent
# Methods beside the working directory.
sys.path[:0] = [str(pathlib.Path.cwd())]


def pytest_generate_tests(metafunc):
  if "name" in metafunc.fixturenames:
    asked = metafunc.config.getoption("--method")
    metafunc.parametrize("name", asked or discovery.names(), scope="module")
  if "procedure_name" in metafunc.fixturenames:
    asked = metafunc.config.getoption("--procedure")
    known = asked or discovery.procedures()
    metafunc.parametrize("procedure_name", known, scope="module")


@pytest.hookimpl(tryfirst=True)  # before `-m` looks at the marks
def pytest_collection_modifyitems(config, items):
  """Marks as slow what the ledger spares: all but `short`, or `always`."""
  if config.getoption("--method"):
    return
  today = ledger.now(discovery.names())
  stored = ledger.read()
  whole = ledger.whole(
    today,
    stored,
    kinds=lambda name: ledger.kinds(discovery.find(name)),
    size=ledger.sizes(discovery.names()).__getitem__,
  )
  spared = ledger.spared(today, stored)
  for item in items:
    name = getattr(item, "callspec", None) and item.callspec.params.get("name")
    if name in today and HERE in item.path.parents and name not in whole:
      kept = ("always",) if name in spared else ("always", "short")
      if not any(map(item.get_closest_marker, kept)):
        item.add_marker("slow")
