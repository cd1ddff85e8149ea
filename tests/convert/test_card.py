"""The README.md of an export."""

import json

from jmim.convert import card
from jmim.core import config as configs

LINES = [
  {"step": 1, "loss": 0.5},
  {"step": 2, "eval": "knn", "knn/top1": 0.25},
  {"step": 2, "eval": "probe", "probe/top1": 0.5, "probe/name": "x"},
  {
    "step": 4,
    "eval": "knn",
    "knn/top1": 0.75,
    "protocol": {"type": "jmim.evals.knn", "seed": 0, "data.name": "cifar10"},
  },
]


SHARE = {
  "step": 4,
  "eval": "loss",
  "loss/loss": 0.25,
  "reads": {"loss": ["nats", "lower"]},
  "protocol": {
    "type": "jmim.evals.loss",
    "data.eval_split": "test",
    "data.eval_share": 0.1,
    "git": "",
  },
}


def write_log(folder):
  text = "\n".join(map(json.dumps, LINES))
  (folder / "metrics.jsonl").write_text(text + "\n")


def test_it_has_the_last_figure_of_each_evaluation_and_how_it_was_measured(
  tmp_path,
):
  assert card.figures(tmp_path) == card.protocols(tmp_path) == []
  write_log(tmp_path)
  assert card.figures(tmp_path)[2:] == [
    "| knn/top1 | 0.75 | 4 |",
    "| probe/top1 | 0.5 | 2 |",
  ]
  told = card.protocols(tmp_path)
  assert told == ["* knn: type=jmim.evals.knn, data.name=cifar10", ""]


def test_it_says_recipe_data_figures_protocol_and_licence(tmp_path):
  write_log(tmp_path)
  starts = [{"command": "python -m jmim.main --config=a"}, {"command": "b"}]
  (tmp_path / "run.json").write_text(json.dumps({"starts": starts}))
  config = configs.base()
  config.method = configs.section(type="mim.mae", mask_ratio=0.5)
  config.data.update(name="folder", size=48)
  text = card.write(tmp_path, config, "hf_vit_mae", 4, lines=["no place: x"])
  for words in (
    "\nlicense: ",
    "python -m jmim.main --config=a",
    "* size: 48",
    "| knn/top1 | 0.75 | 4 |",
    "data.name=cifar10",
    '"mask_ratio": 0.5',
    "* no place: x",
    "from step 4 of a run of jmim, in the layout `hf_vit_mae`",
  ):
    assert words in text, words


def test_a_part_of_pictures_and_another_height_are_told(tmp_path):
  config = configs.base()
  config.method = configs.section(type="mim.mae")
  assert "* box" not in card.write(tmp_path, config, "", 0)
  config.data.update(box=(1, 2, 30, 40), height=8)
  text = card.write(tmp_path, config, "", 0)
  assert "* height: 8\n* box: [1, 2, 30, 40]\n" in text


def test_converted_weights_have_no_command(tmp_path):
  config = configs.base()
  config.method = configs.section(type="mim.mae")
  text = card.write(tmp_path, config, "", 0)
  assert "no run of jmim" in text and "No evaluation was logged." in text


def test_what_was_held_out_is_told_and_no_split_that_was_not_read(tmp_path):
  (tmp_path / "metrics.jsonl").write_text(json.dumps(SHARE) + "\n")
  facts = {
    "classes": ["cat", "dog"],
    "train": {"examples": 54},
    "eval": {"examples": 6},
  }
  (tmp_path / "data.json").write_text(json.dumps(facts))
  config = configs.base()
  config.method = configs.section(type="mim.mae")
  config.data.update(name="folder", eval_share=0.1)
  text = card.write(tmp_path, config, "", 4)
  assert "| loss | 0.25 nats | 4 |" in text
  assert "* eval_share: 0.1" in text and "eval_split" not in text
  assert "* examples: 54, for evaluation 6" in text
  assert "* classes: cat, dog" in text
  assert "* loss: type=jmim.evals.loss, data.eval_share=0.1\n" in text
  config.data.eval_share = 0.0
  text = card.write(tmp_path, config, "", 4)
  assert "* eval_split: test" in text and "* eval_share" not in text


def test_many_classes_are_counted(tmp_path):
  (tmp_path / "data.json").write_text(
    json.dumps({"classes": [f"c{i}" for i in range(100)]})
  )
  config = configs.base()
  config.method = configs.section(type="mim.mae")
  assert "* classes: 100\n" in card.write(tmp_path, config, "", 0)
