"""PDAE's and DiTi's file: the host, and what is trained beside it."""

import kit
import numpy as np

from jmim.convert.tables import diti as tables
from jmim.nn.nets import code_encoder

HOST = dict(classes=0, scale_shift=True, updown=True)


def test_layers_of_the_encoder_are_numbered_with_their_activations():
  """The published one: attention follows the second of four convolutions."""
  net = code_encoder.Dims().net(width=512)
  found = {r.ours: r.theirs for r in tables.encoder(net)}
  for ours, theirs in {
    "conv1/bias": "0.bias",
    "norm1/bias": "1.bias",
    "conv2/bias": "3.bias",
    "attention/attn/qkv/bias": "4.qkv.bias",
    "conv3/bias": "7.bias",
    "conv4/bias": "10.bias",
    "norm4/bias": "11.bias",
    "out/bias": "14.bias",
  }.items():
    assert found[ours] == theirs


def test_what_is_trained():
  written = kit.check("diti", kit.tiny("diffusion.diti"))
  assert "ema_encoder.encoder.0.weight" in written.theirs
  assert "ema_decoder.shift_middle_block.1.qkv.weight" in written.theirs
  assert "ema_decoder.label_emb.weight" in written.theirs


def test_the_host():
  written = kit.check("pdae_host", kit.tiny("diffusion.ddpm", **HOST))
  assert "time_embed.0.weight" in written.theirs


def test_one_file_holds_both_and_raw_weights():
  """Each family lists what it does not read."""
  own = kit.export("diti", kit.tiny("diffusion.diti"))
  host = kit.export("pdae_host", kit.tiny("diffusion.ddpm", **HOST))
  placed = {f"ema_decoder.{n}": x for n, x in host.theirs.items()}
  beside = {"encoder.encoder.0.bias": np.zeros(3), "step": np.zeros(())}
  file = own.theirs | placed | beside
  made, leaves = kit.load(own, file)
  assert made.ignored == sorted({**placed, **beside})
  assert leaves.keys() == own.ours.keys()
  made, leaves = kit.load(host, file)
  assert not set(made.ignored) & set(placed)
  assert leaves.keys() == host.ours.keys()
  assert "ema_decoder.shift_out.2.bias" in made.ignored
