import re

import pytest

from jmim.core import recipes
from jmim.tools import recipe_table


def test_the_page_is_that_of_today():
  assert recipe_table.PAGE.read_text() == recipe_table.page(), (
    "run: python -m jmim.tools.recipe_table --write"
  )


def test_every_recipe_has_a_row():
  rows = re.findall(r"^\| `(\w+)` \|", recipe_table.page(), re.MULTILINE)
  assert rows == recipes.names()


FAST = ("mae_digits", "img2img_digits")
SLOW = [n for n in recipes.names() if n not in FAST]
NAMES = [*FAST, *(pytest.param(n, marks=pytest.mark.slow) for n in SLOW)]


@pytest.mark.parametrize("name", NAMES)
def test_sizes_are_counted(name):
  about = recipes.about(recipes.path(name))
  assert about.size == recipe_table.size(name), (
    f"run: python -m jmim.tools.recipe_table --sizes {name}"
  )


def test_only_the_size_is_written(tmp_path):
  path = tmp_path / "recipe.py"
  path.write_text('"""A.\n\nSize: ?.\nTime: b.\n"""\n')
  recipe_table.put_size(path, "3 parameters")
  assert path.read_text() == '"""A.\n\nSize: 3 parameters.\nTime: b.\n"""\n'
