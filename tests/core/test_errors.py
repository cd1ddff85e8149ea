from jmim.core import errors


def test_screen_has_one_labelled_line_for_each_part():
  e = errors.UserError("x=3", "x < 2", "lower x", "a.x")
  assert str(e).splitlines() == [
    "     seen: x=3",
    " expected: x < 2",
    "      key: a.x",
    "      fix: lower x",
  ]
  assert (e.seen, e.expected, e.fix, e.key) == (
    "x=3",
    "x < 2",
    "lower x",
    "a.x",
  )


def test_without_a_key_there_is_no_key_line():
  screen = errors.UserError("x=3", "x < 2", "lower x").screen()
  assert "key" not in screen and len(screen.splitlines()) == 3


def test_users_may_catch_it_as_a_value_error():
  assert issubclass(errors.UserError, ValueError)
  assert not issubclass(errors.Diverged, ValueError)


def test_a_full_disk_is_named_however_deep_it_is():
  full = OSError(28, "No space left on device")
  assert errors.first_line(full).count("No space left") == 1
  for other in (ValueError("x\ny: No space left on device"), KeyError("x")):
    other.__cause__ = full
    text = errors.first_line(other)
    assert text.startswith("No space left on device (") and "\n" not in text
  assert errors.first_line(ValueError("x")) == "ValueError: x"


def test_a_divergence_names_a_step_that_can_be_replayed():
  text = lambda step, saved: str(errors.Diverged.at(step, 3, (), saved))
  assert "--replay_step=5, which goes on from checkpoint 4" in text(7, 4)
  assert "train.checkpoint_steps=4" in text(7, None)
  assert "--replay_step" not in text(7, None) + text(3, None)
  assert "from the first step on" in text(3, None)


def test_a_list_is_indented_and_says_how_many_are_left_out():
  assert errors.listed(["a", "b"]) == "\n           a\n           b"
  text = errors.listed([str(i) for i in range(100)], most=3)
  assert [x.strip() for x in text.split("\n")] == [
    "",
    "0",
    "1",
    "2",
    "... and 97 more",
  ]


def test_a_list_starts_where_the_texts_of_a_screen_do():
  e = errors.UserError("two:" + errors.listed(["a"]), "none", "remove them")
  lines = e.screen().splitlines()
  assert lines[1].index("a") == lines[2].index("none")
