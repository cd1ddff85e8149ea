"""What follows an encoder: decoders, predictors and heads."""
