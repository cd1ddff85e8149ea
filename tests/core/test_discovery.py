"""Methods and modules found by name, without registering or importing."""

import sys

import pytest
import toys

from jmim.core import discovery
from jmim.core import method


@pytest.mark.parametrize("name", discovery.names())
def test_every_method_is_found_by_its_name(name):
  cls = discovery.find(name)
  assert issubclass(cls, method.Method)
  assert cls.__module__ == f"jmim.methods.{name}"


def test_a_module_of_ones_own_works_too():
  assert discovery.find("toys") is toys.Adversarial


@pytest.mark.parametrize(
  "name",
  ["mim.mea", "mim", "mim.mae.MAE", "os.path", "", ".", ".mae", "mim..mae"],
)
def test_what_is_no_method_is_a_key_error(name):
  with pytest.raises(KeyError):
    discovery.find(name)


def test_looking_for_a_module_does_not_import_it(tmp_path, monkeypatch):
  (tmp_path / "alone.py").write_text("raise AssertionError('imported')\n")
  monkeypatch.syspath_prepend(tmp_path)
  assert discovery.module_exists("alone")
  assert "alone" not in sys.modules
  with pytest.raises(AssertionError, match="imported"):
    discovery.find("alone")


def test_below_a_module_that_is_no_package_there_is_nothing():
  assert discovery.module_exists("wave")
  assert not discovery.module_exists("wave.reader")
  assert not discovery.module_exists("jmim.methods.nothing.at.all")
