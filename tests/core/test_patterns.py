import pytest

from jmim.core import errors
from jmim.core import patterns


@pytest.mark.parametrize("pattern", ["", "^main/", r"(attn|mlp)\w*/kernel$"])
def test_regular_expressions_pass(pattern):
  patterns.check(pattern, "optim.freeze")


@pytest.mark.parametrize("pattern", ["enc(", "*", 3, None, ("a", "b")])
def test_anything_else_names_its_key_and_what_it_was(pattern):
  with pytest.raises(errors.UserError) as e:
    patterns.check(pattern, "optim.freeze")
  assert e.value.key == "optim.freeze" and repr(pattern) in e.value.seen
