"""DifFace at the published size: FFHQ at 512 px, and 256 px for inpainting.

DIR/train holds the 70,000 images of FFHQ at 512 px or more, in any folders.

    python -m jmim.main --config=configs/restorer_ffhq512.py --workdir=R \
      --config.data.data_dir=DIR
    C=configs/difface_ffhq512.py:restorer=R
    python -m jmim.main --config=$C --workdir=W --config.data.data_dir=DIR
    python -m jmim.main --mode=eval --config=$C,tier=all --workdir=W \
      --config.data.data_dir=TFDS

tier= measures on CelebA-Test: a TFDS data set `celeba_test` with the pictures
`low` and `high` of 512 px, of 4000 images of CelebA-HQ with a setting each (5
qualities of JPEG, 5 levels of noise, 4 widths of a blur, 4 of its angles, 10
scales), which `jmim.tools.spoil_faces` makes in TFDS: tier=all, or by scales,
tier=sf4+sf8+sf12, tier=sf40. FID is that of `inception`, an .npz of
jmim.tools.inception_npz, to `reference` (jmim.tools.make_fid_stats on FFHQ); of
samples, where there is no restorer.

Arguments: task=faces (inpaint), restorer= (its run), tier=, inception=,
reference=, steps=800000 (the released average is that of 500000), batch=64.

Size: 160 M parameters.
Time: not measured.
Expect: not measured here; the authors' table is not at hand.
"""

from jmim.core import choices
from jmim.core import config as configs

TASKS = {
  "faces": dict(size=512),
  "inpaint": dict(
    size=256,
    dims=dict(
      width=128,
      multipliers=(1, 1, 2, 2, 4, 4),
      blocks=2,
      level_blocks=(),
      attend_at=(16, 32),
    ),
    sampling=dict(eta=1.0),
    contraction=dict(start=120),
    degraded=dict(degradation="none"),
    holes=dict(boxes=3, sides=(0.1, 0.5)),
  ),
}


def get_config(arg: str | None = None):
  names = dict(restorer="", tier="", inception="", reference="")
  arg = configs.parse_arg(arg, task="faces", **names, steps=800_000, batch=64)
  choices.check(arg, task=TASKS)
  fields, config = TASKS[arg.task], configs.base()
  config.data.update(name="folder", batch=arg.batch, size=fields["size"])
  half, crops = (0.5,) * 3, dict(host_crop="center", eval_crop="center")
  config.data.update(**crops, eval_share=0.02, flip=True, mean=half, std=half)
  net = dict(net=dict(type="swinir"), host=dict(path=arg.restorer))
  config.method = configs.section(
    type="restore.difface", restorer=net, **fields
  )
  if arg.tier:
    split = dict(train_split=arg.tier, eval_split=arg.tier, eval_share=0.0)
    config.data.update(name="celeba_test", **split)
    config.method.degraded = configs.section(degradation="pairs")
  config.optim.update(lr=1e-4, b2=0.999, weight_decay=0.0)
  config.schedule.update(name="constant", warmup_steps=10_000)
  config.ema.decay = 0.999
  config.train.update(total_steps=arg.steps, checkpoint_steps=10_000)
  on = dict(weights="ema", every_steps=50_000)
  config.evals.errors = configs.section(type="mean", limit=2048, **on)
  if arg.restorer:
    on_all = dict(limit=0 if arg.tier else 64, **on)
    config.evals.restoration = dict(type="restoration", **on_all)
  if arg.inception:
    files = dict(inception=arg.inception, reference=arg.reference)
    few = dict(samples=4000, allow_few=True)
    predict = "restore/image" if arg.restorer else "sample"
    config.evals.fid = dict(type="fid", predict=predict, **files, **few, **on)
  return config
