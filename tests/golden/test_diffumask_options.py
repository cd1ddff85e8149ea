"""The adapter of DiffuMask on what the given case has not.

Against the lines of the authors' code, with OpenCV's resize: several heads,
several tokens of a class, coarse maps on the way up, other numbers of steps.
"""

import cv2
import golden_kit
import numpy as np
import pytest

RNG = np.random.default_rng(0)
LISTS = {  # VOC_category_list_check, with plurals
  "bird": ("bird", "birds"),
  "sofa": ("sofa", "sofas"),
  "diningtable": ("table", "tables"),
  "pottedplant": ("pot", "plant", "ted"),
}
OUTPUT = 128


def case(heads, steps, tokens, asked):
  """A case with random attention, whose outputs are asked for."""
  inputs, layers = {}, LAYERS
  for step in range(steps):
    for i, (place, side) in enumerate(layers):
      many = heads[i % len(heads)] if isinstance(heads, tuple) else heads
      shape = (many, side * side, len(tokens))
      a = np.exp(2 * RNG.normal(size=shape))
      name = f"step{step}/{i}_{place}_{side}"
      inputs[name] = np.float32(a / a.sum(-1, keepdims=True))
  config = {
    "heads": heads,
    "tokens": tokens,
    "steps": steps,
    "layers": layers,
    "output": OUTPUT,
  }
  made = golden_kit.Asked(config, inputs)
  made.outputs = dict.fromkeys(asked)
  return made


def theirs(made, side, places):
  """aggregate_attention and the mean after it: [side, side, tokens]."""
  out = []
  for place in places:
    for i, (own, r) in enumerate(made.config["layers"]):
      if own == place and r == side:
        name = f"{i}_{place}_{side}"
        total = sum(
          made.inputs[f"step{s}/{name}"] for s in range(made.config["steps"])
        )
        a = total / made.config["steps"]
        out.append(a.reshape(-1, side, side, a.shape[-1]))
  out = np.concatenate(out)
  return out.sum(0) / out.shape[0]


def class_map(made, name):
  """save_cross_attention of one class."""
  maps = {8: theirs(made, 8, ("up", "mid", "down"))}
  maps |= {r: theirs(made, r, ("up", "down")) for r in (16, 32, 64)}
  final, number = np.zeros((OUTPUT, OUTPUT), "float32"), 0
  for i, token in enumerate(made.config["tokens"]):
    if token not in LISTS[name]:
      continue
    image = {}
    for r, m in maps.items():
      big = cv2.resize(
        m[:, :, i], (OUTPUT, OUTPUT), interpolation=cv2.INTER_CUBIC
      )
      image[r] = big / big.max()
    if name in ("sofa", "train", "tvmonitor"):
      final += image[8]
    elif name == "diningtable":
      final += image[16]
    else:
      final += (image[16] + image[32] + image[64]) / 3
    number += 1
  return final / number if number else final


LAYERS = (
  *(["down", r] for r in (64, 32, 16, 8)),
  ["mid", 8],
  *(["up", r] for r in (8, 16, 32, 64)),
)


@pytest.mark.parametrize(
  "heads, steps, tokens",
  [
    ((1, 4), 2, ("bird", "on", "sofas")),
    (3, 1, ("<s>", "birds", "bird", "on", "table")),
    (2, 3, ("a", "pot", "ted", "plant", "sofa", "bird")),
  ],
)
def test_maps_are_the_authors(heads, steps, tokens):
  present = [n for n, words in LISTS.items() if set(words) & set(tokens)]
  asked = [f"cam_{n}" for n in present] + [f"cam_{n}_max_mean" for n in present]
  made = case(heads, steps, tokens, [*asked, "avg8", "avg32"])
  found = golden_kit.adapter("diffumask").run(made)
  assert set(found) == set(made.outputs)
  both = {8: ("up", "mid", "down"), 32: ("up", "down")}
  for r, places in both.items():
    np.testing.assert_allclose(
      found[f"avg{r}"], theirs(made, r, places), atol=1e-5
    )
  for name in present:
    whole = class_map(made, name)
    np.testing.assert_allclose(
      found[f"cam_{name}"], whole[4::8, 4::8], atol=1e-4
    )
    np.testing.assert_allclose(
      found[f"cam_{name}_max_mean"], [whole.max(), whole.mean()], atol=1e-4
    )


def test_of_a_class_that_is_not_said_there_is_nothing():
  made = case(1, 1, ("a", "sofa"), ["cam_bird", "cam_bird_max_mean"])
  found = golden_kit.adapter("diffumask").run(made)
  assert not found["cam_bird"].any() and not found["cam_bird_max_mean"].any()
