"""Config keys of `hardware`: nothing here may change a result.

(Beyond rounding: a sum in another order, bfloat16 in place of float32.)
"""

from jmim.core import config_key

Key = config_key.Key

KEYS: dict[str, Key] = {
  "hardware.mesh.data": Key(
    -1, "Devices that split the batch; -1: all that are left.", low=-1
  ),
  "hardware.mesh.fsdp": Key(
    1,
    "Devices that split batch AND parameters; -1: all that are left; 0: as "
    "many as divide, at most 16: right for most models that do not fit in one.",
    low=-1,
  ),
  "hardware.mesh.replica": Key(
    0, "Slices that only a data-centre network joins; 0: all there are.", low=0
  ),
  "hardware.mesh.tensor": Key(
    1, "Devices that split each block's heads and hidden width.", low=1
  ),
  "hardware.mesh.expert": Key(
    1, "Devices that split the batch and the experts of MoE layers.", low=1
  ),
  "hardware.zero": Key(
    False, "Split optimizer state and EMA over `data` too (ZeRO)."
  ),
  "hardware.fsdp_min_size": Key(
    16384, "Smaller arrays are replicated [elements].", low=0
  ),
  "hardware.shard_rules": Key(
    (), "((regex, (axis or None, ...)), ...): overrides of the layout."
  ),
  "hardware.dtype": Key(
    "auto",
    "Compute dtype; auto: bf16 on TPU and GPU, f32 on CPU.",
    choices=("auto", "f32", "bf16"),
  ),
  "hardware.scan": Key(
    "auto",
    "Layer loop: scanned compiles fast; auto: only on TPU.",
    choices=("auto", "on", "off"),
  ),
  "hardware.unroll": Key(1, "Layers per scan iteration.", low=1),
  "hardware.remat": Key(
    "none",
    "Recompute in the backward pass: all, all but matmuls, or all but the "
    "tensors named below. Try in this order when memory is short.",
    choices=("none", "dots", "full", "names"),
  ),
  "hardware.remat_save": Key(
    (), "remat='names': kept: qkv, attention, middle, hidden."
  ),
  "hardware.remat_offload": Key(
    (), "remat='names': kept in the memory of the host (TPU, GPU)."
  ),
  "hardware.pad_tokens": Key(
    1, "Fill kept tokens up to a multiple of this; see --mode=dry_run.", low=1
  ),
  "hardware.attention": Key(
    "auto",
    "auto: einsum on CPU, xla elsewhere; cudnn: flash, bf16 on GPU; "
    "flash: on TPU, for long sequences.",
    choices=("auto", "einsum", "xla", "cudnn", "flash"),
  ),
  "hardware.experts": Key(
    "auto",
    "Mixtures of experts: all on every token (dense; auto on CPU), or "
    "sorted by expert (ragged; auto elsewhere, and with an expert axis).",
    choices=("auto", "dense", "ragged"),
  ),
  "hardware.data_threads": Key(
    2, "Threads that decode images, in each process.", low=0
  ),
  "hardware.data_workers": Key(
    0, "Processes that decode images; 0: threads of this one only.", low=0
  ),
  "hardware.prefetch": Key(2, "Batches kept ready on the devices.", low=1),
  "hardware.host_timeout": Key(
    300, "Seconds after which a host that does not answer is given up.", low=1
  ),
  "hardware.compile_cache": Key(
    "~/.cache/jmim/xla", "Compiled programs are kept here; '': nowhere."
  ),
}
