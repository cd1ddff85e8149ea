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
