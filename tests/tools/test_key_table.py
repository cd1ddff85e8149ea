from jmim.core import base_config
from jmim.core import field
from jmim.tools import key_table


def test_the_page_is_that_of_today():
  assert key_table.PAGE.read_text() == key_table.page(), (
    "run: python -m jmim.tools.key_table --write"
  )


def test_every_key_of_a_run_an_evaluator_and_a_method_is_there():
  text = key_table.page()
  for key in (*base_config.KEYS, "evals.NAME.penalty", "method.mask_ratio"):
    assert f"\n| `{key}` |" in text
  assert "\n## The procedure `edit.img2img`\n" in text


def test_a_row_says_what_a_value_may_be():
  one = field.value(0.5, "share | of all", low=0, below=1)
  assert key_table._row("a.b", one) == (
    "| `a.b` | `0.5` | share \\| of all (≥ 0, < 1) |"
  )
  two = field.value("x", "kind", choices=("x", "y"))
  assert key_table._row("k", two).endswith("| kind; one of 'x', 'y' |")
