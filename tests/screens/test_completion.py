"""The scripts are read by a shell, which is asked what it would offer."""

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


def offers(script, line):
  done = subprocess.run(
    ["bash", "-c", ASK, "bash", script, line],
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


def test_nothing_is_left_to_fill_in():
  assert "@" not in completion.script("bash").replace("[@]", "")


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not here")
def test_zsh_reads_it(tmp_path):
  (tmp_path / "jmim.zsh").write_text(completion.script("zsh"))
  subprocess.run(["zsh", "-n", tmp_path / "jmim.zsh"], check=True)
