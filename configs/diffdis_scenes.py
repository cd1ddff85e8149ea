"""DiffDis on scenes of one thing: captions to images and images to captions.

Captions have four attributes (5 colours, 4 kinds, 2 textures, 4 places: 160).
Images are folded to 16 x 16 x 12 (exact, and noise stays noise).

    python -m jmim.main --config=configs/clip_scenes.py --workdir=runs/clip
    python -m jmim.main --config=configs/diffdis_scenes.py --workdir=W
    python -m jmim.main --mode=eval --workdir=W \
      --config.evals.samples.examples=64

The last draws samples of held-out captions.

Arguments: text=runs/clip (a run of clip_scenes), task=both (generation or
discrimination: on the same half of each batch, alone), steps=2000.
`python -m jmim.tools.claim diffdis` compares.

Not yet measured here.

Size: 1.32 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import choices
from jmim.core import config as configs

SHARES = {
  "both": (0.5, 0.5),
  "generation": (0.5, 0.0),
  "discrimination": (0.0, 0.5),
}
IDS = dict(vocabulary=30, length=12, start=1, end=2, pad=0)
TOWER = dict(width=64, depth=2, heads=2, projection=64)  # of clip_scenes
LEVELS = dict(width=32, multipliers=(1, 2), blocks=1, attend_at=(1, 2), heads=2)


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, text="runs/clip", task="both", steps=2000)
  choices.check(arg, task=SHARES)
  generation, discrimination = SHARES[arg.task]
  config = configs.base()
  half = (0.5, 0.5, 0.5)
  config.data.update(name="scenes/one", batch=64, size=32, flip=False)
  config.data.update(mean=half, std=half)
  config.data.update(tokenizer="words:scenes", text_length=12)
  config.method = configs.section(
    type="latent.diffdis",
    size=16,
    channels=12,
    first_stage=dict(variant="fold2"),
    dims=LEVELS,
    condition=dict(text=dict(path=arg.text, **IDS, **TOWER)),
    branch=dict(head_width=32),
    query=dict(signal=0.1),
    shares=dict(generation=generation, discrimination=discrimination),
    sampling=dict(steps=50, clip=1.0),
  )
  config.optim.update(lr=1e-3, b2=0.999, weight_decay=0.0, clip_norm=1.0)
  config.schedule.update(name="cosine", warmup_steps=50)
  config.ema.decay = 0.995
  config.train.update(total_steps=arg.steps, checkpoint_steps=1000)
  ours = lambda kind, **more: configs.section(type=kind, weights="ema", **more)
  config.evals = configs.section()
  if generation:
    config.evals.errors = ours("mean", limit=512)
    config.evals.samples = ours("samples")
  if discrimination:
    told = dict(attributes=("label", "kind", "texture", "place"))
    config.evals.zeroshot = ours("zeroshot", limit=1000, shuffled=True, **told)
    config.evals.matched = ours("zeroshot", score="error", limit=200, **told)
    texts = dict(predict="text", gallery_predict="query", id="tokens")
    config.evals.retrieval = ours(
      "retrieval", gallery="eval", limit=500, examples=8, **texts
    )
    config.evals.retrieval.reference = False
  return config
