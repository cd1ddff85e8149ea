"""The one reader of the commands that pages and docstrings tell to type."""

import commandkit

DOC = r"""A recipe.

    C=configs/a.py; D="--config.data.data_dir=DIR"
    python -m jmim.main --config=$C:stage=1 --workdir=A $D
    ... --config=$C:stage=2,start=A --workdir=B     the second stage
    ... :stage=3 --config.seed=1
    python -m jmim.main --mode=sample ... --num=4 \
      --workdir=B
    python -m jmim.tools.token_counts --workdir=B
    ... --config=configs/b.py --workdir=N ...
    jmim --mode=eval --workdir=B && jmim doctor

It says that x = y, and

    loss = mean (f(x) - x)^2
    ... and so on

`python -m jmim.main --config=c` in the text is none.
"""
MAIN = "python -m jmim.main"
FIRST = "--config=configs/a.py:stage="


def test_a_docstring_is_read_as_its_reader_would():
  assert [" ".join(words) for words in commandkit.of_docstring(DOC)] == [
    f"{MAIN} {FIRST}1 --workdir=A --config.data.data_dir=DIR",
    f"{MAIN} --config.data.data_dir=DIR {FIRST}2,start=A --workdir=B"
    " the second stage",
    f"{MAIN} --config.data.data_dir=DIR --workdir=B {FIRST}3 --config.seed=1",
    f"{MAIN} --mode=sample --config.data.data_dir=DIR {FIRST}3 --config.seed=1"
    " --num=4 --workdir=B",
    "python -m jmim.tools.token_counts --workdir=B",
    f"{MAIN} --config=configs/b.py --workdir=N",
    f"{MAIN} --mode=eval --workdir=B",
    f"{MAIN} doctor",
  ]


def test_a_tool_is_gone_on_with():
  """But by a --config= only if it had one."""
  doc = (
    "    python -m jmim.tools.a --config=x --out=y\n    ... --config=z ...\n"
  )
  goes_on = ["python", "-m", "jmim.tools.a", "--out=y", "--config=z"]
  assert commandkit.of_docstring(doc)[1] == goes_on
  other = commandkit.of_docstring(doc.replace("--config=x ", ""))[1]
  assert other == [*commandkit.START, "--config=z"]


def test_a_module_is_that_of_its_docstring(tmp_path):
  path = tmp_path / "a.py"
  path.write_text(f'r"""{DOC}"""\nx = 1\n')
  assert commandkit.of_module(path) == commandkit.of_docstring(DOC)
  path.write_text("x = 1\n")
  assert commandkit.of_module(path) == []


def test_a_page_is_read_where_it_shows_a_shell(tmp_path):
  page = tmp_path / "page.md"
  page.write_text(
    "jmim --list\n```sh\njmim doctor  # all of it\nA=1 ./run --a=1 \\\n"
    "  --b && ls\n```\n```python\njmim = 1\n```\n"
  )
  found = [" ".join(words) for words in commandkit.of_page(page)]
  assert found == [f"{MAIN} doctor", "A=1 ./run --a=1 --b", "ls"]


def test_a_flag_is_the_last_one_given():
  words = ["--a=1", "--ab=2", "--a=3=4", "--b"]
  assert commandkit.flag(words, "a") == "3=4"
  assert commandkit.flag(words, "b") == commandkit.flag(words, "c") == ""
