import json

import ml_collections
import pytest

from jmim.checkpoints import note
from jmim.core import errors


def test_what_is_written_is_read(tmp_path):
  config = ml_collections.ConfigDict(
    {"method": {"type": "mim.mae", "k": (1, 2)}}
  )
  about = dict(family="mae", step=3, weights="ema", consts={"host": "0"})
  note.write(tmp_path, config, **about)
  found = note.read(tmp_path)
  assert found.pop("config").method.type == "mim.mae"
  assert found == about
  assert (tmp_path / "jmim.json").read_text().endswith("}\n")


def test_folders_of_others_have_none_and_older_exports_say_less(tmp_path):
  assert note.read(tmp_path) is None
  older = {"config": {"seed": 1}, "family": ""}
  (tmp_path / "jmim.json").write_text(json.dumps(older))
  found = note.read(tmp_path)
  assert found["config"].seed == 1 and found["family"] == ""
  assert found["weights"] == "raw" and found["consts"] == {}


@pytest.mark.parametrize(
  "change",
  [
    {"family": None},
    {"config": []},
    {"weights": 3},
    {"consts": []},
    {"config": {"method": {"type": "my_lab.unknown"}}},
  ],
)
def test_a_note_that_makes_no_sense_is_refused(tmp_path, change):
  good = {"config": {"method": {"type": "mim.mae"}}, "family": "mae"}
  (tmp_path / note.NAME).write_text(json.dumps(good))
  assert note.read(tmp_path)["family"] == "mae"
  (tmp_path / note.NAME).write_text(json.dumps(good | change))
  with pytest.raises(errors.UserError, match="jmim.json"):
    note.read(tmp_path)
