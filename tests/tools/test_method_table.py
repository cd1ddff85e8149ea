import ast
import pathlib
import re

from jmim.core import discovery
from jmim.tools import method_table

ROOT = pathlib.Path(__file__).resolve().parents[2]


def cells():
  """Method name -> the cells of its row in README.md."""
  text = (ROOT / "README.md").read_text()
  inside = text.partition(method_table.BEGIN)[2].partition(method_table.END)[0]
  rows = [line.strip("| ").split(" | ") for line in inside.split("\n")[3:-1]]
  return {re.match(r"\[(.*?)\]", row[1])[1]: row for row in rows}


def test_the_readme_has_todays_table():
  text = (ROOT / "README.md").read_text()
  assert method_table.put(text) == text, (
    "run: python -m jmim.tools.method_table --write"
  )


def test_there_is_a_row_for_every_method():
  known = [*discovery.names(), *discovery.procedures()]
  assert sorted(cells()) == sorted(known)


def test_marks_stand_for_files():
  found = cells()
  assert all(len(row) == 6 for row in found.values())
  name, _, golden, claim, small, large = found["mim.simmim"]
  assert name.startswith("SimMIM")
  assert golden.startswith("✓ ") and claim == "✓ `simmim`"
  assert "`simmim_cifar10`" in small and "`simmim_imagenet`" in large
  for row in found.values():
    for claim in re.findall(r"`(\w+)`", row[3]):
      assert (ROOT / "configs" / "claims" / f"{claim}.py").is_file()
    for recipe in re.findall(r"`(\w+)`", row[4] + row[5]):
      assert (ROOT / "configs" / f"{recipe}.py").is_file()


def test_a_golden_mark_needs_an_import_of_the_method():
  tree = ast.parse("from jmim.methods.mim import mae\nfrom jmim.nn import vit")
  assert method_table._methods(tree) == {"mim.mae"}
  tree = ast.parse('ALSO = ("mim.simmim",)  # below it\nOTHER = ("mim.x",)')
  assert method_table._methods(tree) == {"mim.simmim"}
  assert {"mim.mae", "restore.rrdb"} <= method_table.goldens()
  # Its numbers are the library's; the network is not compared.
  assert "diffusion.ddpm" not in method_table.goldens()


def test_every_golden_mark_says_what_is_compared():
  found = cells()
  for row in found.values():
    assert row[2] == "–" or re.fullmatch(r"✓ \w.*", row[2]), row
  for name in ("restore.resshift", "restore.rrdb", "dense.diffmatch_fine"):
    assert found[name][2] != "–", name


def test_a_recipe_is_one_of_the_methods_of_all_its_stages():
  found = method_table.named_stages("A $R:stage=b, c.py:stage=d", "c")
  assert found == ["b", "d"]
  found = method_table.named_stages("A c:data=x,stage=d $C,stage=e c:e=f", "c")
  assert found == ["d", "e"]
  assert method_table.named_stages("other.py:stage=d, stage=e", "c") == []
  found = cells()
  for name in ("restore.cue_light", "restore.cue_noise", "restore.cue"):
    assert "`cue_cifar10`" in found[name][4], name
  for name in ("discrete.digit", "discrete.digit_pixels"):
    assert "`digit_cifar10`" in found[name][4], name


def test_a_title_has_its_paper():
  text = "X: y z.\n\nA, B-C, D, ICML 2024 (arXiv 2401.00001). More 2025."
  assert method_table.title(text) == "X: y z (A et al. 2024)"
  assert method_table.title("X.\n\nA and B 2023.") == "X (A and B 2023)"
  assert method_table.title("X.\n\nA et al., V 2022.") == "X (A et al. 2022)"
  assert method_table.title("X.\n\nNo paper. In 2020") == "X"
  assert method_table.title("X.") == "X"


def test_what_is_compared_is_read_from_the_docstring():
  text = "code: `tests/golden` compares a,\nb and c with the authors' code; d."
  assert method_table.listed(text) == "a, b and c"
  assert method_table.listed("nothing") == ""


def test_only_the_part_between_the_markers_changes():
  text = f"before\n{method_table.BEGIN}\nold\n{method_table.END}\nafter"
  made = method_table.put(text)
  assert made.startswith("before\n") and made.endswith("\nafter")
  assert "\nold\n" not in made and method_table.HEAD in made
