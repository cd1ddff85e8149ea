"""DiffuMask (weijiawu/DiffuMask): class maps from stored attention."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jmim.methods.edit import diffumask
from jmim.methods.parts import word_maps
from jmim.methods.parts import word_tables

SKIPPED = {}
USUAL = diffumask.DiffuMask().sides
MIDDLE = 8  # their maps of other sides are of the ways down and up alone
# What their tokenizer makes of some names.
PIECES = {"aeroplane": ("aerop", "lane"), "pottedplant": ("ted",)}


def maps_of(case):
  """Side -> [1, side, side, tokens]: mean over steps, layers and heads."""
  c = case.config
  side = max(side for _, side in c["layers"])
  steps = []
  for step in range(c["steps"]):
    looked = []
    for i, (place, own) in enumerate(c["layers"]):
      a = case.inputs[f"step{step}/{i}_{place}_{own}"]
      # Heads may be more at some layers; each counts once.
      assert a.shape[1:] == (own * own, len(c["tokens"]))
      if place != "mid" or own == MIDDLE:
        looked.append(jnp.asarray(a)[None])
    steps.append(word_maps.by_side(looked, (side, side)))
  return jax.tree.map(lambda *a: sum(a) / len(a), *steps)


def marks_of(tokens, name):
  """[1, tokens]: 1 where a token is a word of a class, or its plural."""
  words = word_tables.words()[word_tables.VOC.index(name)].split()
  words += PIECES.get(name, ())
  known = {*words, *(f"{word}s" for word in words)}
  return jnp.array([[float(token in known) for token in tokens]])


def run(case):
  maps, found = maps_of(case), {}
  sides = word_tables.sides("voc", USUAL)
  out = (case.config["output"],) * 2
  jitted = jax.jit(functools.partial(word_maps.word, size=out))
  for name in case.outputs:
    kind, _, rest = name.partition("_")
    if kind.startswith("avg"):
      found[name] = maps[int(kind.removeprefix("avg"))][0]
    else:
      of = rest.removesuffix("_max_mean")
      shares = word_maps.shares(
        [sides[word_tables.VOC.index(of)]], jnp.zeros(1, int)
      )
      m = np.asarray(
        jitted(maps, marks_of(case.config["tokens"], of), shares)[0]
      )
      whole = np.array([m.max(), m.mean()], np.float32)
      found[name] = whole if rest != of else m[4::8, 4::8]
  return found
