import pytest

from jmim.checkpoints import classes


def test_a_run_has_them_in_data_json(tmp_path):
  assert classes.of_run(tmp_path) == ()
  (tmp_path / "data.json").write_text('{"classes": ["b", "a"], "train": {}}')
  assert classes.of_run(tmp_path) == ("b", "a")


@pytest.mark.parametrize("facts", [{}, {"classes": "ab"}, {"classes": [1]}])
def test_what_is_no_list_of_names_is_none(facts):
  assert classes.of(facts) == ()
