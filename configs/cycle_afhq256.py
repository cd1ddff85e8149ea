"""CycleDiffusion between two models of AFHQ at 256 px: cats to dogs.

    python -m jmim.main --mode=apply --workdir=W \
      --config=configs/cycle_afhq256.py:source=CAT,target=DOG \
      --config.data.data_dir=AFHQ/CAT

Arguments: source=, target= (runs of ddpm_afhq256, or converted ones), num=500.
1000 steps of which the last 850 are made, eta 0.1, and 100 made again.

Reference (paper): cat to dog FID 58.87 to the dogs trained on, PSNR 18.50, SSIM
.557; wild to dog 56.45, 17.82, .479. Not run here. Of these PSNR and SSIM are
evaluated; FID is not.

Size: trains nothing.
Time: not measured.
Expect: the authors' PSNR 18.50, SSIM .557 (not repeated).
"""

from jmim.core import config as configs

RECIPE = "configs/ddpm_afhq256.py"


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, source="", target="", num=500)
  config = configs.procedure()
  half = (0.5, 0.5, 0.5)
  config.data.update(
    name="folder",
    eval_split="test",
    batch=16,
    size=256,
    eval_crop="center",
    mean=half,
    std=half,
  )
  config.procedure = configs.section(
    type="edit.cycle_diffusion",
    source=dict(path=arg.source, recipe=RECIPE),
    target=dict(path=arg.target, recipe=RECIPE),
    code=dict(steps=1000, eta=0.1, early_stop=850, refine=100),
  )
  config.apply.num = arg.num
  config.evals.edits = configs.section(type="edits")
  return config
