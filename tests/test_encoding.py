"""Text in files is UTF-8, whatever the locale."""

import ast

import pytest
import sources

BINARY = "b"


def without(source: str) -> list[int]:
  """Lines of calls that open text in the encoding of the locale."""
  return [
    node.lineno
    for node in ast.walk(ast.parse(source))
    if isinstance(node, ast.Call) and _locale(node)
  ]


def _locale(call: ast.Call) -> bool:
  """Whether a call leaves the encoding of a text to the locale."""
  name = getattr(call.func, "attr", getattr(call.func, "id", ""))
  keys = {k.arg: k.value for k in call.keywords}
  if "encoding" in keys:
    return False
  texts = [a.value for a in _plain(call)]
  if name in ("read_text", "write_text"):  # the first argument, the second
    return len(call.args) < {"read_text": 1, "write_text": 2}[name]
  if name == "NamedTemporaryFile" or name == "TemporaryFile":
    return "mode" in keys and BINARY not in ast.unparse(keys["mode"])
  if name in ("run", "Popen", "check_output"):
    return "text" in keys or "universal_newlines" in keys
  if name not in ("open", "fdopen"):
    return False
  if isinstance(call.func, ast.Name) or name == "fdopen":
    texts = texts if len(call.args) > 1 else []
    return not any(BINARY in t for t in texts[-1:]) and (
      "mode" not in keys or BINARY not in ast.unparse(keys["mode"])
    )
  # Of a path the mode comes first; others open no text.
  first = call.args[0].value if texts and call.args[0] in _plain(call) else ""
  return bool(first) and set(first) <= set("rwaxt+")


def _plain(call: ast.Call) -> list[ast.Constant]:
  """Its arguments that are strings."""
  plain = [a for a in call.args if isinstance(a, ast.Constant)]
  return [a for a in plain if isinstance(a.value, str)]


@pytest.mark.parametrize("path", sources.FILES, ids=sources.name_of)
def test_no_text_is_left_to_the_locale(path):
  assert without(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
  "source",
  (
    "open(p)",
    "open(p, 'w')",
    "path.open('a')",
    "path.read_text()",
    "path.write_text(text)",
    "os.fdopen(3, 'w')",
    "subprocess.run(c, text=True)",
  ),
)
def test_what_is_left_to_it_is_seen(source):
  assert without(source) == [1]


@pytest.mark.parametrize(
  "source",
  (
    "open(p, 'rb')",
    "open(p, encoding='utf-8')",
    "path.open('wb')",
    "PIL.Image.open(p)",
    "sessions.open(config, workdir)",
    "path.read_text('utf-8')",
    "path.write_text(text, encoding='utf-8')",
  ),
)
def test_what_is_not_is_not(source):
  assert without(source) == []
