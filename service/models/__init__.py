"""Trained networks: versions, aliases, weights. "Model" means a trained network, always."""
