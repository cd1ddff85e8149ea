"""Paths of recipes, with colons and arguments."""

import pytest

from jmim.core import errors
from jmim.core import recipe_path
from jmim.core import recipes


def recipe(folder):
  (folder / "recipe.py").write_text("")
  return str(folder / "recipe.py")


@pytest.mark.parametrize("folder", ["a.py:b", "a:b.py:c", "x:1"])
def test_the_path_may_even_end_like_a_recipe_before_a_colon(tmp_path, folder):
  (tmp_path / folder).mkdir()
  path = recipe(tmp_path / folder)
  assert recipe_path.find(f"{path}:x.py:y") == (path, "x.py:y")
  assert recipe_path.find(f"{path}:") == (path, "")
  assert recipe_path.find(path) == (path, "")
  with pytest.raises(errors.UserError, match="no such file"):
    recipe_path.find(str(tmp_path / folder / "other.py:x"))


@pytest.mark.parametrize(
  "spec",
  [
    "https://example.org/recipe.py",
    "https://example.org/recipe.py:variant=L/16",
    "gs://bucket/recipe",
  ],
)
def test_an_address_is_no_recipe(spec):
  with pytest.raises(errors.UserError, match="an address") as caught:
    recipe_path.find(spec)
  assert caught.value.key == "--config" and "://" in str(caught.value)


def test_an_address_may_be_an_argument(tmp_path):
  path = recipe(tmp_path)
  assert recipe_path.find(f"{path}:at=gs://b") == (path, "at=gs://b")


@pytest.mark.parametrize(
  "spec", ["x" * 5000, "a\0b.py", "configs/mae_digit.py"]
)
def test_what_is_no_file_is_one_message(spec):
  with pytest.raises(errors.UserError, match="no such file"):
    recipe_path.find(spec)


def test_a_recipe_of_ours_is_named_from_any_folder(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  ours = str(recipes.path("mae_digits"))
  assert recipe_path.find("mae_digits") == (ours, "")
  assert recipe_path.find("mae_digits:steps=3") == (ours, "steps=3")
  # The path that it has in the source tree, for commands of docs and claims.
  assert recipe_path.find("configs/mae_digits.py:steps=3") == (ours, "steps=3")


def test_a_file_of_the_user_comes_before_a_recipe_of_ours(
  tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  (tmp_path / "configs").mkdir()
  (tmp_path / "configs" / "mae_digits.py").write_text("")
  found = recipe_path.find("configs/mae_digits.py:steps=3")
  assert found == ("configs/mae_digits.py", "steps=3")


def test_a_misspelt_name_gets_the_nearest():
  with pytest.raises(errors.UserError, match="mae_digits") as caught:
    recipe_path.find("mae_digit:steps=3")
  assert "--config=mae_digit:" in str(caught.value)
