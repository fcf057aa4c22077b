"""Training by Hugging Face Trainer, with masks kept through every optimiser step."""
