"""Form of the text: length, tabs, suppressions."""

import ast
import re

import pytest
import sources

METHODS = sources.ROOT / "jmim" / "methods"
OURS = [*sources.FILES, *sources.TESTS, *sources.RECIPES]


def lines_of_code(source: str) -> int:
  """Lines that are neither empty, a comment, nor part of a docstring."""
  docs = set()
  for node in ast.walk(ast.parse(source)):
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef
    if isinstance(node, kinds) and ast.get_docstring(node) is not None:
      docs |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
  lines = enumerate(source.splitlines(), 1)
  return sum(
    bool(line.strip()) and not line.strip().startswith("#")
    for number, line in lines
    if number not in docs
  )


def test_code_is_counted_without_docstrings_and_comments():
  source = '"""A\nb."""\n\n# c\nx = """d\ne"""\ndef f():\n  """G."""\n  # h\n'
  assert lines_of_code(source + "  return x  # i\n") == 4


@pytest.mark.parametrize("path", sources.FILES, ids=sources.name_of)
def test_file_parses_has_no_tabs_and_is_short(path):
  lines = path.read_text().splitlines()
  ast.parse(path.read_text())
  assert not [i for i, line in enumerate(lines, 1) if re.match(r" *\t", line)]
  if METHODS in path.parents:
    assert lines_of_code(path.read_text()) <= 130 and len(lines) <= 205
  else:
    assert len(lines) <= 300


def test_recipes_are_short():
  recipes = [p for p in sources.RECIPES if p.parent.name == "configs"]
  # What `jmim --list` shows stands in every one, at the end of its docstring.
  facts = re.compile(r"\n\nSize: .*?(?=\n\"\"\")", re.DOTALL)
  texts = {p.name: facts.sub("", p.read_text()) for p in recipes}
  lengths = {name: len(text.splitlines()) for name, text in texts.items()}
  assert {name: n for name, n in lengths.items() if n > 80} == {}


def unformatted(source: str) -> int:
  """How often the formatter is told to leave something as it is."""
  return len(re.findall(r"#\s*fmt:\s*(?:skip|off)", source))


def test_places_without_the_formatter_are_counted():
  text = "x = [\n  1,  # {0}\n]  # {0}\n# fmt: on\n#fmt:off\n"
  assert unformatted(text.format("fmt" + ": skip")) == 3
  assert unformatted("fmt = skip  # off\n") == 0


def test_the_formatter_is_hardly_ever_kept_away():
  texts = {path: path.read_text() for path in OURS}
  assert sum(map(unformatted, texts.values())) <= 1
