"""OriPID at the published size: 100,000 origins, latents of Stable Diffusion 2.

Examples are `moments` [32, 32, 8] of edits at 256 px (mean and log variance of
its VAE, unscaled: `python -m jmim.tools.cache_latents`) and `origin`, from 0 to
99,999; 20 edits of each.

    python -m jmim.main --config=configs/oripid_published.py --workdir=W \
      --config.data.data_dir=DIR
    python -m jmim.convert --from=oripid --out=W \
      --weights=vit_sd2_vae_onelayerw_512f.pth.tar \
      --config=configs/oripid_published.py:classes=2

The second takes the authors' W, which comes without prototypes: two are enough.

Arguments: epochs=25 (of 2000 batches), batch=512 (edits; with more, the rate
grows as much), members=4 (edits of an origin in a batch), steps=2000 (of an
epoch), classes=100000.

Each query set is one more evaluator with `queries=NAME`, `queries_dir=DIR`, the
gallery another data set of moments:

    config.evals.sdxl = configs.section(type="retrieval", weights="ema",
      queries="oripid_sdxl", id="origin", gallery="oripid_gallery",
      gallery_id="index", reference=False, every_steps=10_000)

Reference: mAP of unseen models 31.6 points above the best method that compares
features (abstract). Not repeated here.

Size: 53.3 M parameters.
Time: not measured.
Expect: mAP 31.6 points above the second best (abstract; not repeated).
"""

from jmim.core import choices
from jmim.core import config as configs
from jmim.core import errors

BATCH, RATE = 512, 3.5e-4


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, epochs=25, batch=BATCH, members=4, steps=2000, classes=100_000
  )
  choices.at_least(arg, members=1)
  if arg.batch % arg.members:
    raise errors.UserError(
      f"batch={arg.batch} edits, members={arg.members} of each origin",
      "a multiple of members",
      "change one of them",
      "--config",
    )
  config = configs.base()
  config.data.update(
    name="oripid_sd2",
    eval_split="train",  # not looked at: evaluators have queries of their own
    group="origin",
    members=arg.members,
    batch=arg.batch // arg.members,
    flip=False,
  )
  config.method = configs.section(
    type="edit.oripid",
    members=arg.members,
    head=configs.section(classes=arg.classes),
  )
  lr = RATE * arg.batch / BATCH
  config.optim.update(lr=lr, b2=0.999, weight_decay=0.0)
  config.schedule.update(
    name="cosine",
    start_lr=0.01 * lr,
    warmup_steps=5 * arg.steps,
    hold_steps=5 * arg.steps,
    stair_steps=arg.steps,
  )
  config.ema.update(decay=0.9999, warmup=False)
  config.train.update(
    total_steps=arg.epochs * arg.steps,
    checkpoint_steps=arg.steps,
    log_steps=100,
  )
  config.evals = configs.section()
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the classes
  return config
