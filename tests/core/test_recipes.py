"""The recipes that come with jmim, and the form of what they say."""

import pathlib
import re

import pytest

from jmim.core import recipes

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEXT = '''"""MAE on stripes.

Arguments: steps=10.

Size: 1.2 M parameters.
Time: 4 minutes on
two CPU cores.
Expect: probe 49.1 % (untrained 34.0 %).
"""
from jmim.core import config as configs

def get_config(arg=None):
  arg = configs.parse_arg(arg, steps=10, variant="B/16")
'''


def test_a_checkout_has_them_beside_the_package_an_installation_inside(
  tmp_path,
):
  assert recipes.folder() == ROOT / "configs"
  package = tmp_path / "site-packages" / "jmim"
  (package / "recipes").mkdir(parents=True)
  assert recipes.folder(package) == package / "recipes"


def test_a_recipe_is_found_by_its_name():
  assert "mae_digits" in recipes.names()
  assert recipes.path("mae_digits") == ROOT / "configs" / "mae_digits.py"
  for name in ("mae_digit", "", "claims/mae", "x" * 5000, "../setup"):
    assert recipes.path(name) is None


def test_what_a_file_says_is_read_without_running_it(tmp_path):
  (tmp_path / "recipe.py").write_text(TEXT + "\nraise SystemExit\n")
  about = recipes.about(tmp_path / "recipe.py")
  assert about.title == "MAE on stripes"
  assert about.size == "1.2 M parameters"
  assert about.time == "4 minutes on two CPU cores"
  assert about.expect == "probe 49.1 % (untrained 34.0 %)"
  assert about.arguments == {"steps": "10", "variant": "'B/16'"}
  (tmp_path / "bare.py").write_text("x = 1\n")
  assert recipes.about(tmp_path / "bare.py").expect == ""


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_ends_its_docstring_in_the_form(name):
  about = recipes.about(recipes.path(name))
  last = about.doc.rpartition("\n\n")[2]
  assert re.fullmatch(
    r"Size: [^\n]+\.\nTime: .+\.\nExpect: .+\.", last, re.DOTALL
  ), f"{name}: its docstring must end in Size:, Time: and Expect: lines"
  assert re.fullmatch(
    r"\d+ parameters|[\d.]+ [MG] parameters|trains nothing", about.size
  ), f"run: python -m jmim.tools.recipe_table --sizes {name}"
