"""Pickles run within bounds: what they may do, and how much of it."""

import io
import pickle
import pickletools
import struct

import pytest

from jmim.core import unpickler

FRAMED = {"a": [1, 2.5, "x" * 200], "b": {(1, "k"): None}, 3: (4, "y")}


def load(data, **allowed):
  return unpickler.Unpickler(io.BytesIO(data), allowed).load()


@pytest.mark.parametrize("protocol", range(6))
def test_plain_things_are_what_they_were(protocol):
  assert load(pickle.dumps(FRAMED, protocol)) == FRAMED
  if protocol >= 4:  # before, a set is a call of a global
    assert load(pickle.dumps({"a", 2}, protocol)) == {"a", 2}


def test_several_pickles_in_a_row_are_read_from_where_one_ends():
  file = io.BytesIO(b"".join(pickle.dumps(x, 4) for x in (FRAMED, "b", 3)))
  one = lambda: unpickler.Unpickler(file, {}).load()
  assert [one(), one(), one()] == [FRAMED, "b", 3] and not file.read()


def nested(depth):
  """A tuple of the tuple before, twice; so many times. Nothing is left."""
  parts = [b"\x80\x02)q\x000"]
  for i in range(depth):
    one = b"h" + bytes([i])
    parts.append(one + one + b"\x86q" + bytes([i + 1]) + b"0")
  return b"".join(parts)


@pytest.mark.parametrize(
  "data",
  [
    nested(200) + b"}h\xc8K\x01s.",  # d[t] = 1
    nested(200) + b"}(h\xc8K\x01u.",  # d.update
    nested(200) + b"(h\xc8K\x01d.",  # dict
    nested(200) + b"\x8f(h\xc8\x90.",  # a set
    nested(200) + b"(h\xc8\x91.",  # a frozen one
    b"\x80\x02}" + b"(" + b"K\x01" * 17 + b"tK\x01s.",
  ],
)
def test_keys_that_are_hashed_for_ever_are_refused(data):
  pickletools.dis(data, out=io.StringIO())  # it is one that Python would run
  with pytest.raises(unpickler.Refused, match="a key that is no name"):
    load(data)


@pytest.mark.parametrize(
  "data, says",
  [
    (b"\x80\x02]r" + b"\xff" * 4 + b".", None),
    (b"\x80\x02X\xff\xff\xff\xffa.", "a name or number of"),
    (b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b".", "no data need"),
    (b"\x80\x02\x8b\xff\xff\xff\x7f\x00.", "a name or number of"),
    (b"\x80\x04\x95" + struct.pack("<Q", 2**40) + b"K\x01.", None),
    (b"\x80\x02\x82\x01.", "no data need"),
    (b"(ios\nsystem\n.", "no data need"),
    (b"]" * 2**21 + b".", "does more than"),
    (b"\x80\x02" + (b"X\x00\x00\x10\x00" + b"a" * 2**20) * 65, "reads more"),
  ],
  ids=lambda x: x[:12] if isinstance(x, bytes) else "",
)
def test_what_a_pickle_says_takes_no_memory(data, says):
  if says is None:  # it means nothing: a place in a memo, or a frame
    assert load(data) in ([], 1)
    return
  with pytest.raises(unpickler.Refused, match=says):
    load(data)


def test_copies_made_by_calls_are_counted():
  many = b"\x80\x02(" + b"K\x01" * 2**16 + b"lq\x00"
  calls = b"cx\nSize\nh\x00\x85R0" * 64
  with pytest.raises(unpickler.Refused, match="does more than"):
    load(many + calls + b".", **{"x.Size": tuple})


def test_copies_of_what_is_set_are_counted():
  class Empty:
    pass

  state = b"".join(b"X\x04\x00\x00\x00%04dN" % i for i in range(2000))
  many = b"\x80\x02(" + state + b"dq\x000cx\nEmpty\nq\x01"
  sets = b"h\x01)Rh\x00b0" * 1100
  with pytest.raises(unpickler.Refused, match="does more than"):
    load(many + sets + b".", **{"x.Empty": Empty})
  assert vars(load(many + b")Rh\x00b.", **{"x.Empty": Empty}))["0007"] is None
