import types

import pytest

from jmim.core import config as configs
from jmim.session import adapted


def config_of(kind, **evals):
  config = configs.base()
  config.method = configs.section(type=kind)
  config.evals = configs.section(
    **{name: configs.section(type=t) for name, t in evals.items()}
  )
  return config


def source(classes):
  return types.SimpleNamespace(num_classes=classes)


def test_classes_are_those_of_the_data():
  config = config_of("supervised.finetune", accuracy="accuracy")
  made = adapted.to_labels(config, source(7))
  assert made.method.classes == 7 and list(made.evals) == ["accuracy"]
  assert "classes" not in config.method  # what is given stays as it is


def test_a_method_without_classes_gets_none():
  made = adapted.to_labels(config_of("mim.mae", probe="probe"), source(7))
  assert "classes" not in made.method and "probe" in made.evals


def test_without_labels_evaluators_that_need_them_are_left_out():
  config = config_of("mim.mae", probe="probe", knn="knn", loss="loss")
  assert list(adapted.to_labels(config, source(None)).evals) == ["loss"]


@pytest.mark.parametrize("classes", [None, 3])
def test_what_is_unknown_is_left_to_those_who_tell(classes):
  config = config_of("nowhere.at_all", one="nowhere.too")
  made = adapted.to_labels(config, source(classes))
  assert made.to_dict() == config.to_dict()
