"""The adapter of MAR on options that no given case has."""

import golden_kit

CONFIG = {
  "img_size": 32,
  "vae_stride": 8,
  "patch_size": 1,
  "encoder_embed_dim": 16,
  "encoder_depth": 1,
  "encoder_num_heads": 2,
  "decoder_embed_dim": 16,
  "decoder_depth": 1,
  "decoder_num_heads": 2,
  "mlp_ratio": 2.0,
  "vae_embed_dim": 4,
  "mask_ratio_min": 0.7,
  "label_drop_prob": 0.0,
  "class_num": 3,
  "proj_dropout": 0.0,
  "buffer_size": 2,
  "diffloss_d": 1,
  "diffloss_w": 16,
  "num_sampling_steps": "8",
  "diffusion_batch_mul": 1,
  "temperature": 1.0,
  "cfg": 3.0,
}


def test_guidance_is_sampled_although_no_label_is_dropped():
  """What is refused of a run, as none is then never learned."""
  m = golden_kit.adapter("mar").method(CONFIG)
  assert set(m.inputs()) == {"image", "label"}
  assert m.sampling.guidance == 3
