"""Base models, masks, LoRA fine-tuning and merging."""
