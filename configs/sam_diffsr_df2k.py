"""SAM-DiffSR on DF2K at its published size: crops of 160 px, four times.

DF2K (DIV2K and Flickr2K) is a folder `train` of 3450 images and a folder
`test` of the 100 of DIV2K's validation; MASKS are those of Segment Anything's
automatic generator (ViT-H, its default settings) of all of them. Tiles are
stored with their maps; a batch holds random crops of them, of their own pixels:

    python -m jmim.tools.structure_maps --images=DF2K --masks=MASKS \
      --name=df2k_structure --out=DATA_DIR --tile=480 --stride=240
    python -m jmim.main --config=configs/rrdb_df2k.py --workdir=R \
      --config.data.data_dir=DATA_DIR
    python -m jmim.main --config=configs/sam_diffsr_df2k.py:rrdb=R --workdir=W \
      --config.data.data_dir=DATA_DIR

Arguments: rrdb= (a run of rrdb_df2k, or converted weights), map=stored (none:
SRDiff), steps=400000, batch=64.

Reference (the authors', whole images): DIV2K PSNR 29.34, SSIM .8109, FID .381.
Evaluated here are the middles of tiles.

Size: 12.9 M parameters.
Time: not measured.
Expect: DIV2K PSNR 29.34 dB (the authors'; not repeated).
"""

from jmim.core import config as configs

TILE, SIDE = 480, 160


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, rrdb="", map="stored", steps=400_000, batch=64)
  config = configs.base()
  area = (SIDE / TILE) ** 2
  config.data.update(
    name="df2k_structure",
    batch=arg.batch,
    size=SIDE,
    host_crop="resized",  # of this area and shape: a crop, nothing is resized
    crop_scale=(area, area),
    crop_ratio=(1.0, 1.0),
    eval_crop="center",
    eval_resize=TILE,
    flip=False,
    mean=(0.5,) * 3,
    std=(0.5,) * 3,
  )
  config.method = configs.section(
    type="restore.sam_diffsr",
    size=SIDE,
    small=configs.section(path=arg.rrdb),
    structure=configs.section(read=arg.map),
  )
  config.optim.update(lr=2e-4, b2=0.999, weight_decay=0.0)
  config.schedule.update(
    name="step", drop_steps=200_000, drop_factor=0.5, warmup_steps=0
  )
  config.train.update(
    total_steps=arg.steps, checkpoint_steps=10_000, log_steps=100
  )
  config.evals = configs.section(
    restoration=configs.section(
      type="restoration", every_steps=50_000, limit=512, crop=4
    )
  )
  return config
