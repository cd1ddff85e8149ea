"""One family: names as a table spells them, and what does not fit."""

import dataclasses
import types

from jmim.convert import family
from jmim.convert import table


def made(**fields):
  settings = dict(library="authors", methods=("a.b",), table=lambda m: [])
  return family.Family(**settings | fields)


def test_the_first_container_that_is_there_is_read():
  names = ["model.w", "model.b", "optimizer.state", "module.w"]
  inside, outside = made().names(names)
  assert inside == {"w": "model.w", "b": "model.b"}
  assert outside == ["optimizer.state", "module.w"]
  inside, outside = made().names(["w", "b"])  # none is there
  assert inside == {"w": "w", "b": "b"} and outside == []


def test_aliases_apply_in_turn_inside_the_container():
  layout = made(aliases=((r"^module\.", ""), (r"\.gamma$", ".weight")))
  inside, _ = layout.names(["model.module.norm.gamma"])
  assert inside == {"norm.weight": "model.module.norm.gamma"}


def test_fixed_fields_may_be_in_parts():
  method = types.SimpleNamespace(
    cls=True, dims=types.SimpleNamespace(mlp_ratio=4.0)
  )
  assert made(fixed={"dims.mlp_ratio": 4.0}).objection("a.b", method) is None
  layout = made(fixed={"cls": True, "dims.mlp_ratio": 2.0})
  why = layout.objection("a.b", method)
  assert why == "dims.mlp_ratio=4.0, which is 2.0 there"


def test_objections_come_in_order():
  layout = made(fixed={"cls": True}, check=lambda m: "unfit")
  method = types.SimpleNamespace(cls=False)
  assert layout.objection("a.c", method) == "it is for a.b"
  assert layout.objection("a.b", method) == "cls=False, which is True there"
  method.cls = True
  assert layout.objection("a.b", method) == "unfit"


def test_a_table_of_the_only_player_is_below_it():
  rules = [
    table.Rule(theirs="w", ours="net/kernel"),
    table.Rule(theirs=("q", "k"), ours=("q/bias", "k/bias")),
    table.Constant(theirs="fixed", value=None),
  ]
  first, second, constant = family.main(lambda m: rules)(None)
  assert first == dataclasses.replace(rules[0], ours="params/main/net/kernel")
  assert second.ours == ("params/main/q/bias", "params/main/k/bias")
  assert constant.ours == ""  # it has no leaf
