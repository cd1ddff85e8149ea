"""Step-Video (stepfun-ai/Step-Video-T2V): its autoencoder, its transformer."""

import step_video_vae

_LATER = "the transformer of Step-Video is not implemented yet"
# Of cases about the transformer; those of the autoencoder leave nothing out.
SKIPPED = dict.fromkeys(
  ("adaln", "attn1", "block0", "velocity", "sigmas", "z"), _LATER
)
# Key of a config -> what such a case is about.
KINDS = {
  "down_sampling_layer": step_video_vae.encoder,
  "temporal_up_layers": step_video_vae.decoder,
}


def run(case):
  found = (f for key, f in KINDS.items() if key in case.config)
  return next(found, lambda case: {})(case)
