"""MAE on CIFAR-10: the small-scale claims of the method's card.

Data: TFDS `cifar10` as ArrayRecord in --config.data.data_dir (40 MB; no
TensorFlow needed to read it).

    python -m jmim.main --config=configs/mae_cifar10.py --workdir=runs/cifar10 \
      --config.data.data_dir=DIR
    ... --config=configs/mae_cifar10.py:norm_pix=False     raw-pixel targets
    ... --mode=eval --config=configs/mae_cifar10.py:finetuned=runs/cifar10_ft

Measured (one seed; 3000 steps take 8 to 20 minutes on two CPU cores, the last
evaluation half as long again): the loss falls from 2.2 to 0.72 at step 300 and
0.49 at the end (claim A: below 0.70); ridge on mean-pooled tokens 48.4 %,
untrained encoder 39.8 %, pixels 30.2 % (claim B: 4 points above the untrained
encoder); with norm_pix=False the hidden pixels' error is 0.0257, nearest
visible pixel 0.0303, mean colour 0.0455 (claim C: below both). The curve:
docs/curves/mae_cifar10.json.

`configs/finetune_cifar10.py` fine-tunes what comes out; `finetuned=` adds the
accuracy of that run to the table.

Size: 0.488 M parameters.
Time: 8 to 20 minutes on two CPU cores, the last evaluation half as long again.
Expect: probe 48.4 % (untrained 39.8 %, pixels 30.2 %).
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, norm_pix=True, steps=3000, finetuned="")
  config = configs.base()
  config.data.update(
    name="cifar10",
    batch=128,
    size=32,
    device_crop="pad",
    pad=4,
    flip=True,
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2470, 0.2435, 0.2616),
  )
  config.method = configs.section(
    type="mim.mae",
    dims=dict(variant="Ti/4", width=96, depth=4, heads=4),
    size=32,
    decoder_dims=dict(width=48, depth=1, heads=4),
    mask_ratio=0.75,
    norm_pix=arg.norm_pix,
  )
  config.optim.update(name="adamw", lr=1.5e-3, b2=0.95, weight_decay=0.05)
  config.schedule.update(name="cosine", warmup_share=0.1)
  config.train.update(total_steps=arg.steps, checkpoint_steps=500, log_steps=50)
  probe = configs.section(type="probe", train_limit=8000, limit=2000)
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=500, limit=2048),
    probe=probe,
    knn=configs.section(type="knn", train_limit=8000, limit=2000),
    fewshot=configs.section(type="fewshot", shots=(10, 100), train_limit=8000),
    linear=configs.section(
      type="linear",
      predict=("cls", "features"),
      epochs=3.0,
      warmup_epochs=0.3,
      lrs=(0.1, 1.0, 10.0),
    ),
    introspect=configs.section(type="introspect"),
    recon=configs.section(type="recon", every_steps=1000, batches=8),
  )
  if arg.finetuned:
    config.evals.finetune = configs.section(
      type="result", workdir=arg.finetuned
    )
  return config
