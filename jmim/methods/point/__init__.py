"""Point clouds: masked diffusion and masked modelling of them."""
