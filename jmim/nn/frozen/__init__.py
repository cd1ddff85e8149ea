"""Published networks that only measure: metrics and perceptual losses."""
