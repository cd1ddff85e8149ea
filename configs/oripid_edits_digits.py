"""Edits of scattered digits, as a data set: what OriPID learns and is asked.

20 edits of each of 500 images (origins), towards random digits, guided; as many
of another 100, the queries. Both are stored with the number of their origin;
`change/psnr` says how near to it the queries are.

    python -m jmim.main --mode=apply --workdir=EDITS \
      --config=configs/oripid_edits_digits.py:source=LDM,store=oripid_a

Arguments: source= (a run of ldm_digits or dit_latents_digits), store=oripid_a
(name of the data set), queries=False (True: no edits to train on), repeats=20,
strength=0.5.

Size: trains nothing.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs

TRAINED, ASKED = "train[:500]", "train[500:600]"
GALLERY = "train[500:5500]"  # begins as ASKED: places are the same


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, source="", store="oripid_a", queries=False, repeats=20, strength=0.5
  )
  config = configs.procedure()
  half = (0.5, 0.5, 0.5)
  config.data.update(
    name="digits/scattered",
    train_split=TRAINED,
    eval_split=ASKED,
    batch=200,
    size=32,
    mean=half,
    std=half,
  )
  config.procedure = configs.section(
    type="edit.img2img",
    source=dict(path=arg.source, recipe="configs/ldm_digits.py:autoencoder=AE"),
    strength=arg.strength,
    steps=20,
    told="random",
    guidance=2.0,
  )
  config.apply.update(
    splits=("eval",) if arg.queries else ("train", "eval"),
    repeats=arg.repeats,
    store=arg.store,
  )
  config.evals = configs.section(
    change=configs.section(type="restoration", predict="apply"),
  )
  return config
