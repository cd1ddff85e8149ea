import json

import pytest
import workdirs

from jmim.core import errors
from jmim.report import gather


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  return gather.gather(
    workdirs.make(tmp_path_factory.mktemp("g") / "a" / "run")
  )


def test_curves_hold_every_point(run):
  one = run["series"]["loss"]
  assert one["x"] == list(range(1, workdirs.STEPS + 1)) and one["of"] == 200
  assert one["y"] == [float(f"{workdirs.loss(s):.6g}") for s in one["x"]]
  assert not one["eval"]
  assert run["series"]["grad_norm"]["y"] == [None] * 200  # "nan" is no number
  assert not {"step", "eval", "protocol"} & set(run["series"])


def test_training_loss_is_shown_with_that_on_held_out_images(run):
  assert run["overlays"] == {"loss": "loss/loss"}
  assert run["series"]["loss/loss"]["x"] == [100, 200]


def test_references_stand_beside_their_number(run):
  recon = next(e for e in run["evals"] if e["name"] == "recon")
  (row,) = recon["rows"]
  assert (row["key"], row["value"]) == ("mse", 0.1)
  assert row["lines"] == {"nearest": 0.2, "pixels": 0.4}
  assert run["references"] == {"recon/mse": {"nearest": 0.2, "pixels": 0.4}}
  newest = next(e for e in run["evals"] if e["name"] == "loss")
  assert newest["step"] == 200
  assert [row["key"] for row in newest["rows"]] == ["loss", "examples"]


def test_the_recipe_says_what_differs_from_its_defaults(run):
  rows = {key: rest for key, *rest in run["config"]}
  assert rows["data.batch"] == ["64", "256", True]
  assert rows["method.mask_ratio"] == ["0.6", "0.75", True]
  assert rows["method.width"] == ["64", "64", False]
  assert rows["optim.lr"] == ["0.001", "0.001", False]
  assert rows["data.mean"][2] is False  # a tuple there, a list in config.json
  assert rows["evals.recon.type"] == ["recon", "", True]


def test_facts_come_from_the_training_lines(run):
  facts = dict(run["facts"])
  assert facts["steps"] == "200 of 200"
  assert facts["images / s"] == "640" and facts["MFU"] == "25.0%"
  # 200 steps of 64 images at 640 per second.
  assert facts["time training"] == "20s"
  assert facts["time in all"] == "25s"  # steps and input took 0.8 of it
  assert facts["data"] == workdirs.EVIL


def test_the_result_that_says_most_comes_first(run):
  assert run["facts"][0] == ["recon/mse", "0.1000"]
  told = "mse: better than the nearest visible pixel, 0.1000 against 0.2000"
  assert run["headline"] == told


def test_other_facts_of_a_run(run):
  facts = dict(run["facts"])
  assert facts["parameters"] == "1.23 M"


def test_checkpoints_have_links_and_sizes(run):
  [one] = run["checkpoints"]
  assert (one["step"], one["folder"]) == (200, "checkpoints/200")
  assert one["bytes"] == "1.5 MB"


def test_little_is_needed(tmp_path):
  (tmp_path / "metrics.jsonl").write_text('{"step": 3, "loss": 1.5}\n')
  found = gather.gather(tmp_path)
  assert found["series"]["loss"] == {"x": [3], "y": [1.5], "eval": "", "of": 1}
  assert found["facts"] == [["steps", "3"]]
  assert found["notes"] == {} and found["pictures"] == {}
  json.dumps(found, allow_nan=False)


def test_a_folder_that_is_no_workdir_is_named(tmp_path):
  with pytest.raises(errors.UserError, match="nothing_here"):
    gather.gather(tmp_path / "nothing_here")


@pytest.mark.parametrize("name", ["config.json", "run.json", "sizes.json"])
@pytest.mark.parametrize(
  "text",
  [
    *("", "{", "[1]", "3", "{}", "[" * 10**5, '{"method": 3, "model": 3}'),
    '{"data": [], "evals": [1], "train": "x", "defaults": 1, "starts": {}}',
    '{"data": {"batch": "x", "name": 3}, "train": {"total_steps": "x"}}',
    '{"method": {"type": {}}, "total": "x", "model": {}, "hardware": []}',
    '{"hardware": {}, "environment": [], "0": "x"}',
  ],
)
def test_what_others_wrote_into_small_files_is_no_traceback(
  tmp_path, name, text
):
  workdir = workdirs.make(tmp_path / "run")
  (path,) = workdir.rglob(name)
  path.write_text(text)
  found = gather.gather(workdir)
  assert found["series"]["loss"]["of"] == workdirs.STEPS
  # The page shows these beside each other.
  assert ("hardware" in found["notes"]) <= ("model" in found["notes"])
  assert ("environment" in found["notes"]) <= ("starts" in found["notes"])
  json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("more", ['"eval": 3', '"eval": "a", "protocol": [3]'])
def test_lines_that_are_none_are_left_out(tmp_path, more):
  lines = ('{"step": 3, "loss": 1.5}', f'{{"step": 4, {more}}}')
  (tmp_path / "metrics.jsonl").write_text("\n".join(lines) + "\n")
  assert gather.gather(tmp_path)["facts"] == [["steps", "3"]]
