"""Jobs: pretraining, fine-tuning and evaluation, from submission to outcome."""
