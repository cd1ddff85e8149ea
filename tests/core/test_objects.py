import pytest

from jmim.core import objects


@pytest.mark.parametrize("text", ["a.b", "my_lab.data.discs", "_a.b1"])
def test_a_module_and_an_attribute(text):
  assert objects.is_name(text)


@pytest.mark.parametrize(
  "text",
  ["cifar10", "cifar10:3.0.2", "digits/plain", "a.1b", "a..b", ".a", "a.b/c"],
)
def test_names_of_data_sets_are_none(text):
  assert not objects.is_name(text)
