import re
import types

import pytest
from absl import flags

from jmim import main
from jmim.core import base_config
from jmim.modes import flags as command_line
from jmim.modes import usage


def test_help_shows_what_runs_need_and_where_the_rest_is(capsys):
  with pytest.raises(SystemExit) as e:
    main.parse(["jmim", "--help"])
  text = capsys.readouterr().out
  assert e.value.code == 0
  flat = " ".join(text.split())
  block = text.partition("Flags:\n")[2].partition("\n\n")[0]
  listed = re.split(r"\n(?=  --)", block)
  assert len(listed) == len(usage.MAIN) + len(usage.KEYS) == 10
  assert max(map(len, text.splitlines())) <= usage.WIDTH
  assert [line.split()[0] for line in listed[:3]] == [
    "--config",
    "--workdir",
    "--mode",
  ]
  for key in usage.KEYS:
    assert " ".join(base_config.KEYS[key].metadata["doc"].split()) in flat
  for mode in command_line.MODES:
    assert mode in listed[2]
  assert "jmim/core/settings" in text


def test_every_flag_of_the_module_is_in_the_help():
  values = flags.FlagValues()
  module = types.ModuleType("somewhere")
  for name in (*usage.MAIN, "colour"):
    parser = flags.ArgumentParser()
    flag = flags.Flag(parser, None, name, None, f"about {name}")
    flags.DEFINE_flag(flag, values, module.__name__)
  text = usage.text("doc", values, module)
  assert "--colour" in text.partition("Of single modes")[2]
