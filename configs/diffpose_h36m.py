"""DiffPose on Human3.6M, heatmaps of HRNet at 64 px, 200 hypotheses.

Data: a folder with `train.npz` (subjects 1, 5, 6, 7, 8) and `test.npz` (9, 11),
whose examples have

    heatmaps  float32 [16, 64, 64]: HRNet's, of the 256 px crop around the
              person (joints of MPII, in its order; about -0.05 to 1.1, not
              normalised)
    poses     float32 [48], (x1..x16, y1..y16, z1..z16) in metres: the pose of
              17 joints in the camera's space without its pelvis, y and z
              negated, minus the mean over the 16 joints along each axis

(TFDS or ArrayRecord with the same features serve where that does not fit into
memory: the heatmaps of an example are 256 KiB.)

    python -m jmim.main --config=configs/diffpose_h36m.py --workdir=W \
      --config.data.data_dir=DIR
    python -m jmim.main --mode=dry_run --topology=v5e:2x2 \
      --config=configs/diffpose_h36m.py

Arguments: batch=64 (the authors' configuration; their loader takes 32),
steps=700000.

PCK is of the 14 joints of 3DPCK, CPS of all but the spine, as theirs are. Hard
examples are found by the deviation of the heatmaps themselves, where H36MA is
by that of Gaussians fitted to them (5 px): its list of frames selects others.

Reference (the authors'; not repeated here): PA-MPJPE of the best of 200, five
seeds, 30.5 to 31.0 mm; of H36MA 46.1 to 47.1 mm.

Size: 11.4 M parameters.
Time: not measured.
Expect: the authors' PA-MPJPE of the best of 200, not repeated: 30.7 mm.
"""

from jmim.core import config as configs

# Heatmap (MPII) of each joint (Human3.6M without its pelvis).
ORDER = (2, 1, 0, 3, 4, 5, 7, 8, -1, 9, 13, 14, 15, 12, 11, 10)
PCK_JOINTS = (1, 2, 3, 4, 5, 6, 8, 10, 11, 12, 13, 14, 15, 16)
CPS_JOINTS = (0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16)


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, batch=64, steps=700_000)
  config = configs.base()
  config.data.update(name="array", batch=arg.batch, flip=False)
  config.method = configs.section(
    type="pose.diffpose", body=configs.section(order=ORDER)
  )
  config.optim.update(lr=1e-4, b2=0.999, weight_decay=0.0)
  config.schedule.update(name="constant", warmup_steps=0)
  config.ema.update(decay=0.9995, warmup=False)  # theirs: 0.995, every tenth
  config.train.update(
    total_steps=arg.steps, checkpoint_steps=20_000, log_steps=100
  )
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=20_000),
    pose=configs.section(
      type="pose",
      every_steps=100_000,
      counts=(1, 10, 50, 200),
      pck_joints=PCK_JOINTS,
      cps_joints=CPS_JOINTS,
      limit=2000,
    ),
  )
  return config
