"""The scripts are read by a shell, which is asked what it would offer."""

import os
import pty
import re
import select
import shutil
import subprocess

import pytest

from jmim.screens import completion

ASK = """
source "$1"
COMP_LINE="$2"; COMP_POINT=${#2}
_jmim
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory):
  path = tmp_path_factory.mktemp("shell") / "jmim.bash"
  path.write_text(completion.script("bash"))
  return path


def offers(script, line, ask=ASK):
  done = subprocess.run(
    ["bash", "-c", ask, "bash", script, line],
    capture_output=True,
    text=True,
    check=True,
    cwd=script.parent,
  )
  return done.stdout.split()


@pytest.mark.parametrize(
  ("line", "among"),
  [
    ("jmim --config=mae_d", ["mae_digits"]),
    ("jmim --mode=dr", ["dry_run"]),
    ("jmim --wo", ["--workdir="]),
    ("jmim --config.optim.l", ["--config.optim.lr="]),
    (
      "jmim --config=mae_digits:steps=3 --config.method.mask_r",
      ["--config.method.mask_ratio="],
    ),
    (
      "jmim --config=configs/mae_digits.py --config.method.mask_r",
      ["--config.method.mask_ratio="],
    ),
    (
      "jmim --config=img2img_digits --config.procedure.stre",
      ["--config.procedure.strength="],
    ),
    ("jmim --config=nonesuch --config.method.mask_r", []),
    (
      "jmim --config=mae_digits --config.evals.probe.pen",
      ["--config.evals.probe.penalty="],
    ),
    ("jmim --config=mae_digits --config.evals.knn.", []),
    (
      "jmim --config=img2img_digits --config.data.siz",
      ["--config.data.size="],
    ),
    ("jmim do", ["doctor"]),
  ],
)
def test_bash_is_offered(script, line, among):
  found = offers(script, line)
  assert set(among) <= set(found) and bool(found) == bool(among)


def test_files_are_offered_beside_recipes(script):
  (script.parent / "mae_mine.py").write_text("")
  found = offers(script, "jmim --config=mae_")
  assert {"mae_mine.py", "mae_digits"} <= set(found)


MINE = """
def get_config():
  config = configs.base()
  config.method = configs.section(
    type='mim.mae', dims=dict(variant="Ti/4")
  )
  config.evals = configs.section(
    few=configs.section(type="fewshot"), other=configs.section(
      type = "knn")
  )
"""


@pytest.mark.parametrize(
  ("key", "found"),
  [
    ("method.mask_r", "method.mask_ratio"),
    ("method.dims.wi", "method.dims.width"),
    ("evals.few.shots", "evals.few.shots"),
    ("evals.other.k", "evals.other.k"),
    ("data.siz", "data.size"),
  ],
)
def test_keys_of_a_recipe_of_ones_own_are_offered(script, key, found):
  (script.parent / "own").mkdir(exist_ok=True)
  (script.parent / "own" / "mine.py").write_text(MINE)
  line = f"jmim --config=own/mine.py:size=3 --config.{key}"
  assert f"--config.{found}=" in offers(script, line)


@pytest.mark.parametrize(
  ("line", "whole"),
  [
    ("jmim --config=mae_d", "--config=mae_digits"),
    ("jmim --mode=dr", "--mode=dry_run"),
    ("jmim --workdir=sub", "--workdir=sub_folder"),
  ],
)
def test_where_words_are_not_cut_the_whole_one_is_offered(script, line, whole):
  (script.parent / "sub_folder").mkdir(exist_ok=True)
  ask = "COMP_WORDBREAKS=' '\n" + ASK  # as in zsh, which has none
  assert whole in offers(script, line, ask)
  assert whole not in offers(script, line)


def test_nothing_is_left_to_fill_in():
  assert "@" not in completion.script("bash").replace("[@]", "")


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not here")
def test_zsh_reads_it(tmp_path):
  (tmp_path / "jmim.zsh").write_text(completion.script("zsh"))
  subprocess.run(["zsh", "-n", tmp_path / "jmim.zsh"], check=True)


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not here")
def test_zsh_goes_on_where_a_value_is_to_follow(tmp_path):
  """A value is typed behind a key at once; a blank follows what is whole."""
  (tmp_path / "jmim.zsh").write_text(completion.script("zsh"))
  begin = 'source jmim.zsh\njmim() { print -r -- "<$*>"; }\nprint rea""dy\n'
  typed = "jmim --mode=ev\t--wo\tx --config.optim.lr_b\t9 do\t\n"
  shell, screen = pty.openpty()
  env = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "TERM": "dumb"}
  with subprocess.Popen(
    ["zsh", "-f", "-i"],
    cwd=tmp_path,
    env=env,
    stdin=screen,
    stdout=screen,
    stderr=screen,
    start_new_session=True,
  ) as process:
    os.close(screen)
    os.write(shell, begin.encode())
    _read(shell, "ready")
    os.write(shell, typed.encode())
    found = re.search("<--.*>", _read(shell, "doctor>"))[0]
    process.kill()
  os.close(shell)
  assert found == "<--mode=eval --workdir=x --config.optim.lr_batch=9 doctor>"


def _read(shell, until):
  """What a terminal shows, until a text is there."""
  shown = ""
  while until not in shown:
    assert select.select([shell], [], [], 60)[0], shown
    shown += os.read(shell, 4096).decode(errors="replace")
  return shown
