"""Which methods the contract is checked for."""

import pathlib
import sys

from jmim.core import discovery

# `import harness` from any working directory, and methods beside it.
sys.path[:0] = [str(pathlib.Path(__file__).parent), str(pathlib.Path.cwd())]


def pytest_generate_tests(metafunc):
  if "name" in metafunc.fixturenames:
    given = metafunc.config.getoption("--method")
    metafunc.parametrize("name", given or discovery.names(), scope="module")
