"""KFP components: thin wrappers, each one call into `tongues.stages.steps`."""
